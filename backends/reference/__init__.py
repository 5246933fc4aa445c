"""The float reference: plain NumPy, float64, what every target is compared with."""

from spikeport.backends.reference.simulator import run

NAME = "reference"

__all__ = ["NAME", "run"]

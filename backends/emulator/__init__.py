"""The emulator: the integer arithmetic of hardware.md section 2, all samples in one call."""

from spikeport.backends.emulator.simulator import run

NAME = "emulator"

__all__ = ["NAME", "run"]

"""Runs a Clocked in Brian2, in float64: an independent reference for ours.

Brian2 generates the code of every step from equations and statements in text, and moves the
spikes in synapses, delays and thresholds of its own; none of our steps is called. What the two
references share is the discretisation in time: both take the steps that `Clocked` states.
"""

from spikeport.backends.brian2.simulator import run

NAME = "brian2"

__all__ = ["NAME", "run"]

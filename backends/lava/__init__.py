"""Runs a Program in Lava 0.10, in Lava's own interpreter, and writes bundles that run there.

Lava runs its own LIF, Sparse and Conv processes, so this is a check that was written apart from
our arithmetic; what Lava lacks runs in processes of ours and is named in the notes.
"""

from spikeport.backends.lava.bundle import export
from spikeport.backends.lava.runner import Job, run, run_many

NAME = "lava"

__all__ = ["NAME", "Job", "export", "run", "run_many"]

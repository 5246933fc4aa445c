"""What can go wrong while a network is trained."""

from __future__ import annotations

from spikeport.compiler.errors import MissingError, SpikeportError


class RecipeError(SpikeportError):
    """A training recipe says something that cannot be followed."""


class TrainingError(SpikeportError):
    """Training cannot go on: the loss is no number, or nothing is sent any more."""


class CheckpointError(SpikeportError):
    """A checkpoint cannot be read, or belongs to another training."""


class Interrupted(SpikeportError):
    """Somebody ended the training; what was reached is kept."""

    exit_code = 130


def without_jax(error: ImportError) -> MissingError:
    """Return the error for a machine without jax or optax."""
    return MissingError(
        "training needs jax and optax",
        " ".join(str(error).split())[:160],
        'pip install "spikeport[train]"',
    )

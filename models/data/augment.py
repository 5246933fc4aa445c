"""Images in a slightly different place every time: more to learn from than there is."""

from __future__ import annotations

import numpy as np

from spikeport.compiler.errors import DataError
from spikeport.compiler.kinds import Array


def shifted(values: Array, most: int, rng: np.random.Generator) -> Array:
    """Return images, each moved by up to `most` rows and columns; what comes in is 0.

    Args:
        values: (k, height, width).
        most: pixels, from 0; every move from -most to most is as likely as another.
        rng: one image's moves are drawn after those of the images before it.

    Raises:
        DataError: no images, or moves that leave nothing of them.

    >>> shifted(np.ones((1, 2, 2)), 0, np.random.default_rng(0)).sum()
    np.float64(4.0)
    """
    check_shift(values.shape[1:], most)
    k, height, width = values.shape
    room = np.pad(values, ((0, 0), (most, most), (most, most)))
    down, right = rng.integers(0, 2 * most + 1, (k, 2)).T
    rows, columns = down[:, None] + np.arange(height), right[:, None] + np.arange(width)
    return np.asarray(room[np.arange(k)[:, None, None], rows[:, :, None], columns[:, None, :]])


def check_shift(shape: tuple[int, ...], most: int) -> None:
    """Check that samples of a shape can be moved by `most` pixels.

    Raises:
        DataError: see `shifted`.
    """
    if most and (len(shape) != 2 or not 0 < most < min(shape)):
        raise DataError(
            f"samples of the shape {shape} cannot be shifted by {most} pixels",
            "images (height, width) can, by less than their size",
            "leave shift out, or make it smaller",
        )

"""The 1797 digits of scikit-learn, 8 x 8 pixels."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np

from spikeport.compiler.errors import DataError, MissingError
from spikeport.models.data.dataset import Dataset, still

TEST_SHARE = 0.3  # 540 samples
SPLIT_SEED = 7  # gives the test split, in this order, on which snnTorch's digits were measured


def digits(folder: Path | None = None) -> Dataset:
    """Open scikit-learn's digits: still values (8, 8), pixel / 16.

    The test split is train_test_split(test_size=0.3, random_state=7, stratify=labels).

    Raises:
        MissingError: scikit-learn is not installed.
    """
    if folder is not None:
        raise DataError("digits come with scikit-learn", fix="leave the folder out")
    try:
        load = import_module("sklearn.datasets").load_digits
        split = import_module("sklearn.model_selection").train_test_split
    except ImportError:
        raise MissingError(
            "scikit-learn is not installed",
            "the data set 'digits' is part of it",
            'pip install "spikeport[train]"',
        ) from None
    values, labels = load(return_X_y=True)
    values = (values / 16).reshape(-1, 8, 8)
    parts = split(
        np.arange(len(labels)), test_size=TEST_SHARE, random_state=SPLIT_SEED, stratify=labels
    )
    return Dataset(
        "digits",
        {
            name: still(values[at], labels[at])
            for name, at in zip(("train", "test"), parts, strict=True)
        },
        10,
        "scikit-learn's digits (UCI Optical Recognition of Handwritten Digits, test part, "
        "CC BY 4.0); 1257 train, 540 test: stratified, seed 7",
    )

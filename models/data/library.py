"""The data sets by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

from spikeport.compiler.errors import DataError
from spikeport.models.data.dataset import Dataset, unknown
from spikeport.models.data.delays import delays
from spikeport.models.data.digits import digits
from spikeport.models.data.dvsgesture import dvsgesture
from spikeport.models.data.event_files import events
from spikeport.models.data.idx import idx
from spikeport.models.data.mnist5k import mnist5k
from spikeport.models.data.nmnist import nmnist
from spikeport.models.data.order import order
from spikeport.models.data.shd import shd
from spikeport.models.options import check_options

DATASETS: Mapping[str, Callable[..., Dataset]] = {
    "digits": digits,
    "mnist5k": mnist5k,
    "idx": idx,
    "nmnist": nmnist,
    "dvsgesture": dvsgesture,
    "shd": shd,
    "events": events,
    "order": order,
    "delays": delays,
}


def open_data(name: str, folder: str | Path | None = None, /, **options: Any) -> Dataset:
    """Open a data set; samples are read later, when a split is asked for them.

    Args:
        name: of DATASETS.
        folder: with its files, for those that are not generated or part of a package.
        options: of the data set's function.

    Raises:
        DataError: an unknown name or option (the nearest is told), an option missing, a folder
            missing (what it should hold is told).
        LoadError: a file is not what it should be.
        MissingError: a package that ships the data is not installed.

    >>> data = open_data("order", samples=30)
    >>> data.classes, len(data.split("train")), len(data.split("test"))
    (6, 30, 10)
    """
    if name not in DATASETS:
        raise unknown(f"there is no data set {name!r}", name, list(DATASETS))
    known = {each.name: each for each in signature(DATASETS[name]).parameters.values()}
    known.pop("folder")
    check_options(f"the data set {name!r}", DATASETS[name], options, known, DataError)
    for option, parameter in known.items():
        if parameter.default is Parameter.empty and option not in options:
            raise DataError(
                f"the data set {name!r} needs the option {option!r}",
                f"its options are {', '.join(known)}",
                f"open_data({name!r}, ..., {option}=NUMBER)",
            )
    return DATASETS[name](None if folder is None else Path(folder), **options)

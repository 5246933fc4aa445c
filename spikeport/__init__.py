"""The face: what a person touches. Everything is imported where it is used.

>>> import spikeport as sp
>>> sorted(sp.__all__)[:4]
['Chip', 'Network', 'Recipe', 'Semantics']
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "load": "spikeport.verbs",
    "from_module": "spikeport.modules.read",
    "data_from": "spikeport.loader",
    "write": "spikeport.verbs",
    "compile": "spikeport.verbs",
    "save_image": "spikeport.saved",
    "load_image": "spikeport.saved",
    "run": "spikeport.verbs",
    "compare": "spikeport.verbs",
    "attribute": "spikeport.attribution",
    "quantize": "spikeport.quantizing",
    "Recipe": "spikeport.compiler.quantize.recipe",
    "Wish": "spikeport.compiler.quantize.recipe",
    "train": "spikeport.training",
    "check": "spikeport.verbs",
    "cost": "spikeport.verbs",
    "chip": "spikeport.verbs",
    "report": "spikeport.pages.report",
    "deploy": "spikeport.deployment",
    "Network": "spikeport.compiler.network",
    "Semantics": "spikeport.compiler.semantics",
    "Chip": "spikeport.compiler.chip",
    "errors": "spikeport.compiler",
}
__all__ = sorted(_HOME)

if TYPE_CHECKING:
    from spikeport.attribution import attribute as attribute
    from spikeport.compiler import errors as errors
    from spikeport.compiler.chip import Chip as Chip
    from spikeport.compiler.network import Network as Network
    from spikeport.compiler.quantize.recipe import Recipe as Recipe
    from spikeport.compiler.quantize.recipe import Wish as Wish
    from spikeport.compiler.semantics import Semantics as Semantics
    from spikeport.deployment import deploy as deploy
    from spikeport.loader import data_from as data_from
    from spikeport.modules.read import from_module as from_module
    from spikeport.pages.report import report as report
    from spikeport.quantizing import quantize as quantize
    from spikeport.saved import load_image as load_image
    from spikeport.saved import save_image as save_image
    from spikeport.training import train as train
    from spikeport.verbs import check as check
    from spikeport.verbs import chip as chip
    from spikeport.verbs import compare as compare
    from spikeport.verbs import compile as compile
    from spikeport.verbs import cost as cost
    from spikeport.verbs import load as load
    from spikeport.verbs import run as run
    from spikeport.verbs import write as write


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'spikeport' has no attribute {name!r}")
    home = import_module(_HOME[name])
    return import_module(f"{_HOME[name]}.{name}") if name == "errors" else getattr(home, name)

"""Neuron kinds, one file each: parameters with units, and how they become a step.

Importing this folder registers every kind in it: a new kind is a new file.
"""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

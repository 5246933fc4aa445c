"""Is something a SciPy matrix: asked without importing SciPy, which takes half a second."""

from __future__ import annotations

import sys
from typing import Any


def is_sparse(value: Any) -> bool:
    """Is a value a sparse matrix or array; none can be while `scipy.sparse` is not imported.

    >>> import numpy as np
    >>> is_sparse(np.eye(2))
    False
    """
    loaded = sys.modules.get("scipy.sparse")
    return loaded is not None and bool(loaded.issparse(value))

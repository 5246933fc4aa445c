"""Read a chip description: plain YAML, validated strictly.

It can neither run code nor grow; an unknown key is an error, a number is never text.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from spikeport.compiler.chip import Chip
from spikeport.compiler.errors import ChipError
from spikeport.compiler.load.plain_yaml import read_plain_yaml

ADVICE = "compare it with loihi1.yaml"


def read_chip(path: Path) -> Chip:
    """Read and check a chip description.

    Raises:
        ChipError: not a file, too large, tags or aliases in it, or not our schema.
    """
    content = read_plain_yaml(path, "a chip description", ChipError, ADVICE)
    try:
        return Chip.model_validate(content)
    except ValidationError as error:
        first, others = error.errors()[0], error.error_count() - 1
    where = ".".join(str(part) for part in first["loc"]) or "the file"
    more = f" (and {others} more)" if others else ""
    why = f"{where}: {first['msg']}{more}"[:300]
    raise ChipError(f"{path.name} is not a chip description", why, ADVICE)

from collections.abc import Callable, Mapping, Sequence
from typing import Any

def prepare(
    populations: list[Mapping[str, Any]], projections: list[Mapping[str, Any]], cores: int
) -> Any: ...
def run(
    prepared: Any, buffers: Mapping[str, Any], progress: Callable[[int], None]
) -> Sequence[tuple[Any, Any]] | None: ...
def mesh_time(arrays: Mapping[str, Any]) -> None: ...

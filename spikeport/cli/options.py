"""Options that several commands have, with their help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Graph = Annotated[Path, typer.Argument(help="NIR file (.nir)", show_default=False)]
ChipName = Annotated[str, typer.Option("--chip", help="chip name, or path of a chip's YAML file")]
Runnable = Annotated[
    Path, typer.Argument(help="NIR file (.nir), or saved image (.image)", show_default=False)
]
ChipNames = Annotated[
    str,
    typer.Option("--chip", metavar="NAME[,NAME…]",
                 help="chip name, path of a chip's YAML file, several with commas, or all"),
]  # fmt: skip
Chips = Annotated[int, typer.Option("--chips", min=1, metavar="N", help="number of linked chips")]
Dialect = Annotated[
    str | None,
    typer.Option("--dialect", help="tool the graph comes from: nir, snntorch, norse, sinabs, "
                 "spikingjelly, rockpool, spyx, lava, lava-dl", show_default=False),
]  # fmt: skip
Dt = Annotated[float | None, typer.Option("--dt", help="seconds per time step", show_default=False)]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="[NODE.]FIELD=VALUE", help="one field of the semantics; repeat"),
]
Calibration = Annotated[
    Path | None, typer.Option("--data", help="calibration data; else scales from the weights")
]
Decode = Annotated[str, typer.Option("--decode", help="count, ttfs, mem_last, mem_max or mem_mean")]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON object on stdout")]
InputKind = Annotated[
    str, typer.Option("--input", help="what the data holds: spikes, counts or current")
]
Skew = Annotated[
    bool,
    typer.Option("--allow-skew", help="delay an edge of a loop that cannot be retimed (not exact)"),
]
Slow = Annotated[
    int,
    typer.Option("--slow", min=1, metavar="C", help="C chip steps per step of the network, for "
                 "loops that cannot be retimed (exact, where the chip can hold its state)"),
]  # fmt: skip
Engine = Annotated[
    str | None, typer.Option("--engine", help="of the emulator: c or numpy (C where it was built)")
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="samples that the emulator runs at once (processors)"),
]
MaxMemory = Annotated[
    str | None,
    typer.Option("--max-memory", metavar="SIZE", help="what the emulator may take, as 2GiB (80 % "
                 "of what is free)", show_default=False),
]  # fmt: skip

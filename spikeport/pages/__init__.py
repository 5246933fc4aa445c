"""What a deployment found, on a page: `report.html`, `report.json` and `report.md`.

In comes one plain dict, the result of `deploy`; out come three files that say the same. Nothing
is computed here but how to show a figure: the page can be made again from `report.json`.

The folder is `pages`, not `report` as in the design: Python would put a module of that name in
the place of the function `spikeport.report`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spikeport.files import write_text
from spikeport.pages.plain import finite

FILES = {"report_html": "report.html", "report_json": "report.json", "report_md": "report.md"}


def write_report(result: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Write the three reports into `folder` and return {name: file name}.

    All three are rendered before the first is written, and each appears whole or not at all.
    Keys of `report.json` keep the order of `result`, which is the network's; numbers that are
    not finite become null.

    Args:
        result: JSON-able, as `deploy` returns it. A key that is missing counts as null.
        folder: made if it is not there.
    """
    from spikeport.pages.html import page
    from spikeport.pages.markdown import summary

    values = finite(result)
    texts = {
        "report_html": page(values),
        "report_json": as_json(values),
        "report_md": summary(values),
    }
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_text(folder / FILES[name], text)
    return dict(FILES)


def as_json(values: Mapping[str, Any]) -> str:
    """Return one line per key: short enough to read, and quick for long rasters."""
    lines = (
        f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in values.items()
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"

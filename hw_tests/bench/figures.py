"""Two figures as SVG, in few lines: bars on a logarithmic axis, and a curve."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH = 760
STYLE = "text{font:12px sans-serif;fill:#222}.title{font-weight:bold}.axis{stroke:#bbb}"
BAR, LINE = "#4477aa", "#cc6677"


def bars(groups: Mapping[str, Sequence[tuple[str, float]]]) -> str:
    """Return a bar for each ratio: how many times the CPU time of ours each simulator takes.

    Args:
        groups: workload -> (simulator, ratio).
    """
    top = max((ratio for each in groups.values() for _, ratio in each), default=10.0)
    decades = max(math.ceil(math.log10(top)), 1)
    left, right = 210, WIDTH - 70

    def place(ratio: float) -> float:
        return left + (right - left) * max(math.log10(ratio), 0) / decades

    parts, y = [text(left, 16, "CPU time, as a multiple of ours (1)", "title")], 34
    rows = sum(len(each) + 2 for each in groups.values())
    height = 34 + 16 * rows + 20
    for decade in range(decades + 1):
        x = place(10**decade)
        parts.append(f'<line class="axis" x1="{x:.1f}" y1="24" x2="{x:.1f}" y2="{height - 20}"/>')
        parts.append(text(x, height - 6, f"{10**decade:,}", anchor="middle"))
    for workload, each in groups.items():
        parts.append(text(8, y + 12, workload, "title"))
        y += 16
        for name, ratio in each:
            wide = place(ratio) - left
            parts.append(text(left - 6, y + 11, name, anchor="end"))
            parts.append(
                f'<rect x="{left}" y="{y + 2}" width="{wide:.1f}" height="11" fill="{BAR}"/>'
            )
            parts.append(text(left + wide + 4, y + 11, f"{ratio:.3g}"))
            y += 16
        y += 16
    return drawing(height, parts)


def curve(points: Sequence[tuple[int, float]]) -> str:
    """Return nanoseconds of a synaptic event by the number of neurons.

    Args:
        points: (neurons, nanoseconds), ascending.
    """
    height, left, low = 320, 60, 270
    parts = [text(left, 16, "CPU time of a synaptic event (ns) by neurons, fan-out 100", "title")]
    if not points:
        return drawing(height, parts)
    first, last = (math.log10(points[at][0]) for at in (0, -1))
    top = 1.15 * max(cost for _, cost in points)

    def place(neurons: int, cost: float) -> tuple[float, float]:
        share = (math.log10(neurons) - first) / max(last - first, 1e-9)
        return left + 30 + share * (WIDTH - left - 90), low - (low - 34) * cost / top

    parts.append(f'<line class="axis" x1="{left}" y1="{low}" x2="{WIDTH - 20}" y2="{low}"/>')
    parts.append(f'<line class="axis" x1="{left}" y1="34" x2="{left}" y2="{low}"/>')
    places = [place(*point) for point in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts.append(f'<polyline points="{path}" fill="none" stroke="{LINE}" stroke-width="2"/>')
    for (x, y), (neurons, cost) in zip(places, points, strict=True):
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{LINE}"/>')
        parts.append(text(x, y - 9, f"{cost:.2f}", anchor="middle"))
        parts.append(text(x, low + 18, f"{neurons:,}", anchor="middle"))
    return drawing(height, parts)


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """Return one line of text."""
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def drawing(height: int, parts: Sequence[str]) -> str:
    """Return the whole file."""
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    back = f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>'
    inside = "\n".join([f"<style>{STYLE}</style>", back, *parts])
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n{inside}\n</svg>\n'

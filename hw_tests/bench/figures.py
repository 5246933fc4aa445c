"""Two figures as SVG, in few lines: bars on a logarithmic axis, and curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH = 760
STYLE = "text{font:12px sans-serif;fill:#222}.title{font-weight:bold}.axis{stroke:#bbb}"
COLORS = ("#4477aa", "#cc6677", "#228833")


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
                f'<rect x="{left}" y="{y + 2}" width="{wide:.1f}" height="11" fill="{COLORS[0]}"/>'
            )
            parts.append(text(left + wide + 4, y + 11, three(ratio)))
            y += 16
        y += 16
    return drawing(height, parts)


def curves(lines: Mapping[str, Sequence[tuple[int, float]]]) -> str:
    """Return nanoseconds of a synaptic event by the number of neurons, a curve for each variant.

    Args:
        lines: variant -> (neurons, nanoseconds), ascending.
    """
    height, left, low = 320, 60, 270
    parts = [text(left, 16, "CPU time of a synaptic event (ns) by neurons, fan-out 100", "title")]
    points = [point for each in lines.values() for point in each]
    if not points:
        return drawing(height, parts)
    first, last = (math.log10(end(points)[0]) for end in (min, max))
    top = 1.15 * max(cost for _, cost in points)

    def place(neurons: int, cost: float) -> tuple[float, float]:
        share = (math.log10(neurons) - first) / max(last - first, 1e-9)
        return left + 30 + share * (WIDTH - left - 90), low - (low - 34) * cost / top

    parts.append(f'<line class="axis" x1="{left}" y1="{low}" x2="{WIDTH - 20}" y2="{low}"/>')
    parts.append(f'<line class="axis" x1="{left}" y1="34" x2="{left}" y2="{low}"/>')
    for neurons, _ in dict.fromkeys((neurons, 0.0) for neurons, _ in points):
        parts.append(text(place(neurons, 0)[0], low + 18, f"{neurons:,}", anchor="middle"))
    for at, (name, each) in enumerate(lines.items()):
        color = COLORS[at % len(COLORS)]
        places = [place(*point) for point in each]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts.append(
            f'<rect x="{left + 12}" y="{38 + 16 * at}" width="10" height="10" fill="{color}"/>'
        )
        parts.append(text(left + 28, 47 + 16 * at, name))
        for (x, y), (_, cost) in zip(places, each, strict=True):
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{color}"/>')
            parts.append(text(x, y + (-9 if at else 18), f"{cost:.2f}", anchor="middle"))
    return drawing(height, parts)


def three(value: float) -> str:
    """Return a number to three figures, without an exponent."""
    return f"{float(f'{value:.3g}'):,g}"


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

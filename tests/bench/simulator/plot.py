"""The picture of the page: for each method a dot per workload, on a logarithmic axis, as SVG without any library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Final

LEFT: Final = 190
WIDTH: Final = 720
ROW: Final = 22
TOP: Final = 46
LEAST: Final = Fraction(1, 1000)
"""What is nearer than a tenth of a percent stands at the left edge."""
TICKS: Final = ("0.1", "0.3", "1", "3", "10", "30", "100")
COLOURS: Final = {"ladder": "#1f6f8b", "context": "#5b8c5a", "other": "#7a5ea8", "wrong": "#c0392b"}


def svg(points: Mapping[str, Sequence[Fraction]], kinds: Mapping[str, str], title: str) -> str:
    """A dot plot.

    Args:
        points: parts of one by method, in the order of the rows.
        kinds: which colour a method has.
        title: over it.
    """
    width = LEFT + WIDTH + 30
    height = TOP + ROW * len(points) + 34
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="10" y="20" font-size="14" font-weight="bold">{title}</text>',
    ]
    for tick in TICKS:
        x = _x(Fraction(tick) / 100)
        lines.append(f'<line x1="{x}" y1="{TOP - 8}" x2="{x}" y2="{height - 30}" stroke="#dddddd"/>')
        lines.append(f'<text x="{x}" y="{height - 12}" text-anchor="middle" fill="#555555">{tick} %</text>')
    for number, (name, values) in enumerate(points.items()):
        y = TOP + ROW * number + ROW // 2
        colour = COLOURS[kinds[name]]
        lines.append(f'<text x="{LEFT - 10}" y="{y + 4}" text-anchor="end">{name}</text>')
        lines += [
            f'<circle cx="{_x(value)}" cy="{y}" r="4" fill="{colour}" fill-opacity="0.45"/>' for value in sorted(values)
        ]
        ordered = sorted(values)
        middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
        x = _x(middle)
        lines.append(f'<line x1="{x}" y1="{y - 8}" x2="{x}" y2="{y + 8}" stroke="{colour}" stroke-width="3"/>')
    return "\n".join([*lines, "</svg>\n"])


def _x(value: Fraction) -> int:
    """Pixels; whole ones, so that no machine's logarithm shows."""
    return round(LEFT + WIDTH * math.log10(max(value, LEAST) / LEAST) / 3)

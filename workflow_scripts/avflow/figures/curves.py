"""One curve by layer: a line with its band, or points alone if too few questions are behind it.

A band over a handful of questions has hardly any width and looks certain. Below `least` questions there is none, and the panel
says "too few". Curves differ in marker as well as in colour. Their markers stand at different layers, so that curves which lie on
each other at zero can all be seen.
"""

import matplotlib.pyplot as plt

from ..results.effects import LEAST
from . import palette

EVERY = 4  # layers between the markers of a curve, at least


def draw(axis, x, mean, low, high, n: int, colour: str, place: int = 0, of: int = 1, least: int = LEAST, **line) -> None:
    """Draw a curve. n: questions behind it. place, of: its number among the panel's curves, which staggers markers.

    line: further settings of the line, such as linewidth.
    """
    if not len(x):
        return
    if n < least:
        axis.plot(x, mean, color=colour, linestyle="none", marker=palette.MARKERS[colour], markersize=3.5)
        return
    axis.fill_between(x, low, high, color=colour, alpha=line.pop("alpha", 0.2), linewidth=0)
    axis.plot(x, mean, color=colour, **marked(colour, place, of), **line)


def marked(colour: str, place: int = 0, of: int = 1) -> dict:
    """The markers of a curve, as settings of a line."""
    step = max(EVERY, of)
    return {
        "marker": palette.MARKERS[colour],
        "markevery": (place % step, step),
        "markersize": 4.5,
        "markeredgecolor": palette.PAPER,
        "markeredgewidth": 0.5,
    }


def handle(colour: str, label: str):
    """A curve's entry in a legend."""
    look = marked(colour) | {"markevery": None}
    return plt.Line2D([], [], color=colour, label=label, **look)


def all_too_few(counts: str) -> str:
    """The words for a panel with too few questions for any band: "too few (n = 2; 2 of 30 right)". counts: of `Effects`."""
    return f"too few ({counts.replace(' (', '; ').removesuffix(')')})"


def too_few(numbers, least: int = LEAST) -> str:
    """The words for curves of too few questions, such as "too few (n = 2)"; empty without any. numbers: n of every curve."""
    few = sorted({int(n) for n in numbers if 0 < n < least})
    return f"too few (n = {', '.join(map(str, few))})" if few else ""

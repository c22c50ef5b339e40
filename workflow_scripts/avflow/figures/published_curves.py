"""The paper's curves behind ours: translucent boxes at the extremes and plateaus that can be read off its figures."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.colors import to_rgba

from . import palette

PRECISION = 1.0  # percent: a number read by eye may be off by at least this much, to either side
FILL, EDGE = 0.2, 0.6  # opacities of a box
FAINT = 0.06  # opacity of a box for "no effect", because boxes of several routes lie on each other there
BEHIND = 0.6  # zorder: above the grid, below the zero line, bands and curves
WORDS = "paper (read off its figure)"


def draw_curves(axis, rows: pd.DataFrame, colours: dict) -> int:
    """Draw the published values of one panel behind its curves; returns how many boxes were drawn.

    rows: from `published.curves`, of the panel's group. colours: route -> colour; other routes are left out. A box spans the
    central layers of the windows, half a layer more to either side, and the change in %, `PRECISION` more to either side. A row
    without a centre or a change is not drawn.
    """
    rows = rows[rows["route"].isin(list(colours))].dropna(subset=["change_low", "change_high", "first", "last"])
    for row in rows.to_dict("records"):
        corner = (row["first"] - 0.5, row["change_low"] - PRECISION)
        size = (row["last"] - row["first"] + 1, row["change_high"] - row["change_low"] + 2 * PRECISION)
        axis.add_patch(plt.Rectangle(corner, *size, **_look(colours[row["route"]], row["kind"] == "near_zero")))
    return len(rows)


def _look(colour, faint: bool = False) -> dict:
    fill, edge = (FAINT, 0) if faint else (FILL, EDGE)
    return dict(facecolor=to_rgba(colour, fill), edgecolor=to_rgba(colour, edge), linewidth=0.6, zorder=BEHIND)


def handle(conditions: list[str]):
    """The boxes' entry in a legend. conditions: under which the values were found, see `Effects.published_conditions`."""
    return plt.Rectangle((0, 0), 1, 1, **_look(palette.NEUTRAL), label="\n".join([f"{WORDS}:", *conditions]))

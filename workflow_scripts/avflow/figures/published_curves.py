"""The paper's own curves behind ours, as far as they can be read off its figures: a translucent box an extreme or plateau."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.colors import to_rgba

from . import palette

PRECISION = 1.0  # percent: at least so much a number that was read by eye may be off, to either side
FILL, EDGE = 0.2, 0.6  # opacities of a box
FAINT = 0.06  # of one that says that there is nothing, for those of several routes lie on each other
BEHIND = 0.6  # zorder: above the grid, below the zero line, bands and curves
WORDS = "published (read off the figure)"


def draw_curves(axis, rows: pd.DataFrame, colours: dict) -> int:
    """Draw what is published of one panel's curves behind them; returns how many boxes were drawn, 0 where rows are empty.

    rows: of `published.curves`, of the panel's group; colours: route -> colour, other routes are left out. A box spans the layers
    on which the windows are centred, half a layer more to either side, and the change in %, `PRECISION` more to either side. What
    has no centre or no change is not drawn.
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


def handle():
    """What a legend shows for the boxes: any route's."""
    return plt.Rectangle((0, 0), 1, 1, **_look(palette.NEUTRAL), label=WORDS)

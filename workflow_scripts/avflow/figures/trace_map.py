"""Routes x layers as one picture, and the same in a terminal: what `trace` found in one question, or the mean over several.

A cell is the change of the answer's probability when its route is cut in the window around its layer. Its colour has the same
meaning in every picture, from -100 % to 100 %, so a small effect looks small. One question has no interval.
"""

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ..errors import InputError
from ..results import free_answers
from . import palette
from .route_styles import route_label

MAP = "RdBu"  # losses are red; the colour-blind can tell the two ends apart
NUMBERS = 16  # the most layers whose cells have room for a number
STEPS = ((80, "\u2588"), (40, "\u2593"), (15, "\u2592"), (5, "\u2591"), (0, "\u00b7"))  # a loss of at least so many % -> its sign
GAIN, UNKNOWN = "+", " "
RANDOM = "as many random keys"


def draw(rows: pd.DataFrame):
    """A figure with one line of cells per route, and one more for its random controls, if `rows` have any.

    rows: from `trace`, or several of them joined: then a cell is the mean over questions. Raises InputError for rows of several
    models, for rows without a cut, and for windows that share a centre.
    """
    names, centres, values = _table(rows)
    figure, axis = plt.subplots(figsize=(1.9 + max(3.2, 0.32 * len(centres)), 1.35 + 0.27 * len(names)), layout="constrained")
    axis.set_facecolor(palette.CONTROL)  # not applicable
    drawn = axis.imshow(np.ma.masked_invalid(values), cmap=MAP, vmin=-100, vmax=100, aspect="auto", interpolation="nearest")
    axis.set_yticks(range(len(names)), [RANDOM if random else route_label(route) for route, random in names])
    every = max(1, len(centres) // 12)
    axis.set_xticks(range(len(centres))[::every], centres[::every])
    axis.set_xlabel(_layers(rows))
    axis.grid(False)
    axis.tick_params(length=0)
    for (line, column), value in np.ndenumerate(values):
        if math.isnan(value):
            axis.text(column, line, "n/a" if len(centres) <= NUMBERS else "", ha="center", va="center", fontsize=5)
        elif len(centres) <= NUMBERS:
            ink = palette.PAPER if abs(value) > 60 else palette.MARK
            axis.text(column, line, f"{value:.0f}".replace("-0", "0"), ha="center", va="center", fontsize=6, color=ink)
    figure.colorbar(drawn, ax=axis, label="% change in probability", pad=0.02)
    figure.suptitle(_heading(rows), fontsize=8)
    return figure


def in_terminal(rows: pd.DataFrame) -> str:
    """The same as text: one line per route, one sign per layer, and a legend. Raises InputError as `draw` does."""
    names, centres, values = _table(rows)
    labels = [RANDOM if random else route for route, random in names]
    wide = max(map(len, [*labels, "layer"]))
    lines = [f"{'layer':>{wide}} {''.join(str(c % 10) for c in centres)}"]
    for label, line in zip(labels, values):
        said = f"  {np.nanmin(line):.0f} % at layer {centres[int(np.nanargmin(line))]}" if np.isfinite(line).any() else "  n/a"
        lines.append(f"{label:>{wide}} {''.join(map(_sign, line))}{said.replace(' -0 %', ' 0 %')}")
    steps = "  ".join(f"{sign} -{least} %" if least else f"{sign} less" for least, sign in STEPS)
    return "\n".join([_heading(rows), *lines, f"{'':>{wide}} {steps}  {GAIN} a gain of 5 % or more"])


def _sign(value: float) -> str:
    if math.isnan(value):
        return UNKNOWN
    return GAIN if value >= 5 else next((sign for least, sign in STEPS if -value >= least), STEPS[-1][1])


def _table(rows: pd.DataFrame) -> tuple[list, list[int], np.ndarray]:
    """[(route, whether it is its control)], centres, and the mean change in % (names, centres), NaN where nothing can be cut."""
    cuts = rows[rows["control"] != "null"]
    if not len(cuts):
        raise InputError("these rows hold no cut; give them as trace returns them")
    if cuts["model"].nunique() > 1:
        raise InputError(f"rows of {', '.join(cuts['model'].unique())}: draw one model at a time")
    if len(cuts.groupby(["style", "width", "cut"])) > 1:
        raise InputError("rows of several window widths, styles or cuts: draw one of them at a time")
    cuts = cuts.assign(change=free_answers.change(cuts).astype(float), random=cuts["control"].str.startswith("random_"))
    mean = cuts.groupby(["route", "random", "centre"])["change"].mean()
    centres = sorted(int(c) for c in cuts["centre"].unique())
    names = [(route, random) for route in dict.fromkeys(cuts["route"]) for random in (False, True)]
    names = [name for name in names if name in set(mean.index.droplevel("centre"))]
    return names, centres, np.array([mean.loc[name].reindex(centres).to_numpy() for name in names])


def _layers(rows: pd.DataFrame) -> str:
    """The label of the axis of layers, with the width of the windows."""
    width = int(rows.loc[rows["control"] != "null", "width"].iloc[0])
    return "Layer" if width == 1 else f"Layer (windows of {width})"


def _heading(rows: pd.DataFrame) -> str:
    """Model, how many questions, and of a single one its answer's probability with nothing cut."""
    count, null = rows["question_id"].nunique(), rows[rows["control"] == "null"]
    model = rows["model"].iloc[0]
    if count > 1 or not len(null):
        return f"{model}: mean of {count} questions, without an interval"
    one = null.iloc[0]
    free = not pd.isna(one["logp_reply_clean"])
    answer = rows.attrs.get("answer") or one["answer"]
    said = f"its answer {answer!r} has" if answer else "its answer has"
    p = math.exp(one["logp_reply_clean"]) if free else one["p_base_clean"]
    return f"{model}: {said} probability {p:.2g} with nothing cut\none question, so no interval"

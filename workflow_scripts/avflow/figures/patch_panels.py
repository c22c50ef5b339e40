"""The control for routes that have no size-matched one: another clip's keys and values in place of the route's own."""

import matplotlib.pyplot as plt
import pandas as pd

from ..results import title
from . import curves, palette
from .route_panels import nothing_to_show, share_limits
from .route_styles import colours, route_label

STYLES = {  # kind -> line, width, and its words in the legend
    "cut": ("-", 2.2, "cut: the target reads nothing from the source"),
    "patch": ("-.", 1.4, "patched: it reads another clip's source; nothing is renormalised"),
    "follows": ("-.", 1.4, "patched: answers that are those about the other clip"),
    "returns": ("--", 2.0, "its own source in a run on the other clip: own answers that come back"),
}
ROWS = {"% Change in Probability": ("cut", "patch"), "Answers (%)": ("follows", "returns")}


def patch_panels(models, table: pd.DataFrame, routes: dict):
    """Two rows of panels per model: the change of the own answer's probability, and whose answer is given.

    table: from `patches.summary`, of all datasets. routes: dataset -> routes. One column per dataset and group. Without rows, the
    figure says so.
    """
    places = list(table[["dataset", "group"]].drop_duplicates().itertuples(index=False, name=None))
    if not places:
        return nothing_to_show()
    figure = plt.figure(figsize=(2.6 * len(places) + 0.8, 1.3 + 3.6 * len(models)))
    datasets = list(dict.fromkeys(dataset for dataset, _ in places))
    widths = [sum(dataset == other for other, _ in places) for dataset in datasets]
    parts = figure.subfigures(1, len(datasets), width_ratios=widths, squeeze=False)[0]
    most = max(len(routes[dataset]) for dataset in datasets)
    for part, dataset in zip(parts, datasets):
        groups = [group for other, group in places if other == dataset]
        colour_of = colours(routes[dataset])
        grid = part.subplots(2 * len(models), len(groups), sharex=True, sharey="row", squeeze=False)
        for number, model in enumerate(models):
            for line, (words, kinds) in zip(grid[2 * number :], ROWS.items()):
                for axis, group in zip(line, groups):
                    here = table[(table["model"] == model) & (table["dataset"] == dataset) & (table["group"] == group)]
                    _panel(axis, here, kinds, colour_of)
                line[0].set_ylabel(f"{model}\n{words}", fontsize=8)
                share_limits(line, 0)
        for axis, group in zip(grid[0], groups):
            axis.set_title(title(group))
        for axis in grid[-1]:
            axis.set_xlabel("Layer")
        handles = [plt.Line2D([], [], color=colour, label=route_label(route)) for route, colour in colour_of.items()]
        handles += [plt.Line2D([], [], linestyle="", label=" ")] * (most - len(handles))  # so that all parts' panels align
        part.legend(handles=handles, loc="outside upper center", ncols=2, fontsize=7.5)
    shown = [kind for kind in STYLES if (table["kind"] == kind).any()]
    looks = [plt.Line2D([], [], color=palette.INK, **_look(kind), label=STYLES[kind][2]) for kind in shown]
    words = "95 % pointwise interval over clips (grey: of curves at 0)"
    band = plt.Rectangle((0, 0), 1, 1, color=palette.BAND, alpha=0.2, label=words)
    figure.legend(handles=[*looks, band], loc="outside lower center", ncols=1 if len(places) < 3 else 2, fontsize=7)
    return figure


def _look(kind: str) -> dict:
    style, width, _ = STYLES[kind]
    return {"linestyle": style, "linewidth": width}


def _panel(axis, here: pd.DataFrame, kinds, colour_of: dict) -> None:
    """The curves of some kinds, and the number of questions behind each kind. Bands need at least `curves.LEAST` of them.

    Curves that are 0 in every window share one grey band, because their own bands would cover each other.
    """
    axis.axhline(0, color=palette.ZERO, linestyle="--", linewidth=0.8, zorder=1)
    flat = []
    for kind in kinds:
        for route, colour in colour_of.items():
            one = here[(here["kind"] == kind) & (here["route"] == route)].sort_values("centre")
            if len(one) and one["n"].max() >= curves.LEAST:
                if one["value"].eq(0).all():
                    flat.append(one)
                else:
                    axis.fill_between(one["centre"], one["ci_low"], one["ci_high"], color=colour, alpha=0.12, linewidth=0)
            axis.plot(one["centre"], one["value"], color=colour, **_look(kind))
    if flat:
        every = pd.concat(flat).groupby("centre")[["ci_low", "ci_high"]].agg({"ci_low": "min", "ci_high": "max"})
        axis.fill_between(every.index, every["ci_low"], every["ci_high"], color=palette.NOTE, alpha=0.12, linewidth=0)
    numbers = [int(here.loc[here["kind"] == kind, "n"].max()) for kind in kinds if (here["kind"] == kind).any()]
    said = [f"n = {n}" if n >= curves.LEAST else f"too few (n = {n})" for n in numbers]
    axis.margins(y=0.16)
    axis.text(0.03, 0.97, "; ".join(dict.fromkeys(said)), transform=axis.transAxes, va="top", fontsize=6, color=palette.NOTE)
    axis.xaxis.get_major_locator().set_params(integer=True)

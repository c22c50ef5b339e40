"""What the paper leaves open: the main routes under every alternative, and how far their peaks move.

Above, the main model's curves: one line of panels per choice, one column per route. The base is solid, alternatives are broken.
Below, all models: the shift of each route's peak against the base, over all tasks with its interval, and each group of tasks
alone as a small dot.
"""

import matplotlib.pyplot as plt
import pandas as pd

from ..results.effects import pointwise
from ..results.sensitivity import BASE, cuts_of
from . import palette
from .route_panels import share_limits
from .route_styles import colours, route_label

STYLES = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))  # of the base and its alternatives
NONE_RIGHT = "no question is right under\nthe base and all alternatives"
ALL = "all"  # the group of all tasks in the summary


def sensitivity_panels(models, rows: pd.DataFrame, table: pd.DataFrame, routes: dict, choices: dict, draws: int, seed: int):
    """The figure; the first of the models is the main one.

    rows, table: from `sensitivity.read` and `summary`; routes: dataset -> routes; choices: choice -> its entry in config.yaml.
    """
    models = list(models)
    columns = [(dataset, route) for dataset, of in routes.items() for route in of if (rows["dataset"] == dataset).any()]
    main, whole = rows[rows["model"] == models[0]], table[table["group"] == ALL]
    shown = [name for name in choices if (main["choice"] == name).any()]
    pairs = table[["choice", "alternative"]].drop_duplicates().itertuples(index=False)
    others = sorted((tuple(p) for p in pairs if p.alternative != BASE), key=lambda pair: list(choices).index(pair[0]))
    heights = [1.9] * len(shown) + [1.3 + 0.26 * len(others) * max(1, len(models) / 2)]
    figure = plt.figure(figsize=(2.1 * len(columns) + 1.2, sum(heights) + 0.2))
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, name in zip(parts, shown):
        of = main[main["choice"] == name]
        told = whole[(whole["model"] == models[0]) & (whole["choice"] == name)]
        axes = _curves(part, of, told, columns, f"{name}: {choices[name]['asks']}", choices[name]["base"], draws, seed)
    for axis in axes if shown else ():
        axis.set_xlabel("Layer", fontsize=8)
    _shifts(parts[-1], models, table, columns, others)
    return figure


def _curves(part, rows, told, columns, heading: str, base: str, draws: int, seed: int) -> list:
    """The panels of one choice, main model only. Where the choice is not open in a route's dataset, there is none."""
    axes = part.subplots(1, len(columns), squeeze=False)[0]
    names = rows.drop_duplicates("alternative").set_index("alternative")["differs"]
    style_of, colour_of = dict(zip(names.index, STYLES)), colours([route for _, route in columns])
    for axis, (dataset, route) in zip(axes, columns):
        axis.set_title(route_label(route), fontsize=8)
        here = cuts_of(rows, dataset=dataset, route=route)
        for name, cuts in here.groupby("alternative", sort=False):
            curve = pointwise(cuts, draws, seed)
            axis.fill_between(curve.centres, curve.low, curve.high, color=colour_of[route], alpha=0.13, linewidth=0)
            axis.plot(curve.centres, curve.mean, color=colour_of[route], linestyle=style_of[name], linewidth=1.6)
        axis.axhline(0, color=palette.ZERO, linestyle="--", linewidth=0.8, zorder=1)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.tick_params(labelsize=7)
        facts = told[(told["dataset"] == dataset) & (told["route"] == route)]
        axis.text(0.03, 0.07, _facts(facts), transform=axis.transAxes, fontsize=6, color=palette.NOTE, linespacing=1.3)
        if not len(here):
            axis.set_visible(False)
    if not any(axis.get_visible() for axis in axes):
        axes[0].set_visible(True)
        axes[0].text(0.5, 0.5, NONE_RIGHT, transform=axes[0].transAxes, ha="center", va="center", fontsize=6)
    seen = [axis for axis in axes if axis.get_visible()]
    share_limits(seen)
    seen[0].set_ylim(bottom=1.3 * seen[0].get_ylim()[0])  # room for the facts
    share_limits(seen)
    for axis in seen[1:]:
        axis.tick_params(labelleft=False)
    seen[0].set_ylabel("% Change in\nProbability", fontsize=8)
    label = lambda name: f"base: {base}" if name == BASE else f"{_plain(name)} ({names[name]})"  # noqa: E731
    handles = [plt.Line2D([], [], color=palette.INK, linestyle=style_of[name], label=label(name)) for name in names.index]
    part.legend(
        handles=handles,
        loc="outside upper left",
        ncols=len(handles),
        fontsize=7.5,
        title=heading,
        alignment="left",
        frameon=False,
    )
    return seen


def _facts(told: pd.DataFrame) -> str:
    """Questions behind the curves, answers that are right, and the layers of the peaks: the base's first, then the others'.

    "none": the peak is too shallow to have a place.
    """
    listed = lambda column: " / ".join(f"{value:.0f}" if value == value else "none" for value in told[column])  # noqa: E731
    once = lambda column: listed(column) if told[column].nunique() > 1 else f"{told[column].iloc[0]}"  # noqa: E731
    if not len(told):
        return ""
    return f"n = {once('n')} (right: {listed('n_right')} of {once('n_asked')})\npeak at layer {listed('centre')}"


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _shifts(part, models, table, columns, others) -> None:
    """The shift of every route's peak, by choice and alternative."""
    axes = part.subplots(1, len(columns), sharex=True, sharey=True, squeeze=False)[0]
    step = 0.7 / len(models)
    for axis, (dataset, route) in zip(axes, columns):
        axis.axvline(0, color=palette.ZERO, linestyle="--", linewidth=0.8, zorder=1)
        here = table[(table["dataset"] == dataset) & (table["route"] == route) & table["shift"].notna()]
        for place, (choice, name) in enumerate(others):
            of = here[(here["choice"] == choice) & (here["alternative"] == name)]
            for number, (model, colour) in enumerate(zip(models, palette.MODELS)):
                y, one = place + step * (number - (len(models) - 1) / 2), of[of["model"] == model]
                groups, every = one[one["group"] != ALL], one[one["group"] == ALL]
                axis.scatter(groups["shift"], [y] * len(groups), s=9, color=colour, alpha=0.5, linewidth=0)
                axis.plot([*every["shift_low"], *every["shift_high"]], [y] * 2 * len(every), color=colour, linewidth=1.3)
                axis.plot(every["shift"], [y] * len(every), "o", color=colour, markersize=4.5)
        axis.set_title(route_label(route), fontsize=8)
        axis.tick_params(labelsize=7)
    axes[0].set_yticks(range(len(others)), [f"{choice}: {_plain(name)}" for choice, name in others], fontsize=8)
    axes[0].set_ylim(len(others) - 0.5, -0.5)
    part.suptitle("All models: shift of a route's peak against the base, in points (right of 0: a weaker effect)", fontsize=9)
    handles = [plt.Line2D([], [], marker="o", color=colour, label=model) for model, colour in zip(models, palette.MODELS)]
    alone = {"marker": "o", "linestyle": "", "markersize": 3, "color": palette.NEUTRAL}
    handles.append(plt.Line2D([], [], **alone, label="one group of tasks"))
    band = plt.Rectangle((0, 0), 1, 1, color=palette.BAND, alpha=0.2, label="95 % pointwise interval over clips (curves above)")
    part.legend(handles=[*handles, band], loc="outside lower center", ncols=len(handles) + 1, fontsize=7.5)

"""Draw sinks as sources of routes: how many there are, where they lie, their norms, the attention that they draw, and cuts."""

import matplotlib.pyplot as plt
import pandas as pd

from ..results import Effects
from . import palette
from .attention_panels import CLASSES
from .route_panels import by_target, explained, line_panel, share_limits
from .route_styles import colours, route_label, span_label

STYLES = {"sinks": "-", "others": ":"}


def sink_source_panels(models, counts, places, norms, shares, cut: Effects, zero: Effects, routes):
    """One row per model: sinks by layer, their places, norms and share of attention, and the effects of cuts, by target.

    counts, places, norms, shares: tables of `attention.sinks` and `results.sinks`. cut, zero: effects of mask and of value_zero.
    A model without a sink to cut has a line of text in place of a row.
    """
    with_sinks = [model for model in models if (shares["model"] == model).any()]
    lines = "\n".join(_nothing(model, counts[counts["model"] == model]) for model in models if model not in with_sinks)
    if not with_sinks:
        figure = plt.figure(figsize=(7, 0.5 + 0.3 * len(list(models))))
        figure.text(0.5, 0.5, lines, ha="center", va="center", color=palette.NOTE)
        return figure
    sides = by_target(routes)
    figure = plt.figure(figsize=(2.6 * (4 + len(sides)) + 0.6, 1.3 + 2.1 * len(with_sinks)))
    grid, colour_of = figure.subplots(len(with_sinks), 4 + len(sides), squeeze=False), colours(routes)
    for model, line in zip(with_sinks, grid):
        of = lambda table, model=model: table[table["model"] == model]
        _counts(line[0], of(counts))
        line[0].set_ylabel(f"{model}\nSinks per question")
        _places(line[1], of(places))
        _norms(line[2], of(norms))
        _shares(line[3], of(shares), colour_of)
        for axis, side in zip(line[4:], sides):
            line_panel(axis, cut.of(model=model), {route: colour_of[route] for route in side})
            means = zero.of(model=model).rows.groupby(["route", "centre"])["change"].mean()
            for route in side:
                if route in means:
                    axis.plot(means[route].index, means[route], color=colour_of[route], linestyle="--", linewidth=1)
        line[4].set_ylabel(cut.reading.words)
        share_limits(line[4:])
        for axis in line:
            axis.set_xlim(-0.5, of(counts)["layer"].max() + 0.5)
            axis.xaxis.get_major_locator().set_params(integer=True)
    readers = [span_label(side[0].split("->")[1]) for side in sides]
    headings = (
        "Sinks",
        "Where they lie",
        "L2 norm (dotted: others)",
        "Attention to sinks",
        *(f"{name} cannot see sinks" for name in readers),
    )
    for axis, letter, heading in zip(grid[0], "abcdefgh", headings):
        axis.set_title(f"({letter}) {heading}")
    for axis in grid[-1]:
        axis.set_xlabel("Layer")
    handles = [plt.Line2D([], [], color=colour_of[r], label=route_label(r)) for r in routes]
    styles = ((":", 1.2, "as many other tokens of the same kind"), ("--", 1, "values dropped, weights kept"))
    handles += [plt.Line2D([], [], color=palette.INK, linestyle=s, linewidth=w, label=said) for s, w, said in styles]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    figure.legend(handles=explained(cut), loc="outside lower center", ncols=3, fontsize=7, title=lines or None, title_fontsize=8)
    return figure


def _nothing(model: str, counts: pd.DataFrame) -> str:
    """A sentence about a model without a sink to cut. counts: its rows of `attention.sinks`."""
    if not len(counts):
        return f"{model}: no question to show"
    each, n = counts["sinks"].sum() / counts["layer"].nunique(), int(counts["n"].max())
    others = f" ({each:.2g} other tokens per layer are)" if each else ""
    return f"{model}: no token of sound or pictures is a sink{others} in {n} questions, so there is nothing to cut."


def _counts(axis, table) -> None:
    """Sinks per question by layer, in the colours of their classes."""
    layers = sorted(table["layer"].unique())
    for name, here in table.groupby("name", sort=False):
        if name != "none":
            by_layer = here.set_index("layer")["sinks"].reindex(layers).fillna(0)
            axis.plot(layers, by_layer, color=palette.TOKENS[name], label=CLASSES[name])
    axis.set_ylim(0, None if table["sinks"].max() > 0 else 1)
    if axis.lines:
        axis.legend(fontsize=6.5)


def _places(axis, table) -> None:
    """Discs whose area is the share of a class's sinks in each tenth of its tokens."""
    for name, here in table.groupby("name", sort=False):
        axis.scatter(
            here["layer"], 10 * here["tenth"] + 5, s=60 * here["share"], color=palette.TOKENS[name], alpha=0.6, linewidth=0
        )
    axis.set(ylim=(100, 0), ylabel="Place among its kind (%)")


def _norms(axis, table) -> None:
    for name, here in table.groupby("name", sort=False):
        for kind, style in STYLES.items():
            axis.plot(here["layer"], here[kind], color=palette.TOKENS[name], linestyle=style, marker="o", markersize=2.5)
    axis.set_yscale("log")


def _shares(axis, table, colour_of) -> None:
    for (route, kind), here in table.groupby(["route", "kind"], sort=False):
        axis.plot(here["centre"], here["share"], color=colour_of[route], linestyle=STYLES[kind], linewidth=1.6)
        axis.fill_between(here["centre"], here["low"], here["high"], color=colour_of[route], alpha=0.15, linewidth=0)
    said = f"n = {table['n'].max()}" if table["n"].min() == table["n"].max() else f"n = {table['n'].min()} to {table['n'].max()}"
    axis.text(0.03, 0.97, said, transform=axis.transAxes, va="top", fontsize=6, color=palette.NOTE)
    axis.set(ylabel="Share of attention (%)", ylim=(0, 1.2 * max(1, table["high"].max())))  # with room for the line of text

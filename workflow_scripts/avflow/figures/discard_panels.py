"""Discarding tokens: accuracy by the layer after which they leave, and accuracy against the operations saved."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ..results import kinds_of
from . import legends, palette

NAMES = {
    "Ques": "question",
    "Audio": "audio",
    "Video": "video",
    "Ref": "reference",
    "Cand": "candidates",
    "All": "all of them",
    "random": "same number of random tokens",
}


MARKERS = {"Ques": "o", "Audio": "s", "Video": "P", "Ref": "v", "Cand": "h", "All": "*"}
CLOSE = 0.025  # of an axis


def layer_panels(table: pd.DataFrame, margin: float):
    """One row per model and dataset, one panel per kind of token. table: from `by_layer`."""
    lines = list(table.groupby(["model", "dataset"], sort=False))
    most = max(here["discard"].nunique() for _, here in lines)
    figure, grid = plt.subplots(
        len(lines), most, squeeze=False, sharey="row", figsize=(2.3 * most + 0.7, 0.9 + 1.9 * len(lines)), layout="constrained"
    )
    for ((model, dataset), here), axes in zip(lines, grid):
        for axis, (kind, one) in zip(axes, here.groupby("discard", sort=False)):
            colour = palette.DISCARDS.get(kind, palette.OTHER_DISCARD)
            level = one["accuracy_before"].iloc[0]
            axis.axhspan(level - margin, level, color=palette.WITHIN_MARGIN, alpha=0.15, linewidth=0)
            axis.axhline(level, color=palette.ZERO, linestyle="--", linewidth=0.8)
            axis.fill_between(one["layer"], one["random_min"], one["random_max"], color=palette.ZERO, alpha=0.3, linewidth=0)
            axis.plot(one["layer"], one["random"], color=palette.RANDOM, linewidth=1.2)
            low, high = (one[end] + one["accuracy_before"] for end in ("ci_low", "ci_high"))
            axis.fill_between(one["layer"], low.clip(0, 100), high.clip(0, 100), color=colour, alpha=0.18, linewidth=0)
            axis.plot(one["layer"], one["accuracy"], color=colour)
            knee = one["knee"].iloc[0]
            if knee is not None and not np.isnan(knee):
                axis.axvline(knee, color=colour, linestyle=":", linewidth=1.2)
                axis.text(knee, 103, f"{knee:g}", ha="center", va="bottom", fontsize=7, color=colour)
            shown = one[one["non_inferior"]]
            axis.plot(
                shown["layer"], np.full(len(shown), 2.0), linestyle="none", marker="|", markersize=4, color=palette.WITHIN_MARGIN
            )
            axis.set_title(NAMES.get(kind, kind).capitalize(), pad=14)
            axis.set_ylim(0, 103)
            axis.xaxis.get_major_locator().set_params(integer=True)
            axis.text(0.97, 0.06, f"n = {one['n'].max()}", transform=axis.transAxes, fontsize=7, color=palette.NOTE, ha="right")
        for axis in axes[here["discard"].nunique() :]:
            axis.set_visible(False)
        axes[0].set_ylabel(f"{model}\n{dataset}\nAccuracy (%)")
    for axis in grid[-1]:
        axis.set_xlabel("Discarded after layer")
    handles = [
        plt.Line2D([], [], color=palette.INK, label="tokens of this kind discarded (95 %)"),
        plt.Line2D([], [], color=palette.RANDOM, linewidth=1.2, label="same number of random tokens (range of draws)"),
        plt.Line2D(
            [],
            [],
            color=palette.ZERO,
            linestyle="--",
            linewidth=0.8,
            label=f"nothing discarded; shaded: up to {margin:g} points less",
        ),
        plt.Line2D([], [], color=palette.INK, linestyle=":", label="knee: within the margin from here on"),
        plt.Line2D(
            [], [], color=palette.WITHIN_MARGIN, linestyle="none", marker="|", label=f"shown to lose less than {margin:g} points"
        ),
    ]
    legends.fitted(figure, handles, 3, loc="outside upper center")
    return figure


def beside(places: list[float], spans: list[tuple[float, float]]) -> list[float]:
    """Places on an axis, moved to the right where marks would hide each other: closer than `CLOSE`, and spans overlap.

    spans: the lower and upper end of every mark's bar.
    """
    gap, moved, done = CLOSE * ((max(places, default=0) - min(places, default=0)) or 1.0), list(places), []
    hidden = lambda one, other: (  # noqa: E731
        abs(moved[one] - moved[other]) < 0.999 * gap and spans[one][0] <= spans[other][1] and spans[other][0] <= spans[one][1]
    )
    for at in sorted(range(len(places)), key=lambda i: places[i]):
        while near := [other for other in done if hidden(at, other)]:
            moved[at] = max(moved[other] for other in near) + gap
        done.append(at)
    return moved


def trade_panels(table: pd.DataFrame):
    """One row per model, one panel per dataset. table: from `trade`."""
    models, datasets = list(table["model"].unique()), list(table["dataset"].unique())
    size = (3.4 * len(datasets) + 0.6, 0.9 + 2.5 * len(models))
    figure, grid = plt.subplots(len(models), len(datasets), squeeze=False, figsize=size, layout="constrained")
    ranked = sorted({way for way in table["discard"] if way.startswith("FastV")}, key=lambda way: float(way.split("-")[1]))
    greens = dict(zip(ranked, plt.get_cmap("YlGn")(np.linspace(0.45, 0.9, max(1, len(ranked))))))
    angles = dict(zip(ranked, "<^>"))
    handles, kinds = {}, kinds_of(table["discard"])
    for model, axes in zip(models, grid):
        for dataset, axis in zip(datasets, axes):
            here = table[(table["model"] == model) & (table["dataset"] == dataset)]
            axis.axhline(0, color=palette.ZERO, linestyle="--", linewidth=0.8)
            for (_, row), saved in zip(
                here.iterrows(), beside(here["flops_saved"].to_list(), list(zip(here["ci_low"], here["ci_high"])))
            ):
                way = row["discard"]
                colour = palette.DISCARDS.get(way, greens.get(way, palette.RANDOM if way == "random" else palette.MARK))
                marker = MARKERS.get(way, "o") if way in kinds else {"random": "x", "VTW": "D"}.get(way, angles.get(way, "^"))
                span = [[row["change"] - row["ci_low"]], [row["ci_high"] - row["change"]]]
                axis.errorbar(
                    saved,
                    row["change"],
                    yerr=span,
                    color=colour,
                    marker=marker,
                    markersize=5,
                    linewidth=1,
                    capsize=2,
                )
                label = NAMES.get(way, way.replace("FastV-", "FastV keeps "))
                handles[way] = plt.Line2D([], [], color=colour, marker=marker, linestyle="none", label=label)
            axis.set_title(f"{dataset} (n = {here['n'].max()})" if len(here) else dataset)
        axes[0].set_ylabel(f"{model}\nChange of accuracy (points)")
    for axis in grid[-1]:
        axis.set_xlabel("LLM operations saved (%)\nmarks that would hide each other stand side by side", fontsize=8)
    order = [way for way in (*kinds, "random", *ranked, "VTW") if way in handles]
    legends.fitted(figure, [handles[way] for way in order], 6, loc="outside upper center")
    return figure

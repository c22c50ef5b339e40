"""What the model would answer by layer, and how much of its answers survives cumulative cuts and keeping only found routes."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from . import layouts
from .plots import BLUE, CYAN, GREEN, ORANGE, PINK, PURPLE, RED, ordered, route_label, title
from .plots_attention import rows_of
from .statistics import cluster_bootstrap, simultaneous_band

LETTERS = "ABCD"
KINDS = {"correct": ("correct option", GREEN), "wrong": ("mean of the wrong options", RED)}
CUMULATIVE = {"video->question": PURPLE, "audio->question": BLUE, "question->last": ORANGE, "last->last": "0.35"}
DIRECTIONS = {"bottom_up": "Cut in layers 0 to l", "top_down": "Cut in layers l to the last"}


def by_layer(path, models, datasets, draws: int, seed: int) -> pd.DataFrame:
    """Probability of the correct letter and of the mean wrong one, after every layer, on questions answered correctly.

    By model, dataset, group, layer and kind (correct, wrong), with 95 % bands over clips that hold all layers of a group at once.
    """
    found = []
    for dataset in dict.fromkeys(datasets):
        rows = rows_of(path, ["lens"], models, dataset)
        rows = rows[rows["correct_clean"].astype(bool)]
        gold = rows["gold"].map(LETTERS.index).to_numpy(dtype=int)
        p = [np.exp(np.asarray(v, dtype=float)) for v in rows["values"]]
        rows["right"] = [one[g] for one, g in zip(p, gold)]
        rows["wrong"] = [np.delete(one, g).mean() for one, g in zip(p, gold)]
        for (model, group), here in rows.groupby(["model", "group"], sort=False):
            here = here.rename(columns={"right": "correct"})
            wide = here.pivot(index=["question_id", "cluster"], columns="layer", values=["correct", "wrong"])
            curves = simultaneous_band(wide.to_numpy(), wide.index.get_level_values("cluster"), draws, seed)
            for (kind, layer), mean, low, high in zip(wide.columns, *curves):
                entry = dict(model=model, dataset=dataset, group=group, layer=layer, kind=kind, n=len(wide))
                found.append(entry | dict(probability=mean, ci_low=max(low, 0.0), ci_high=min(high, 1.0)))
    columns = ["model", "dataset", "group", "layer", "kind", "n", "probability", "ci_low", "ci_high"]
    return pd.DataFrame(found, columns=columns)


def probability_panels(table: pd.DataFrame, models):
    """A row a model, a panel a group of tasks: what each layer would answer. table: from `by_layer`."""
    groups = ordered(table["group"]) or [""]
    figure, axes = plt.subplots(
        len(models),
        len(groups),
        squeeze=False,
        sharex="row",
        sharey=True,
        figsize=(2.1 * len(groups) + 0.6, 0.7 + 1.9 * len(models)),
    )
    for model, line in zip(models, axes):
        for axis, group in zip(line, groups):
            here = table[(table["model"] == model) & (table["group"] == group)]
            for kind, (label, colour) in KINDS.items():
                one = here[here["kind"] == kind]
                axis.fill_between(one["layer"], one["ci_low"], one["ci_high"], color=colour, alpha=0.2, linewidth=0)
                axis.plot(one["layer"], one["probability"], color=colour, label=label)
            axis.set(title=title(group), ylim=(-0.03, 1.05), xlabel="After layer")
            axis.xaxis.get_major_locator().set_params(integer=True)
            axis.text(
                0.04, 0.9, f"n = {int(here['n'].max()) if len(here) else 0}", transform=axis.transAxes, fontsize=7, color="0.35"
            )
        line[0].set_ylabel(f"{model}\nProbability of the letter")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def answers_kept(path, models, dataset: str, draws: int, seed: int) -> pd.DataFrame:
    """Accuracy and % change of the answer's probability under cumulative cuts, on questions answered correctly.

    By model, group, route, style and centre, with 95 % intervals over clips, each for itself. half: "first" or "second" where the
    cut is exactly that half of the layers.
    """
    columns = "model question_id cluster group route style centre window_start window_stop answer control logp_base p_base_clean"
    keep = [("model", "in", list(models)), ("dataset", "=", dataset), ("correct_clean", "=", True), ("applicable", "=", True)]
    keep += [("cut", "=", "mask"), ("control", "in", ("none", "null")), ("layout", "not in", layouts.NAMES)]
    rows = pq.read_table(path, columns=columns.split(), filters=keep).to_pandas()
    key = ["model", "question_id"]
    base = rows[rows["control"] == "null"].set_index(key)["answer"]
    cut = rows[(rows["control"] == "none") & rows["style"].isin(list(DIRECTIONS))].copy()
    cut["kept"] = (cut["answer"] == base.reindex(pd.MultiIndex.from_frame(cut[key])).to_numpy()).astype(float)
    cut["change"] = 100 * (np.exp(cut["logp_base"]) / cut["p_base_clean"] - 1)
    found = []
    for (model, group, route, style, centre), here in cut.groupby(["model", "group", "route", "style", "centre"], sort=False):
        mean, low, high = cluster_bootstrap(here[["kept", "change"]], here["cluster"], draws, seed)
        depth = cut.loc[cut["model"] == model, "window_stop"].max()
        start, stop = here["window_start"].iloc[0], here["window_stop"].iloc[0]
        half = {(0, depth // 2): "first", (depth // 2, depth): "second"}.get((start, stop), "")
        entry = dict(model=model, group=group, route=route, style=style, centre=centre, half=half, n=len(here))
        entry |= dict(accuracy=mean[0], accuracy_low=low[0], accuracy_high=high[0])
        found.append(entry | dict(change=mean[1], change_low=low[1], change_high=high[1]))
    return pd.DataFrame(found)


def cumulative_panels(table: pd.DataFrame, models):
    """Two rows a model, cut up to a layer and from one on; a panel a group, a line a route. table: from `answers_kept`."""
    groups = ordered(table["group"]) or [""]
    figure, axes = plt.subplots(
        2 * len(models),
        len(groups),
        squeeze=False,
        sharex="row",
        sharey=True,
        figsize=(2.4 * len(groups) + 0.8, 0.7 + 3.5 * len(models)),
    )
    rows = [(model, style) for model in models for style in DIRECTIONS]
    for (model, style), line in zip(rows, axes):
        for axis, group in zip(line, groups):
            here = table[(table["model"] == model) & (table["group"] == group) & (table["style"] == style)].sort_values("centre")
            for route, colour in CUMULATIVE.items():
                one = here[here["route"] == route]
                axis.fill_between(
                    one["centre"], 100 * one["accuracy_low"], 100 * one["accuracy_high"], color=colour, alpha=0.2, linewidth=0
                )
                axis.plot(one["centre"], 100 * one["accuracy"], color=colour, linewidth=1.6)
            axis.xaxis.get_major_locator().set_params(integer=True)
            axis.set(ylim=(-3, 105))
            axis.text(
                0.03, 0.05, f"n = {int(here['n'].max()) if len(here) else 0}", transform=axis.transAxes, fontsize=7, color="0.35"
            )
            if axis in axes[0]:
                axis.set_title(title(group))
            axis.set_xlabel(f"{DIRECTIONS[style]}: l", fontsize=8)
        line[0].set_ylabel(f"{model}\nAccuracy (%)")
    handles = [plt.Line2D([], [], color=colour, label=route_label(route)) for route, colour in CUMULATIVE.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    return figure


def sufficiency(path, models, dataset: str, draws: int, seed: int) -> pd.DataFrame:
    """Share of tested edges that stay open and of answers that stay the same, by model, kind and threshold, with 95 % intervals.

    On questions that are answered correctly; random draws of a question are meaned first.
    """
    keep = [("model", "in", list(models)), ("dataset", "=", dataset), ("correct_clean", "=", True)]
    rows, found = pq.read_table(path, filters=keep).to_pandas(), []
    for (model, kind, threshold), here in rows.groupby(["model", "kind", "threshold"], sort=False):
        one = (
            here.assign(kept=here["kept"].astype(float))
            .groupby(["question_id", "cluster"])[["kept", "share"]]
            .mean()
            .reset_index()
        )
        mean, low, high = cluster_bootstrap(one[["kept", "share"]], one["cluster"], draws, seed)
        entry = dict(model=model, kind=kind, threshold=threshold, n=len(one), share=mean[1], accuracy=mean[0])
        found.append(entry | dict(ci_low=low[0], ci_high=high[0]))
    return pd.DataFrame(found)


def sufficiency_panels(table: pd.DataFrame, models):
    """A panel a model: accuracy against the share of tested edges that are kept open. table: from `sufficiency`."""
    figure, axes = plt.subplots(1, len(models), squeeze=False, sharey=True, figsize=(3.6 * len(models) + 0.5, 3.2))
    for model, axis in zip(models, axes[0]):
        mine = table[table["model"] == model]
        ends = mine[mine["kind"].isin(["all", "none"])].sort_values("share")
        axis.plot(
            100 * ends["share"], 100 * ends["accuracy"], color="0.4", marker="s", linestyle="", label="all or none of the edges"
        )
        for kind, colour, label in (("random", CYAN, "as many random edges"), ("found", PINK, "only the found routes")):
            one = mine[mine["kind"] == kind].sort_values("share")
            error = 100 * np.stack([one["accuracy"] - one["ci_low"], one["ci_high"] - one["accuracy"]]).clip(min=0)
            axis.errorbar(
                100 * one["share"],
                100 * one["accuracy"],
                error,
                color=colour,
                marker="o",
                markersize=4,
                linewidth=1.2,
                label=label,
            )
        found = mine[mine["kind"] == "found"].assign(place=lambda t: t["share"].round(2))
        for number, (_, here) in enumerate(found.groupby("place")):  # one label where points lie on each other
            named = ", ".join(f"{t:g}" for t in sorted(here["threshold"]))
            at = (100 * here["share"].iloc[0], 100 * here["accuracy"].iloc[0])
            axis.annotate(
                named + " %", at, fontsize=6.5, xytext=(6, -10 + 15 * (number % 2)), textcoords="offset points", color=PINK
            )
        axis.set(xlabel="Tested edges that stay open (%)", title=f"{model}, n = {int(mine['n'].max())}", ylim=(0, 109))
    axes[0, 0].set_ylabel("Accuracy (%)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure

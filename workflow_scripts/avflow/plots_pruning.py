"""Discarding tokens: accuracy by the layer after which they leave, and accuracy against the work that is saved."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from .plots import BLUE, CYAN, GREEN, ORANGE, PINK, PURPLE, RED
from .statistics import non_inferior, paired_change

COLOURS = {"Ques": ORANGE, "Audio": BLUE, "Video": PURPLE, "Ref": PINK, "Cand": CYAN, "All": RED}
NAMES = {
    "Ques": "question",
    "Audio": "audio",
    "Video": "video",
    "Ref": "reference",
    "Cand": "candidates",
    "All": "all of them",
    "random": "as many random tokens",
}


def _kinds(discards) -> list[str]:
    """The kinds of token among ways of discarding: those of the paper, others of config.yaml, and all of them."""
    found = [name for name in pd.unique(discards) if name not in ("none", "vision", "random", "VTW") and "-" not in name]
    places = list(COLOURS)
    return sorted(found, key=lambda name: (name == "All", places.index(name) if name in places else len(places)))


def by_layer(path, models, datasets, margin: float, draws: int, seed: int) -> pd.DataFrame:
    """A row a model, dataset, kind of token and layer: accuracy and its change in points, with those of random discards.

    path: of the gathered table of discard_sweep. change is against the same questions without discards, ci_low and ci_high its
    95 % interval; random the mean over draws, and random_min and random_max the lowest and highest of them. non_inferior: shown
    to lose at most `margin` points after this layer; 2 points need 189 unchanged answers, so false shows nothing. knee: the first
    layer from which on the change never falls below the margin.
    """
    rows = pq.read_table(path, filters=[("dataset", "in", list(datasets))]).to_pandas()
    found = []
    for (model, dataset), here in rows[rows["model"].isin(models)].groupby(["model", "dataset"], sort=False):
        base = here[here["control"] == "null"].set_index("question_id")
        for kind in _kinds(here["discard"]):
            curve = []
            for layer, at in here[here["discard"] == kind].groupby("layer"):
                mine = at[at["control"] == "none"].set_index("question_id")["correct"]
                before = base.loc[mine.index]
                change, low, high = paired_change(before["correct"], mine, before["cluster"], draws, seed)
                drawn = 100 * at[at["control"] == "random"].groupby("draw")["correct"].mean()
                entry = {"model": model, "dataset": dataset, "discard": kind, "layer": layer, "n": len(mine)}
                entry |= {"accuracy": 100 * mine.mean(), "accuracy_before": 100 * before["correct"].mean(), "change": change}
                entry |= {"ci_low": low, "ci_high": high, "non_inferior": non_inferior(low, margin)}
                entry |= {"random": drawn.mean(), "random_min": drawn.min(), "random_max": drawn.max()}
                curve.append(entry)
            kept = np.array([entry["change"] >= -margin for entry in curve])
            first = len(kept) - int(np.argmin(kept[::-1])) if not kept.all() else 0
            knee = curve[first]["layer"] if first < len(kept) else None
            found += [{**entry, "knee": knee} for entry in curve]
    return pd.DataFrame(found)


def layer_panels(table: pd.DataFrame, margin: float):
    """A row of panels a model and dataset, a panel a kind of token; table: from `by_layer`."""
    lines = list(table.groupby(["model", "dataset"], sort=False))
    most = max(here["discard"].nunique() for _, here in lines)
    figure, grid = plt.subplots(
        len(lines), most, squeeze=False, sharey="row", figsize=(2.3 * most + 0.7, 0.9 + 1.9 * len(lines)), layout="constrained"
    )
    for ((model, dataset), here), axes in zip(lines, grid):
        for axis, (kind, one) in zip(axes, here.groupby("discard", sort=False)):
            colour = COLOURS.get(kind, GREEN)
            level = one["accuracy_before"].iloc[0]
            axis.axhspan(level - margin, level, color=GREEN, alpha=0.15, linewidth=0)
            axis.axhline(level, color="0.5", linestyle="--", linewidth=0.8)
            axis.fill_between(one["layer"], one["random_min"], one["random_max"], color="0.5", alpha=0.3, linewidth=0)
            axis.plot(one["layer"], one["random"], color="0.45", linewidth=1.2)
            low, high = (one[end] + one["accuracy_before"] for end in ("ci_low", "ci_high"))
            axis.fill_between(one["layer"], low.clip(0, 100), high.clip(0, 100), color=colour, alpha=0.18, linewidth=0)
            axis.plot(one["layer"], one["accuracy"], color=colour)
            knee = one["knee"].iloc[0]
            if knee is not None and not np.isnan(knee):
                axis.axvline(knee, color=colour, linestyle=":", linewidth=1.2)
                axis.text(knee, 103, f"{knee:g}", ha="center", va="bottom", fontsize=7, color=colour)
            shown = one[one["non_inferior"]]
            axis.plot(shown["layer"], np.full(len(shown), 2.0), linestyle="none", marker="|", markersize=4, color=GREEN)
            axis.set_title(NAMES.get(kind, kind).capitalize(), pad=14)
            axis.set_ylim(0, 103)
            axis.xaxis.get_major_locator().set_params(integer=True)
            axis.text(0.97, 0.06, f"n = {one['n'].max()}", transform=axis.transAxes, fontsize=7, color="0.35", ha="right")
        for axis in axes[here["discard"].nunique() :]:
            axis.set_visible(False)
        axes[0].set_ylabel(f"{model}\n{dataset}\nAccuracy (%)")
    for axis in grid[-1]:
        axis.set_xlabel("Discarded after layer")
    handles = [
        plt.Line2D([], [], color="0.2", label="tokens of this kind discarded (95 %)"),
        plt.Line2D([], [], color="0.45", linewidth=1.2, label="as many random tokens (range of draws)"),
        plt.Line2D([], [], color="0.5", linestyle="--", linewidth=0.8, label=f"nothing discarded, and {margin:g} points below"),
        plt.Line2D([], [], color="0.2", linestyle=":", label="knee: within the margin from here on"),
        plt.Line2D([], [], color=GREEN, linestyle="none", marker="|", label=f"shown to lose less than {margin:g} points"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure


def trade(path, models, datasets, margin: float, draws: int, seed: int) -> pd.DataFrame:
    """A row a model, dataset and way of discarding: share of the LLM's operations saved, and the change of accuracy in points.

    path: of the gathered table of pruning. Random draws are one row: the change is that of all their answers together.
    """
    rows = pq.read_table(path, filters=[("dataset", "in", list(datasets))]).to_pandas()
    found = []
    for (model, dataset), here in rows[rows["model"].isin(models)].groupby(["model", "dataset"], sort=False):
        base = here[here["discard"] == "none"].set_index("question_id")
        for way, mine in here[here["discard"] != "none"].groupby("discard", sort=False):
            before = base.loc[mine["question_id"]]
            clusters = before["cluster"].to_numpy()
            if mine["draw"].nunique() > 1:  # answers of several draws to one question are not independent either
                after = mine.groupby("question_id")["correct"].mean()
                order = base.loc[after.index]
                change, low, high = paired_change(order["correct"], after, order["cluster"], draws, seed)
            else:
                change, low, high = paired_change(before["correct"].to_numpy(), mine["correct"].to_numpy(), clusters, draws, seed)
            saved = 1 - mine["flops_llm"].sum() / before["flops_llm"].sum()
            entry = {
                "model": model,
                "dataset": dataset,
                "discard": way,
                "n": mine["question_id"].nunique(),
                "flops_saved": 100 * saved,
            }
            entry |= {"kv_saved": 100 * (1 - mine["kv_bytes"].sum() / before["kv_bytes"].sum())}
            entry |= {"change": change, "ci_low": low, "ci_high": high, "non_inferior": non_inferior(low, margin)}
            timed = mine["prefill_ms"].notna().to_numpy()
            taken, clean = mine["prefill_ms"][timed].sum(), before["prefill_ms"][timed].sum()
            found.append({**entry, "prefill_saved": 100 * (1 - taken / clean) if timed.any() else np.nan})
    return pd.DataFrame(found)


def trade_panels(table: pd.DataFrame):
    """A row of panels a model, a panel a dataset; table: from `trade`."""
    models, datasets = list(table["model"].unique()), list(table["dataset"].unique())
    size = (3.4 * len(datasets) + 0.6, 0.9 + 2.5 * len(models))
    figure, grid = plt.subplots(len(models), len(datasets), squeeze=False, figsize=size, layout="constrained")
    ranked = sorted({way for way in table["discard"] if way.startswith("FastV")}, key=lambda way: float(way.split("-")[1]))
    greens = dict(zip(ranked, plt.get_cmap("YlGn")(np.linspace(0.45, 0.9, max(1, len(ranked))))))
    handles, kinds = {}, _kinds(table["discard"])
    for model, axes in zip(models, grid):
        for dataset, axis in zip(datasets, axes):
            here = table[(table["model"] == model) & (table["dataset"] == dataset)]
            axis.axhline(0, color="0.5", linestyle="--", linewidth=0.8)
            for _, row in here.iterrows():
                way = row["discard"]
                colour = COLOURS.get(way, greens.get(way, "0.45" if way == "random" else GREEN))
                marker = "o" if way in kinds else {"random": "x", "VTW": "D"}.get(way, "^")
                span = [[row["change"] - row["ci_low"]], [row["ci_high"] - row["change"]]]
                axis.errorbar(
                    row["flops_saved"],
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
        axis.set_xlabel("LLM operations saved (%)")
    order = [way for way in (*kinds, "random", *ranked, "VTW") if way in handles]
    figure.legend(handles=[handles[way] for way in order], loc="outside upper center", ncols=6)
    return figure

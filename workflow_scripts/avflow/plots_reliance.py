"""What answers rest on: accuracy with a sense taken away, beside the effect of cutting each sense's route to the question."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from .plots import BLUE, GREEN, ORANGE, PURPLE, rank, route_label, title
from .plots_baseline import needs_of
from .statistics import cluster_bootstrap

LOOKS = {
    "as_is": ("as it is", GREEN),
    "muted": ("sounds muted", BLUE),
    "blanked": ("pictures blanked", PURPLE),
    "text_only": ("both", "0.6"),
    "swapped": ("another clip's sound", ORANGE),
}
SENSES = {"audio->question": "muted", "video->question": "blanked"}  # a sense's route, and the variant without that sense


def reliance(path, evaluated, draws: int, seed: int, by: str = "task") -> pd.DataFrame:
    """By model, dataset and task (or `by` "group"): accuracy as is (table `evaluated`) and in every variant (table `path`);

    use of the letters; effect of shuffling. swapped_n: questions that another clip's sound could be found for. share_A ..
    share_D: how often each letter is answered as is. same_content: share of questions whose answered content is the same in every
    order of the options. needs_audio: share of questions that sound decides alone or with the picture.
    """
    changed, as_is = pq.read_table(path).to_pandas(), pq.read_table(evaluated).to_pandas().assign(variant="as_is")
    key = ["model", "dataset", "question_id"]
    asked = as_is.merge(changed[key].drop_duplicates(), on=key)  # of those that were asked again
    rows = pd.concat([asked, changed])
    found = []
    for (model, dataset, *keys), here in rows.groupby(
        ["model", "dataset", *(["task", "group"] if by == "task" else ["group"])], sort=False
    ):
        wide = here.pivot(index=["question_id", "cluster"], columns="variant", values="correct").astype(float)
        clusters = wide.index.get_level_values("cluster")
        as_is = here[here["variant"] == "as_is"]
        entry = {"model": model, "dataset": dataset, "task": keys[0], "group": keys[-1], "n": len(wide)}
        entry["needs"] = needs_of(as_is["needs"])
        entry["needs_audio"] = as_is["needs"].str.contains("A").mean()
        for variant in LOOKS:
            values = wide[[variant]].to_numpy() if variant in wide else np.full((len(wide), 1), np.nan)
            mean, low, high = cluster_bootstrap(values, clusters, draws, seed)
            entry.update({variant: mean[0], f"{variant}_low": low[0], f"{variant}_high": high[0]})
        entry["swapped_n"] = int(wide["swapped"].notna().sum()) if "swapped" in wide else 0
        entry.update({f"share_{x}": (as_is["answer"] == x).mean() for x in "ABCD"})
        orders = here[(here["variant"] == "as_is") | here["variant"].str.startswith("shuffled")]
        entry["same_content"] = (orders.groupby("question_id")["content"].nunique() == 1).mean()
        entry["chance"] = (1 / as_is[[f"logit_{x}" for x in "ABCD"]].notna().sum(axis=1)).mean()
        found.append(entry)
    return pd.DataFrame(sorted(found, key=lambda one: (one["model"], rank(one["group"]))))


def areas(rows: pd.DataFrame, table: pd.DataFrame, draws: int, seed: int) -> pd.DataFrame:
    """Every sense's route beside what its absence costs, by model and group of tasks.

    rows: from `effects.relative_change`, one width a model; table: rows of `reliance` by group, of the same dataset. area: the
    mean change over all centres, so that of the whole depth; lost: accuracy as is minus accuracy without the sense, in points.
    Columns: model, group, route, n, area, low, high, lost.
    """
    found = []
    for route, variant in SENSES.items():
        for (model, group), here in rows[rows["route"] == route].groupby(["model", "group"], sort=False):
            mine = here.groupby(["question_id", "cluster"])["change"].mean()
            mean, low, high = cluster_bootstrap(mine.to_numpy()[:, None], mine.index.get_level_values("cluster"), draws, seed)
            one = table[(table["model"] == model) & (table["group"] == group)]
            lost = 100 * float((one["as_is"] - one[variant]).iloc[0]) if len(one) else np.nan
            entry = dict(model=model, group=group, route=route, n=len(mine), area=mean[0], low=low[0], high=high[0], lost=lost)
            found.append(entry)
    return pd.DataFrame(found, columns=["model", "group", "route", "n", "area", "low", "high", "lost"])


def dial(table: pd.DataFrame, rows: pd.DataFrame, routes, draws: int, seed: int) -> pd.DataFrame:
    """The graded tasks' route effects by how many of their questions sound decides.

    table: from `reliance`, the graded tasks; rows: from `effects.relative_change` for their dataset. Each route is read at the
    centre where it matters most to a model over all tasks together. Columns: model, task, needs_audio, route, centre, mean, low,
    high.
    """
    found = []
    for (model, route), one in rows[rows["route"].isin(routes)].groupby(["model", "route"], sort=False):
        centre = one.groupby("centre")["change"].mean().idxmin()
        mine = table[table["model"] == model]
        for task, needs_audio in zip(mine["task"], mine["needs_audio"]):
            here = one[(one["task"] == task) & (one["centre"] == centre)]
            mean, low, high = cluster_bootstrap(here[["change"]].to_numpy(), here["cluster"], draws, seed)
            entry = {"model": model, "task": task, "needs_audio": needs_audio, "route": route, "centre": centre}
            found.append({**entry, "mean": mean[0], "low": low[0], "high": high[0]})
    return pd.DataFrame(found, columns=["model", "task", "needs_audio", "route", "centre", "mean", "low", "high"])


def reliance_panels(models, table: pd.DataFrame, sides: pd.DataFrame, graded: pd.DataFrame, effects: pd.DataFrame, colours: dict):
    """A row of panels a model: (a) accuracy by task in every variant; (b) a route's effect by what its sense's absence costs;

    where there are graded tasks also (c) accuracy over them and (d) route effects over them.
    table: rows of `reliance` without the graded tasks; sides: from `areas`; graded: the graded tasks' rows; effects: from `dial`.
    """
    models, of = list(models), lambda rows, model: rows[rows["model"] == model]
    most = max((len(of(table, model)) for model in models), default=1)
    widths = [min(max(3.6, 0.75 * most), 10), 2.8, *([2.6, 2.8] if len(graded) else [])]
    size = (sum(widths) + 0.4, 0.5 + 2.6 * len(models))
    figure, grid = plt.subplots(len(models), len(widths), figsize=size, width_ratios=widths, squeeze=False)
    for model, axes in zip(models, grid):
        _variant_bars(axes[0], of(table, model))
        _area_points(axes[1], of(sides, model), colours)
        if len(models) > 1:
            axes[0].set_ylabel(f"{model}\nAccuracy (%)")
        if len(graded):
            _graded_accuracy(axes[2], of(graded, model))
            _graded_effects(axes[3], of(effects, model), colours)
            for axis in axes[2:]:
                axis.set_xlabel("Clips in which only sound tells, as drawn (%)")
    headings = ("Accuracy without a sense; dashed: chance", "Effect of each sense's route", "Accuracy, graded")
    for axis, letter, heading in zip(grid[0], "abcd", (*headings, "Effect of a route, graded")):
        axis.set_title(f"({letter}) {heading}")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=len(LOOKS))
    return figure


def _variant_bars(axis, table) -> None:
    at = np.arange(len(table))
    for i, (variant, (label, colour)) in enumerate(LOOKS.items()):
        error = 100 * np.stack([table[variant] - table[f"{variant}_low"], table[f"{variant}_high"] - table[variant]])
        x = at + 0.17 * (i - 2)
        axis.bar(x, 100 * table[variant], 0.16, yerr=error, color=colour, label=label, error_kw={"linewidth": 0.8})
    axis.hlines(100 * table["chance"], at - 0.45, at + 0.45, color="0.3", linestyle="--", linewidth=1)
    names = [t if t == g or g not in ("A2I", "I2A") or "-to-" in t else f"{t} {g}" for t, g in zip(table["task"], table["group"])]
    labels = [name.replace("_", " ").replace("-to-", " to ") for name in names]
    if len(table) < 9:
        axis.set_xticks(at, [f"{label}\n(needs {needs})" for label, needs in zip(labels, table["needs"])], fontsize=6)
    else:
        axis.set_xticks(at, labels, fontsize=6, rotation=35, ha="right")
    axis.set(ylim=(0, 109), ylabel="Accuracy (%)")


def _area_points(axis, sides, colours) -> None:
    axis.axhline(0, color="0.5", linestyle="--", linewidth=0.8)
    for route, here in sides.groupby("route", sort=False) if len(sides) else []:
        error = np.stack([here["area"] - here["low"], here["high"] - here["area"]])
        axis.errorbar(
            here["lost"],
            here["area"],
            error,
            color=colours[route],
            marker="o",
            markersize=4,
            linestyle="",
            label=route_label(route),
        )
    near = sides.groupby([(sides["lost"] / 4).round(), sides["area"].round()]) if len(sides) else []
    for _, here in near:  # one label where points lie on each other
        names = ", ".join(dict.fromkeys(title(group) for group in here["group"]))
        place = here[["lost", "area"]].iloc[0]
        axis.annotate(names, place, fontsize=5.5, xytext=(3, 2), textcoords="offset points", color="0.3")
    axis.set(xlabel="Accuracy lost without the sense (points)", ylabel="Mean % change over the depth")
    if len(sides):
        axis.legend(loc="lower left", fontsize=6.5)


def _graded_accuracy(axis, graded) -> None:
    order = graded.sort_values("needs_audio")
    share = 100 * order["needs_audio"]
    for variant, (_, colour) in LOOKS.items():
        axis.plot(share, 100 * order[variant], color=colour, marker="o", markersize=4)
        axis.fill_between(share, 100 * order[f"{variant}_low"], 100 * order[f"{variant}_high"], color=colour, alpha=0.2, lw=0)
    axis.axhline(25, color="0.3", linestyle="--", linewidth=1)
    axis.set(ylim=(0, 109), ylabel="Accuracy (%)")


def _graded_effects(axis, effects, colours) -> None:
    drawn = effects.sort_values("needs_audio").groupby("route", sort=False) if len(effects) else []
    for route, here in drawn:
        share = 100 * here["needs_audio"]
        slope, start = np.polyfit(share, here["mean"], 1)
        axis.plot(share, start + slope * share, color=colours[route], linewidth=1, linestyle="--")
        error = np.stack([here["mean"] - here["low"], here["high"] - here["mean"]])
        label = f"{route_label(route)} (layer {here['centre'].iloc[0]})"
        axis.errorbar(share, here["mean"], error, color=colours[route], marker="o", markersize=4, linestyle="", label=label)
    axis.set(ylim=(-125, 8), ylabel="% Change in Probability")
    axis.legend(loc="lower center", fontsize=7)

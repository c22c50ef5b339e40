"""Figures 1 and 2: where the last token looks, pooled attention maps, and sink tokens and dimensions."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm

from ..results import rows_of
from ..tracing import sinks as definition
from . import palette

CLASSES = {  # class of token -> its label; colours and the order of the bars: `palette.TOKENS`
    "system": "System",
    "delimiter": "Delimiters",
    "video": "Video",
    "candidates": "Candidates",
    "audio": "Audio",
    "reference": "Reference",
    "question": "Question",
    "options": "Options",
    "last": "Last (itself)",
}
WEAK = 1e-4  # weaker attention is drawn with this value


def share_bars(axis, table: pd.DataFrame) -> None:
    """One model's shares as stacked bars, one per layer."""
    wide = table.pivot(index="layer", columns="name", values="share").fillna(0.0)
    below = np.zeros(len(wide))
    for name, colour in palette.TOKENS.items():
        if name in wide:
            axis.bar(wide.index, wide[name], 0.85, bottom=below, color=colour, linewidth=0)
            below += wide[name].to_numpy()
    axis.set(xlim=(wide.index.min() - 0.6, wide.index.max() + 0.6), ylim=(0, 1))
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.grid(False)


def one_map(rows: pd.DataFrame, layer: int, name: str = "uncut") -> np.ndarray:
    """A question's map (B, B) over B bins; rows are queries."""
    here = rows[(rows["kind"] == "map") & (rows["layer"] == layer) & (rows["name"] == name)].sort_values("number")
    return np.stack(here["values"].to_list())


def draw_map(axis, values: np.ndarray):
    """Draw a map in logarithmic colours. Keys that a query cannot see are white."""
    shown = np.where(values > 0, np.maximum(values, WEAK), np.nan)
    return axis.imshow(shown, norm=LogNorm(WEAK, 1), cmap="viridis", interpolation="nearest")


def strips(axis, bins: pd.DataFrame) -> None:
    """Draw coloured strips left of and above a map that show the class of each bin."""
    count, wide = len(bins), 0.035 * len(bins)
    for number, name in zip(bins["number"], bins["name"]):
        colour = palette.TOKENS[name]
        for place, size in (((number - 0.5, -0.5 - wide), (1, wide)), ((-0.5 - wide, number - 0.5), (wide, 1))):
            axis.add_patch(plt.Rectangle(place, *size, color=colour, linewidth=0, clip_on=False))
    axis.set(xlim=(-0.5, count - 0.5), ylim=(count - 0.5, -0.5), xticks=[], yticks=[])
    axis.grid(False)


def first_mapped(rows: pd.DataFrame, model: str) -> pd.DataFrame:
    """The rows of a model's first question that has maps."""
    mine = rows[rows["model"] == model]
    ids = mine.loc[mine["kind"] == "bins", "question_id"]
    return mine[mine["question_id"] == ids.iloc[0]] if len(ids) else mine.iloc[:0]


def sink_bins(one: pd.DataFrame, layer: int) -> list[int]:
    """The bins of a question's map that hold a sink token in a layer."""
    sinks = one[(one["kind"] == "sinks") & (one["layer"] == layer)]["values"]
    positions = np.concatenate([[], *sinks])
    bins = one[one["kind"] == "bins"]
    inside = [(p[0] <= positions) & (positions < p[1]) for p in bins["values"]]
    return [int(number) for number, here in zip(bins["number"], inside) if here.any()]


def legend(figure, names, more=(), **where) -> None:
    """Add a legend of token classes. Classes of the same colour share an entry. more: handles that follow."""
    by_colour = {}
    for name, label in CLASSES.items():
        if name in names:
            by_colour.setdefault(palette.TOKENS[name], []).append(label)
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour, label=" / ".join(labels)) for colour, labels in by_colour.items()]
    handles += more
    figure.legend(handles=handles, **{"loc": "outside upper center", "ncols": 5 if more else 9, **where})


def attention_panels(path, models, dataset: str, table: pd.DataFrame, layers: dict):
    """Figure 1, one row per model: bars of attention shares by layer, then one question's maps at two layers.

    table: from `shares`; layers: from `map_layers`. Arrows above the keys mark sinks.
    """
    rows = rows_of(path, ["bins", "map", "sinks"], models, dataset)
    figure, axes = plt.subplots(
        len(models), 3, squeeze=False, figsize=(9.6, 0.6 + 2.7 * len(models)), gridspec_kw={"width_ratios": [1.35, 1, 1]}
    )
    arrows = 0
    for model, line in zip(models, axes):
        mine, one = table[table["model"] == model], first_mapped(rows, model)
        share_bars(line[0], mine)
        count = int(mine["n"].iloc[0])
        line[0].set(ylabel=f"{model}\nAttention of the last token", xlabel="Layer")
        line[0].set_title(f"Mean over {count} questions and all heads", pad=12)
        for layer in layers[model]:
            line[0].plot([layer], [1.02], marker="v", color=palette.MARK, markersize=4, clip_on=False)
        for axis, layer in zip(line[1:], layers[model]):
            drawn = draw_map(axis, one_map(one, layer))
            strips(axis, one[one["kind"] == "bins"])
            marked = sink_bins(one, layer)
            arrows += len(marked)
            for number in marked:
                axis.annotate(
                    "",
                    (number, -2.6),
                    (number, -6),
                    arrowprops={"arrowstyle": "->", "color": palette.SINK},
                    annotation_clip=False,
                )
            axis.set_xlabel(f"Keys, layer {layer}")
            axis.set_ylabel("Queries", labelpad=9)
        figure.colorbar(drawn, ax=line[2], label="Share of the query's attention", shrink=0.9)
    mark = dict(linestyle="none", markersize=5)
    more = [plt.Line2D([], [], color=palette.MARK, marker="v", label="layer whose map is shown", **mark)]
    if arrows:
        more.append(plt.Line2D([], [], color=palette.SINK, marker="$\\downarrow$", label="sink token", **mark))
    legend(figure, set(table["name"]), more)
    return figure


def sink_panels(path, models, dataset: str, layers: dict):
    """Figure 2, one row per model, for one question at two layers: L2 norm by position, and activation by dimension.

    layers: from `map_layers`. Rings mark sinks, and numbers name sink dimensions.
    """
    rows = rows_of(path, ["bins", "sinks", "sink_dimensions", "norms", "activations"], models, dataset)
    figure, axes = plt.subplots(len(models), 4, squeeze=False, figsize=(12.5, 0.7 + 2.2 * len(models)))
    seen = set()
    for model, line in zip(models, axes):
        one = first_mapped(rows, model)
        bins, of = one[one["kind"] == "bins"].sort_values("number"), one[one["kind"] != "bins"]
        for axis, other, layer in zip(line[:2], line[2:], layers[model]):
            here = of[of["layer"] == layer]
            norms = here[here["kind"] == "norms"]["values"].iloc[0]
            for name, (start, stop) in zip(bins["name"], bins["values"]):
                at = np.arange(int(start), int(stop))
                axis.scatter(at, norms[at], s=5, color=palette.TOKENS[name], linewidths=0)
                seen.add(name)
            marked = np.concatenate([[], *here[here["kind"] == "sinks"]["values"]]).astype(int)
            axis.scatter(marked, norms[marked], s=40, facecolors="none", edgecolors=palette.SINK)
            axis.set(xlabel="Position", title=f"Input of layer {layer}: {len(marked) or 'no'} sinks", ylim=(0, None))
            shared = _activation_panel(other, here, layer)
            if shared and not len(marked):
                axis.set_title(f"Input of layer {layer}: no sinks\n(the median token is as large)", fontsize=8)
        line[0].set_ylabel(f"{model}\nL2 norm")
        line[2].set_ylabel(r"$|x / \mathrm{RMS}(x)|$")
    legend(figure, seen)
    return figure


def _activation_panel(axis, here, layer) -> bool:
    """Draw activations; returns whether the median token reaches the threshold: what all tokens share marks no sink."""
    of = {name: here[(here["kind"] == "activations") & (here["name"] == name)]["values"].iloc[0] for name in ("first", "median")}
    at = np.arange(len(of["first"]))
    axis.vlines(at, 0, of["first"], color=palette.FIRST_TOKEN, linewidth=0.8, label="first token")
    axis.plot(at, of["median"], color=palette.MEDIAN_TOKEN, linewidth=0.8, label="median token")
    tau = definition.threshold(len(at))
    axis.axhline(tau, color=palette.SINK, linestyle="--", linewidth=0.8, label="sink threshold")
    for d in np.concatenate([[], *here[here["kind"] == "sink_dimensions"]["values"]]).astype(int):
        axis.annotate(str(d), (d, of["first"][d]), fontsize=6.5, color=palette.SINK, xytext=(2, 0), textcoords="offset points")
    axis.set(
        xlabel="Hidden dimension",
        title=f"Input of layer {layer}",
        ylim=(0, 1.35 * max(tau, of["first"].max(), of["median"].max())),
    )
    axis.legend(fontsize=6, loc="upper right", ncols=3, handlelength=1, columnspacing=0.8)
    return bool(of["median"].max() >= tau)

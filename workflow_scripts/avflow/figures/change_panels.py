"""How a cut changes attention: maps with and without the cut, and where the question and the last token look."""

import matplotlib.pyplot as plt
import numpy as np

from ..results import rows_of
from ..results.attention import LOOKING, changed_layer, flows
from . import palette
from .attention_panels import draw_map, first_mapped, legend, one_map, strips
from .route_styles import route_label

DRAWN = ("video", "audio", "question", "options")  # classes that get a line; the table has all classes


def change_panels(path, models, dataset: str, route: str, layers: list):
    """One row per model: one question's maps uncut and cut, their difference, and lines of attention by layer.

    The maps are of the layer that changes most; the lines are means over all questions with maps. layers: the cut layers, from
    one share of the depth to another. Returns the figure and the table of `flows`.
    """
    rows = rows_of(path, ["bins", "map"], models, dataset)
    table = flows(rows)
    figure, axes = plt.subplots(len(models), 5, squeeze=False, figsize=(15.5, 0.9 + 2.6 * len(models)))
    seen = set()
    for model, line in zip(models, axes):
        one, layer = first_mapped(rows, model), changed_layer(table, model)
        bins = one[one["kind"] == "bins"]
        uncut, cut = (one_map(one, layer, name) for name in ("uncut", "cut"))
        for axis, square, title in zip(line, (uncut, cut), ("uncut", "cut")):
            drawn = draw_map(axis, square)
            axis.set_title(f"Layer {layer}, {title}", pad=10)
        figure.colorbar(drawn, ax=line[1], shrink=0.85, label="Share of attention")
        most = np.abs(cut - uncut).max()
        drawn = line[2].imshow(cut - uncut, cmap="RdBu_r", vmin=-most, vmax=most, interpolation="nearest")
        line[2].set_title("Difference", pad=10)
        figure.colorbar(drawn, ax=line[2], shrink=0.85, label="Cut - uncut")
        for axis in line[:3]:
            strips(axis, bins)
            axis.set_xlabel("Keys")
        line[0].set_ylabel(f"{model}\nQueries", labelpad=9)
        for axis, query in zip(line[3:], LOOKING):
            seen |= _flow_panel(axis, table[(table["model"] == model) & (table["query"] == query)], layers)
            name = {"question": "question's tokens", "last": "last token"}[query]
            axis.set(xlabel="Layer", title=f"Attention of the {name}")
    count = int(table["n"].max())
    words = f"Cut: {route_label(route)} in the shaded layers. Lines: mean of {count} questions; dashed: with the cut"
    figure.supxlabel(words, fontsize=9)
    legend(figure, seen | set(rows.loc[rows["kind"] == "bins", "name"]))
    return figure, table


def _flow_panel(axis, here, layers) -> set:
    depth = here["layer"].max() + 1
    axis.axvspan(round(layers[0] * depth) - 0.5, round(layers[1] * depth) - 0.5, color=palette.ZERO, alpha=0.15, linewidth=0)
    seen = set()
    for (name, variant), one in here[here["name"].isin(DRAWN)].groupby(["name", "variant"], sort=False):
        dashed = "--" if variant == "cut" else "-"
        axis.plot(one["layer"], one["share"], color=palette.TOKENS[name], linestyle=dashed, linewidth=1.4)
        seen.add(name)
    axis.set(ylim=(-0.02, 1.02))
    axis.xaxis.get_major_locator().set_params(integer=True)
    return seen

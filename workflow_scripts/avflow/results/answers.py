"""What each layer would answer, and how many answers survive cumulative cuts or keeping only the found routes."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ..questions import layouts
from . import free_answers
from .attention import rows_of
from .statistics import cluster_bootstrap, proportion, simultaneous_band

LETTERS = "ABCD"
DIRECTIONS = {"bottom_up": "Layer l (cut in layers 0 to l)", "top_down": "Layer l (cut in layers l to the last)"}


def by_layer(path, models, datasets, draws: int, seed: int) -> pd.DataFrame:
    """Probability of the correct letter, and mean probability of the wrong ones, after every layer.

    Only questions answered correctly. One row per model, dataset, group, layer and kind (correct, wrong), with a 95 % band over
    clips that holds all layers and both kinds of a group simultaneously.
    """
    found = []
    for dataset in dict.fromkeys(datasets):
        rows = rows_of(path, ["lens"], models, dataset)
        rows = rows[rows["correct_clean"].astype(bool)]
        gold = [_place_of(*row) for row in zip(rows["number"], rows["gold"])]
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


def _place_of(number, gold: str) -> int:
    """The right option's place among a question's options. Tables from before it was written have options A to D in order."""
    return LETTERS.index(gold) if pd.isna(number) else int(number)


def answers_kept(path, models, dataset: str, draws: int, seed: int) -> pd.DataFrame:
    """Share of answers that stay the same, and % change of the answer's probability, under cumulative cuts.

    Only questions answered correctly, so the share is their accuracy. One row per model, group, route, style and centre, with
    pointwise 95 % intervals over clips. half: "first" or "second" if the cut is exactly that half of the layers, else empty.
    """
    columns = "model question_id cluster group route style centre window_start window_stop answer control logp_base p_base_clean"
    keep = [("model", "in", list(models)), ("dataset", "=", dataset), ("correct_clean", "=", True), ("applicable", "=", True)]
    keep += [("cut", "=", "mask"), ("control", "in", ("none", "null")), ("layout", "not in", layouts.NAMES)]
    rows = pq.read_table(path, columns=free_answers.columns_of(path, columns.split()), filters=keep).to_pandas()
    rows = free_answers.with_options(rows, f"{path}, answers kept")
    key = ["model", "question_id"]
    base = rows[rows["control"] == "null"].set_index(key)["answer"]
    cut = rows[(rows["control"] == "none") & rows["style"].isin(list(DIRECTIONS))].copy()
    cut["kept"] = (cut["answer"] == base.reindex(pd.MultiIndex.from_frame(cut[key])).to_numpy()).astype(float)
    cut["change"] = 100 * (np.exp(cut["logp_base"]) / cut["p_base_clean"] - 1)
    found = []
    for (model, group, route, style, centre), here in cut.groupby(["model", "group", "route", "style", "centre"], sort=False):
        kept, kept_low, kept_high = proportion(here["kept"], here["cluster"], draws, seed)
        change, change_low, change_high = (float(x[0]) for x in cluster_bootstrap(here[["change"]], here["cluster"], draws, seed))
        depth = cut.loc[cut["model"] == model, "window_stop"].max()
        start, stop = here["window_start"].iloc[0], here["window_stop"].iloc[0]
        half = {(0, depth // 2): "first", (depth // 2, depth): "second"}.get((start, stop), "")
        entry = dict(model=model, group=group, route=route, style=style, centre=centre, half=half, n=len(here))
        entry |= dict(accuracy=kept, accuracy_low=kept_low, accuracy_high=kept_high)
        found.append(entry | dict(change=change, change_low=change_low, change_high=change_high))
    columns = ["model", "group", "route", "style", "centre", "half", "n", "accuracy", "accuracy_low", "accuracy_high"]
    return pd.DataFrame(found, columns=[*columns, "change", "change_low", "change_high"])


def sufficiency(path, models, dataset: str, draws: int, seed: int) -> pd.DataFrame:
    """Share of tested edges that stay open, and share of answers that stay the same with its 95 % interval.

    Only questions answered correctly. One row per model, kind and threshold. Random draws are first averaged per question.
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
        mean, low, high = proportion(one["kept"], one["cluster"], draws, seed)
        entry = dict(model=model, kind=kind, threshold=threshold, n=len(one), share=one["share"].mean(), accuracy=mean)
        found.append(entry | dict(ci_low=low, ci_high=high))
    return pd.DataFrame(found, columns=["model", "kind", "threshold", "n", "share", "accuracy", "ci_low", "ci_high"])

"""Where the last token looks, which tokens and dimensions are sinks, and how a cut changes attention."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from .statistics import cluster_bootstrap


def rows_of(path, kinds, models, dataset: str) -> pd.DataFrame:
    """Rows of some kinds from the table of the rule attention. workflow_scripts/attention.py says what they hold."""
    keep = [("kind", "in", list(kinds)), ("model", "in", list(models)), ("dataset", "=", dataset)]
    columns = "question_id cluster task group model gold correct_clean kind name layer number values"
    return pq.read_table(path, columns=columns.split(), filters=keep).to_pandas()


def shares(path, models, dataset: str, draws: int, seed: int) -> pd.DataFrame:
    """Mean share of the last token's attention by model, layer and class of token, with a pointwise 95 % interval over clips.

    The mean runs over heads and questions.
    """
    rows, found = rows_of(path, ["shares"], models, dataset), []
    rows["share"] = [np.mean(heads) for heads in rows["values"]]
    for model in models:
        here = rows[rows["model"] == model]
        if not len(here):
            continue
        wide = here.pivot(index=["question_id", "cluster"], columns=["layer", "name"], values="share").fillna(0.0)
        mean, low, high = cluster_bootstrap(wide.to_numpy(), wide.index.get_level_values("cluster"), draws, seed)
        for (layer, name), *numbers in zip(wide.columns, mean, low, high):
            found.append(dict(zip(("share", "ci_low", "ci_high"), numbers)) | dict(model=model, layer=layer, name=name))
            found[-1]["n"] = len(wide)
    columns = ["model", "layer", "name", "n", "share", "ci_low", "ci_high"]
    return pd.DataFrame(found, columns=columns).sort_values(["model", "layer", "name"]).reset_index(drop=True)


def map_layers(table: pd.DataFrame, named: dict | None = None) -> dict[str, list[int]]:
    """Model -> the two layers whose maps are drawn: those in `named`, else around the largest rise of attention to video."""
    found = {}
    for model, here in table.groupby("model", sort=False):
        video = here[here["name"] == "video"].sort_values("layer")["share"].to_numpy()
        jump = int(np.argmax(np.diff(video))) if len(video) > 1 else 0
        found[model] = (named or {}).get(model) or [jump, jump + 1]
    return found


def sinks(path, models, dataset: str) -> pd.DataFrame:
    """Sink tokens by model, layer and class.

    sinks: mean number per question. first: share of them that are the first token of a frame or an item; expected_first: that
    share among all tokens of the class. dimensions: the layer's sink dimensions, each with the share of questions in which it is
    one, such as "458: 1.00". A layer without a sink has one row of class "none".
    """
    rows, found = rows_of(path, ["tokens", "sink_dimensions", "sinks"], models, dataset), []
    for (model, layer), here in rows[rows["kind"] != "tokens"].groupby(["model", "layer"]):
        named = here[here["kind"] == "sink_dimensions"]
        n = len(named)
        often = pd.Series(np.concatenate([[], *named["values"]]).astype(int)).value_counts() / n
        entry = {"model": model, "layer": int(layer), "n": n}
        entry["dimensions"] = " ".join(f"{d}: {share:.2f}" for d, share in often.items())
        marked = here[here["kind"] == "sinks"]
        tokens = rows[(rows["model"] == model) & (rows["kind"] == "tokens")]
        for name, some in marked.groupby("name", sort=False):
            count, all_of = some["values"].map(len).sum(), tokens[tokens["name"] == name]
            first = {
                "first": some["number"].sum() / count,
                "expected_first": all_of["number"].sum() / all_of["values"].str[0].sum(),
            }
            found.append({**entry, "name": name, "sinks": count / n, **first})
        if not len(marked):
            found.append({**entry, "name": "none", "sinks": 0.0, "first": np.nan, "expected_first": np.nan})
    return pd.DataFrame(found)


LOOKING = ("question", "last")


def flows(rows: pd.DataFrame) -> pd.DataFrame:
    """Share of attention that the question's tokens and the last token give to each class of token.

    One row per model, layer, query, class and variant (uncut, cut). Shares come from the pooled maps. They are means over the
    query's bins and over the n questions that have maps.
    """
    found = []
    for (model, question), one in rows.groupby(["model", "question_id"], sort=False):
        names = one[one["kind"] == "bins"].sort_values("number")["name"].to_numpy()
        for (variant, layer), here in one[one["kind"] == "map"].groupby(["name", "layer"]):
            square = np.stack(here.sort_values("number")["values"].to_list())
            for query in LOOKING:
                # The last bin is the last token alone.
                lines = square[-1:] if query == "last" else square[names == query]
                for name in pd.unique(names):
                    entry = dict(model=model, question_id=question, variant=variant, layer=layer, query=query, name=name)
                    found.append({**entry, "share": lines[:, names == name].sum(1).mean()})
    keys = ["model", "layer", "query", "name", "variant"]
    return pd.DataFrame(found).groupby(keys, sort=False)["share"].agg(share="mean", n="size").reset_index()


def changed_layer(table: pd.DataFrame, model: str) -> int:
    """The layer in which the last token's attention differs most between uncut and cut, summed over classes."""
    mine = table[(table["model"] == model) & (table["query"] == "last")]
    wide = mine.pivot(index=["layer", "name"], columns="variant", values="share")
    return int((wide["cut"] - wide["uncut"]).abs().groupby("layer").sum().idxmax())

"""What sink tokens are like, and what they give to the question and the last token: their norms, attention and effects.

`attention.sinks` counts them.
"""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ..questions import layouts
from .attention import rows_of
from .effects import bands

KINDS = {"none": "sinks", "random_same": "others"}  # control -> kind of token


def norms(path, models, dataset: str) -> pd.DataFrame:
    """Median L2 norm of the sinks and of all other tokens of the same class, by model, layer and class, where there are sinks.

    It comes from the questions whose norms are kept. tokens: number of sinks behind it. Columns: model, layer, name, sinks,
    others, tokens.
    """
    rows, found = rows_of(path, ["bins", "norms", "sinks"], models, dataset), {}
    for (model, _), one in rows.groupby(["model", "question_id"], sort=False):
        bins, of_layer = one[one["kind"] == "bins"], one[one["kind"] == "norms"].set_index("layer")["values"]
        for layer, name, marked in one.loc[one["kind"] == "sinks", ["layer", "name", "values"]].itertuples(index=False):
            if layer not in of_layer:
                continue
            size, marked = of_layer[layer], np.asarray(marked, int)
            same = np.concatenate([[], *(np.arange(*at) for at in bins.loc[bins["name"] == name, "values"])]).astype(int)
            both = found.setdefault((model, layer, name), ([], []))
            both[0].extend(size[marked])
            both[1].extend(size[np.setdiff1d(same, marked)])
    middle = lambda some: float(np.median(some)) if some else np.nan
    lines = [(*key, middle(own), middle(others), len(own)) for key, (own, others) in sorted(found.items())]
    return pd.DataFrame(lines, columns=["model", "layer", "name", "sinks", "others", "tokens"])


def places(path, models, dataset: str) -> pd.DataFrame:
    """Where the sinks lie among the tokens of their class, in the prompt's order: by model, layer, class and tenth.

    It comes from the questions whose classes are kept, as maps need them. tenth: 0, the first tenth of the class's tokens, to 9.
    share: of the sinks of that model, layer and class. Columns: model, layer, name, tenth, share, tokens (of the tenth).
    """
    rows, found = rows_of(path, ["bins", "sinks"], models, dataset), []
    for (model, _), one in rows.groupby(["model", "question_id"], sort=False):
        bins = one[one["kind"] == "bins"]
        for layer, name, marked in one.loc[one["kind"] == "sinks", ["layer", "name", "values"]].itertuples(index=False):
            spans = [np.arange(*at) for at in bins.loc[bins["name"] == name, "values"]]
            if spans:
                own = np.concatenate(spans).astype(int)
                rank = np.searchsorted(own, np.asarray(marked, int))
                found += [(model, int(layer), name, tenth) for tenth in (10 * rank) // len(own)]
    table = pd.DataFrame(found, columns=["model", "layer", "name", "tenth"])
    counts = table.groupby(["model", "layer", "name", "tenth"]).size().rename("tokens").reset_index()
    of_class = counts.groupby(["model", "layer", "name"])["tokens"].transform("sum")
    return counts.assign(share=counts["tokens"] / of_class)[["model", "layer", "name", "tenth", "share", "tokens"]]


def shares(path, models, dataset: str, draws: int, seed: int) -> pd.DataFrame:
    """% of the readers' attention that goes to the sinks, and to as many others: by model, route, kind and centre of the window.

    Questions answered correctly, in the default order. Columns: model, route, kind, centre, n, edges (cut pairs of query
    and key, as a mean), share, low, high. Bands are simultaneous over a model's routes and centres of a kind.
    """
    columns = ["model", "question_id", "cluster", "route", "centre", "control", "removed_mass", "n_blocked_edges"]
    keep = [("model", "in", list(models)), ("dataset", "=", dataset), ("control", "in", list(KINDS)), ("cut", "=", "mask")]
    keep += [("applicable", "=", True), ("correct_clean", "=", True), ("layout", "not in", layouts.NAMES)]
    rows, found = pq.read_table(path, columns=columns, filters=keep).to_pandas(), []
    by = ["model", "route", "control", "centre", "question_id", "cluster"]
    rows = rows.groupby(by, sort=False)[["removed_mass", "n_blocked_edges"]].mean().reset_index()  # over draws
    rows = rows.assign(change=100 * rows["removed_mass"].astype(float))
    for (model, control), here in rows.groupby(["model", "control"], sort=False):
        for route, curve in bands(here, draws, seed, 0).items():
            mine = here[here["route"] == route].groupby("centre")
            n, edges = mine["question_id"].nunique(), mine["n_blocked_edges"].mean()
            numbers = zip(curve.centres, n, edges, curve.mean, curve.low, curve.high)
            found += [(model, route, KINDS[control], *line) for line in numbers]
    return pd.DataFrame(found, columns=["model", "route", "kind", "centre", "n", "edges", "share", "low", "high"])

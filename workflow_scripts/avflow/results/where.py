"""When and where in clips answers come from: what they lose without a part, what one part alone keeps, and known events.

Only questions count that are answered right. The change is that of `effects`: % of the answer's probability.
"""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from . import free_answers
from .statistics import cluster_bootstrap, proportion

TIMES = ("audio.time", "video.time")  # sources that are slices of time
PLACE = ["left", "top", "right", "bottom"]
ABOUT = ["model", "dataset", "question_id", "cluster", "task", "group"]
PART = ["source", "part", "alone", "start", "stop", *PLACE, "event_start", "event_stop", "route", "style", "centre"]
WHOLE = "top_down"  # the style of cuts in all layers at once
TELLS = 50.0  # % of the answer's probability; parts that differ by less do not tell where it comes from


def cuts(path, models, style: str | None = None, question: str | None = None) -> pd.DataFrame:
    """The cuts of parts: ABOUT, PART, `target` and `change`. style: WHOLE, or centred windows; question: only this one.

    alone: the target sees this part of its sense alone; otherwise it sees all but this part.
    """
    keep = [("model", "in", list(models)), ("cut", "=", "mask"), ("control", "=", "none"), ("applicable", "=", True)]
    keep += [("correct_clean", "=", True), *([("style", "=", style)] if style else [])]
    keep += [("question_id", "=", question)] if question else []
    columns = free_answers.columns_of(path, [*ABOUT, *PART, "logp_base", "p_base_clean"])
    rows = pq.read_table(path, columns=columns, filters=keep).to_pandas()
    found = rows.assign(change=free_answers.change(rows).astype(float), target=rows["route"].str.split("->").str[-1])
    return found[[*ABOUT, *PART, "target", "change"]]


def looks(path, models, question: str | None = None) -> pd.DataFrame:
    """Where targets look, token by token: ABOUT, `source`, `target`, `layer`, `stop`, `shape` and `values`. Empty without any."""
    keep = [("model", "in", list(models)), ("cut", "=", "attention"), ("correct_clean", "=", True)]
    keep += [("question_id", "=", question)] if question else []
    columns = [*ABOUT, "source", "route", "centre", "stop", "shape", "values"]
    rows = pq.read_table(path, columns=columns, filters=keep).to_pandas()
    return rows.assign(target=rows["route"].str.split("->").str[-1]).rename(columns={"centre": "layer"}).drop(columns="route")


def away(rows: pd.DataFrame) -> pd.Series:
    """Seconds from the middle of the known event of a part's sense to the middle of the part; NaN without an event."""
    return ((rows["start"] + rows["stop"] - rows["event_start"] - rows["event_stop"]) / 2).astype(float)


def around(rows: pd.DataFrame, draws: int, seed: int) -> pd.DataFrame:
    """Mean change by the time from a slice's middle to the middle of the known event of its sense, with pointwise intervals.

    rows: from `cuts`, in all layers. One row per model, dataset, task, source, target, `alone` and `seconds`, rounded to half
    a slice. n: the questions behind it.
    """
    here, found = rows[rows["source"].isin(TIMES) & rows["event_start"].notna()], []
    by = ["model", "dataset", "task", "source", "target", "alone"]
    for names, some in here.groupby(by, sort=False):
        length = float((some["stop"] - some["start"]).median())
        wide = some.assign(seconds=(2 * away(some) / length).round() * length / 2).pivot_table(
            index=["question_id", "cluster"], columns="seconds", values="change", aggfunc="mean"
        )
        ends = cluster_bootstrap(wide.to_numpy(), wide.index.get_level_values("cluster"), draws, seed)
        counts = wide.notna().sum()
        for seconds, change, low, high in zip(wide.columns, *ends):
            entry = {"seconds": float(seconds), "change": change, "ci_low": low, "ci_high": high, "n": int(counts[seconds])}
            found.append(dict(zip(by, names)) | entry)
    return pd.DataFrame(found, columns=[*by, "seconds", "change", "ci_low", "ci_high", "n"])


def agrees_with_itself(rows: pd.DataFrame) -> dict:
    """Name of every identity of parts -> whether it holds, by row (rows,) or by part. rows: all of the table but attention."""
    rows = rows[rows["control"] == "none"]
    target, alone = rows["route"].str.split("->").str[-1], rows["alone"].astype(bool)
    rest = np.where(alone, ".rest->", "->")
    each = rows.assign(target=target).groupby(["question_id", "target", "source", "part", "style", "centre"])["alone"]
    slices = rows[rows["source"].isin(TIMES)].assign(target=target)
    slices = slices.sort_values("start").groupby(["question_id", "target", "source", "alone", "style", "centre"])
    begins = slices["stop"].shift()
    return {
        "each part is cut, and so is its rest": each.nunique() == 2,
        "a route names its part": rows["route"] == rows["part"] + rest + target,
        "a part is named after its source": [part.startswith(source) for part, source in zip(rows["part"], rows["source"])],
        "a part takes time": rows["start"].isna() | (rows["start"] < rows["stop"]),
        "a tile has an area": rows["left"].isna() | (rows["left"] < rows["right"]) & (rows["top"] < rows["bottom"]),
        "slices follow each other": begins.isna() | ((rows["start"] - begins).reindex(begins.index).abs() < 1e-3),
    }


def found_events(rows: pd.DataFrame) -> pd.DataFrame:
    """Whether the part that alone keeps most of the answer lies in the known event of its sense.

    rows: from `cuts`, in all layers. One row per question, source and target whose parts differ by more than TELLS. hit: 1 or 0.
    chance: the share of the clip's parts that lie in the event.
    """
    by, found = [*ABOUT, "source", "target"], []
    here = rows[rows["event_start"].notna() & rows["alone"].astype(bool)]
    for names, some in here.groupby(by, sort=False):
        middle = (some["start"] + some["stop"]) / 2
        inside = ((middle >= some["event_start"]) & (middle < some["event_stop"])).to_numpy()
        change = some["change"].to_numpy()
        if np.ptp(change) > TELLS:
            found.append(dict(zip(by, names)) | {"hit": float(inside[change.argmax()]), "chance": inside.mean()})
    return pd.DataFrame(found, columns=[*by, "hit", "chance"])


def shares(table: pd.DataFrame, draws: int, seed: int) -> pd.DataFrame:
    """% of the events that are found, by model, task, source and target, with an interval and % by chance."""
    by, found = ["model", "dataset", "task", "source", "target"], []
    for names, some in table[table["source"].isin(TIMES)].groupby(by, sort=False):
        ends = proportion(some["hit"], some["cluster"], draws, seed)
        numbers = zip(("found", "ci_low", "ci_high"), (100 * x for x in ends))
        found.append(dict(zip(by, names)) | dict(numbers) | {"chance": 100 * some["chance"].mean(), "n": len(some)})
    return pd.DataFrame(found, columns=[*by, "found", "ci_low", "ci_high", "chance", "n"])


def examples(rows: pd.DataFrame, model: str, ids, most: int) -> list[str]:
    """The first question of each task among `ids` that a model answers right, at most `most`."""
    mine = rows[(rows["model"] == model) & rows["question_id"].isin(ids)]
    return mine.drop_duplicates("task")["question_id"].tolist()[:most]


def grid(values, shape) -> np.ndarray:
    """Attention to the tokens of pictures, (grids, rows, columns), or of sound, (n,)."""
    return np.asarray(values, dtype=float).reshape(tuple(shape))

"""The explorer's maps: what single questions lose without a time or a place of their clip, by layer."""

from dataclasses import dataclass

import numpy as np

from . import where

QUANTUM = 0.1  # % to which losses are rounded


@dataclass(frozen=True)
class Map:
    """One question of one model. times: the slices (start, stop) of its cells, in seconds, for the pictures of a page.

    facts: for a page, as JSON. targets; layers, the centres of windows; parts, [source, start, stop, left, top, right, bottom];
    alone and without [target][part][layer]: the change if the target sees the part alone, or all but it, in units of QUANTUM. The
    first layer's entry is the cut in all layers, and a missing one is null.
    """

    model: str
    question_id: str
    times: list
    facts: dict


def maps_of(path, models, ids) -> list[Map]:
    """The maps of a table of the rule where, of questions among `ids` that are answered right, in the order of the models."""
    rows, found = where.cuts(path, models), []
    rows = rows[rows["question_id"].isin(ids)]
    for model in models:
        for name, some in rows[rows["model"] == model].groupby("question_id", sort=False):
            found.append(_map(model, name, some))
    return found


def _map(model: str, name: str, rows) -> Map:
    layers = sorted(rows.loc[rows["style"] != where.WHOLE, "centre"].unique().tolist())
    targets = list(dict.fromkeys(rows["target"]))
    parts = rows.drop_duplicates("part")
    column = np.where(rows["style"] == where.WHOLE, 0, 1 + np.searchsorted(layers, rows["centre"]))
    change = np.full((2, len(targets), len(parts), 1 + len(layers)), np.nan)
    at = rows["alone"].astype(int), rows["target"].map(targets.index), rows["part"].map(parts["part"].tolist().index)
    change[(*at, column)] = rows["change"]
    facts = {"targets": targets, "layers": layers, "seconds": float(rows["stop"].max()), "quantum": QUANTUM}
    facts["parts"] = [
        [source, round(float(start), 3), round(float(stop), 3), *(None if np.isnan(x) else round(float(x), 4) for x in box)]
        for source, start, stop, *box in parts[["source", "start", "stop", *where.PLACE]].itertuples(index=False)
    ]
    for how, some in zip(("without", "alone"), change):
        facts[how] = [[[None if np.isnan(x) else round(x / QUANTUM) for x in line] for line in one] for one in some]
    cells = parts[parts["source"] == "video.cell"]
    return Map(model, name, cells[["start", "stop"]].drop_duplicates().astype(float).values.tolist(), facts)

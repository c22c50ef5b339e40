"""How many heads does a route need? Rank heads by what a cut in each of them alone does, then cut the strongest together.

    1. An analysis with `heads` cuts the route in one unit at a time: in one head of one layer, or in one key-value group of one
       layer.
    2. Its clips are divided into two halves. The first half ranks the units: by the mean change of the answer's probability, the
       largest loss first.
    3. In the second, held-out half, the first n units of the ranking are cut together, for growing n up to all of them.
    4. The control cuts as many units drawn at random, in other draws for every question.

Units that look strong by chance in the first half do not in the second, so the curve of the second half is not biased by the
choice.
"""

import hashlib
import math
import random
from dataclasses import dataclass, field

import pyarrow.parquet as pq

from ..questions import layouts
from .interventions import Knockout, Route, Window

RANDOM = "random_heads"  # name of the control
ALONE = ("route", "window_start", "window_stop", "heads")  # columns that name a unit of a route


@dataclass(frozen=True)
class Ranking:
    """order: route -> its units, the strongest first; a unit is a tuple of (layer, head). held_out: ids of other questions."""

    order: dict[str, list[tuple]] = field(default_factory=dict)
    held_out: frozenset[str] = frozenset()

    def knockouts(self, route: Route, layers: int, shares, draws: int, question_id: str, seed: int) -> list[Knockout]:
        """A held-out question's cuts of the strongest units together, each with its random controls, and of all units together.

        shares: of the units to cut, from 0 to 1. layers: of the model.
        """
        units, window = self.order.get(str(route), []), Window(0, layers, layers - 1, "bottom_up", 1)
        if not units:
            return []
        found = []
        for count in sorted({max(1, round(share * len(units))) for share in shares} - {len(units)}):
            found.append(Knockout(route, window, heads=_together(units[:count])))
            for draw in range(draws):
                rng = random.Random(f"{seed}/{question_id}/{route}/{count}/{draw}")
                found.append(Knockout(route, window, "mask", RANDOM, draw, _together(rng.sample(units, count))))
        return [*found, Knockout(route, window, heads=_together(units))]


def _together(units) -> tuple:
    return tuple(sorted(pair for unit in units for pair in unit))


def ranking(paths, seed: int) -> Ranking:
    """Rank the units that knockout tables cut alone, by one half of the clips. paths: parquet files of one model and dataset.

    Only questions that the model answers correctly with nothing cut count, in the default order of the prompt.
    """
    columns = ["question_id", "cluster", "group", *ALONE, "logp_base", "p_base_clean"]
    keep = [("control", "=", "none"), ("cut", "=", "mask"), ("heads", "!=", "all"), ("applicable", "=", True)]
    keep += [("correct_clean", "=", True), ("layout", "not in", layouts.NAMES)]
    rows = [row for path in paths for row in pq.read_table(path, columns=columns, filters=keep).to_pylist()]
    choosing, changes = first_half(rows, seed), {}
    for row in rows:
        if row["cluster"] in choosing:
            change = math.exp(row["logp_base"]) / row["p_base_clean"] - 1
            changes.setdefault(row["route"], {}).setdefault(tuple(row[name] for name in ALONE[1:]), []).append(change)
    order = {route: sorted(units, key=lambda u, of=units: sum(of[u]) / len(of[u])) for route, units in changes.items()}
    held_out = frozenset(row["question_id"] for row in rows if row["cluster"] not in choosing)
    return Ranking({route: [_pairs(*unit) for unit in units] for route, units in order.items()}, held_out)


def _pairs(start: int, stop: int, heads: str) -> tuple:
    return tuple((layer, int(head)) for layer in range(start, stop) for head in heads.split(","))


def first_half(rows: list[dict], seed: int) -> set[str]:
    """Every second clip of each group of tasks, in an order that the seed decides."""
    group = {}
    for row in sorted(rows, key=lambda row: (row["group"], row["question_id"])):
        group.setdefault(row["cluster"], row["group"])
    drawn = lambda cluster: hashlib.sha256(f"{seed}/{cluster}".encode()).hexdigest()  # noqa: E731
    found = set()
    for name in sorted(set(group.values())):
        found.update(sorted((cluster for cluster in group if group[cluster] == name), key=drawn)[::2])
    return found


def units(layers, heads: int, groups: int, by: str) -> list[tuple]:
    """The units of a window's layers. by: "each" head, or "groups" of the heads that share a key-value head."""
    size = 1 if by == "each" else heads // groups
    return [tuple((layer, h) for layer in layers for h in range(start, start + size)) for start in range(0, heads, size)]

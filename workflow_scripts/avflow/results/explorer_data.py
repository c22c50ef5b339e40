"""The data of the results explorer: curves with their bands, and the questions behind every point of a curve.

A knockout table becomes one block per model and dataset, with dense arrays (curves, questions, centres). Free questions are left
out, because the page compares letters. A curve is a route under
one kind of cut. There are two measures: the % change of the answer's probability (section 2.1 of the paper), and the change of
the logit difference, the right option's logit minus the best other option's. A cut that does not apply is missing, never 0.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import InputError
from ..questions.layouts import NAMES
from ..questions.option_labels import LABELS
from . import free_answers
from .statistics import cluster_bootstrap
from .task_groups import ordered

LETTERS = LABELS  # every label that an option can have; A to D come first
CURVE = ("layout", "style", "width", "cut", "control", "draw", "route")  # these columns tell a block's curves apart
ABOUT = ("question_id", "cluster", "task", "group", "model", "dataset", "answer")
VALUES = ("centre", "logp_base", "p_base_clean", "margin", "margin_clean", "correct_clean", "applicable")
COLUMNS = (*ABOUT, *CURVE, *VALUES)
POPULATIONS = ("correct", "wrong", "all")


@dataclass
class Block:
    """One analysis of one model in one dataset: C curves, Q questions, L centres (layers), O orders of the prompt.

    change (C, Q, L): in %; difference (C, Q, L): in logits. Both are NaN if there is no row or the cut does not apply. answer
    (C, Q, L): index in LETTERS of the letter given under the cut, else -1. clean (O, Q): index of the letter given uncut;
    correct (O, Q): 1 if that letter is right, 0 if it is wrong. Both are -1 if the question was not asked in that order.
    """

    analysis: str
    model: str
    dataset: str
    questions: np.ndarray  # ids (Q,), sorted; clusters, tasks and groups have the same order
    clusters: np.ndarray
    tasks: np.ndarray
    groups: np.ndarray
    curves: list[dict]  # keys: CURVE
    centres: np.ndarray  # (L,)
    layouts: list[str]
    clean: np.ndarray
    correct: np.ndarray
    change: np.ndarray
    difference: np.ndarray
    answer: np.ndarray

    def order_of(self, curve: dict) -> int:
        """The index of a curve's order of the prompt in `layouts`."""
        return self.layouts.index(curve["layout"])


def read_blocks(path, analysis: str, gold: dict[str, str]) -> list[Block]:
    """The blocks of a knockout table, sorted by dataset and model. gold: question id -> the right letter.

    Raises InputError if the table lacks a column, if a question has no text or no uncut row, or if two rows are of the same cut.
    """
    missing = sorted(set(COLUMNS) - set(pq.read_schema(path).names))
    if missing:
        raise InputError(f"{path}: has no column {', '.join(missing)}; delete it and make it again with gather_knockout")
    words = [field.name for field in pq.read_schema(path) if pa.types.is_string(field.type) and field.name in COLUMNS]
    rows = pq.read_table(path, columns=free_answers.columns_of(path, COLUMNS), read_dictionary=words).to_pandas()
    rows = free_answers.with_options(rows, f"{path}, explorer")
    unknown = sorted(set(rows["question_id"].unique()) - set(gold))
    if unknown:
        raise InputError(
            f"{path}: question {unknown[0]} ({len(unknown)} in all) is in none of the question files; give its dataset's file too"
        )
    parts = rows.groupby(["dataset", "model"], observed=True, sort=True)
    return [_block(path, analysis, model, dataset, here, gold) for (dataset, model), here in parts]


def _block(path, analysis, model, dataset, rows, gold) -> Block:
    """One block from its rows."""
    first = rows.drop_duplicates("question_id").sort_values("question_id", key=lambda ids: ids.astype(str))
    ids, *about = (first[name].to_numpy(dtype=str) for name in ("question_id", "cluster", "task", "group"))
    layouts = sorted(rows["layout"].unique(), key=lambda name: (name in NAMES, name))  # the dataset's own first
    place, order, letter = (
        pd.Categorical(rows[name], categories=known).codes
        for name, known in (("question_id", ids), ("layout", layouts), ("answer", list(LETTERS)))
    )
    null = (rows["control"] == "null").to_numpy()

    clean, correct = (np.full((len(layouts), len(ids)), -1, dtype=np.int8) for _ in range(2))
    at = (order[null], place[null])
    clean[at], correct[at] = letter[null], rows["correct_clean"].to_numpy(dtype=bool)[null]
    lost = correct[order, place] < 0
    if lost.any():
        raise InputError(f"{path}: question {ids[place[lost][0]]} of {model} has no uncut row; delete {path} and its shards")

    cut, place, letter = (x[~null] for x in (rows, place, letter))
    number = cut.groupby(list(CURVE), observed=True, sort=False).ngroup().to_numpy()
    curves = cut.drop_duplicates(list(CURVE))[list(CURVE)].to_dict("records")  # in the order of their numbers
    centres, layer = np.unique(cut["centre"].to_numpy(), return_inverse=True)
    shape = (len(curves), len(ids), len(centres))
    cell = (number * shape[1] + place.astype(np.int64)) * shape[2] + layer
    _check_single(path, model, curves, ids, centres, cell)
    fits = cut["applicable"].to_numpy(dtype=bool)
    relative = 100 * (np.exp(cut["logp_base"].to_numpy(dtype=float)) / cut["p_base_clean"].to_numpy(dtype=float) - 1)

    def dense(values, empty, kind):
        found = np.full(shape, empty, dtype=kind)
        found.reshape(-1)[cell[fits]] = values[fits]
        return found

    arrays = (
        dense(relative, np.nan, np.float32),
        dense((cut["margin"] - cut["margin_clean"]).to_numpy(), np.nan, np.float32),
        dense(letter, -1, np.int8),
    )
    return Block(analysis, model, dataset, ids, *about, curves, centres, layouts, clean, correct, *arrays)


def _check_single(path, model, curves, ids, centres, cell) -> None:
    """Raise InputError if two rows fall into the same cell of an array (curves, questions, centres)."""
    counts = np.bincount(cell, minlength=1)
    if counts.max() > 1:
        curve, rest = divmod(int(counts.argmax()), len(ids) * len(centres))
        question, centre = divmod(rest, len(centres))
        where = f"route {curves[curve]['route']}, centre {centres[centre]}, question {ids[question]} of {model}"
        raise InputError(f"{path}: two rows of one cut ({where}); delete it and make it again with gather_knockout")


@dataclass
class Subset:
    """Some questions of a block: all, one group of tasks, or one task; answered correctly, wrongly, or either."""

    kind: str  # all | group | task
    name: str
    population: str
    members: np.ndarray  # indices into the block's questions

    def of(self, block: Block, curve: dict) -> np.ndarray:
        """The members in this population for a curve. Whether an answer is right depends on the curve's order of the prompt."""
        if self.population == "all":
            return self.members
        return self.members[block.correct[block.order_of(curve), self.members] == (self.population == "correct")]


def subsets(block: Block) -> list[Subset]:
    """All subsets that a reader can choose.

    A task that is the only one of its group is not repeated. If all answers are right or all are wrong, there is one population.
    """
    found = [("all", "", np.arange(len(block.questions)))]
    found += [("group", name, np.flatnonzero(block.groups == name)) for name in ordered(block.groups)]
    known = [set(members) for _, _, members in found]
    tasks = [("task", name, np.flatnonzero(block.tasks == name)) for name in sorted(set(block.tasks))]
    found += [task for task in tasks if set(task[2]) not in known]
    states = set(block.correct[block.correct >= 0].tolist())
    populations = POPULATIONS if len(states) == 2 else ["correct" if states == {1} else "wrong"]
    return [Subset(*entry[:2], population, entry[2]) for entry in found for population in populations]


def curves_of(block: Block, subset: Subset, draws: int, seed: int):
    """The curves of a subset with their intervals, and the number of questions behind each point.

    Returns (2 measures, 3, C, L), where 3 is mean, low and high, and counts (C, L). Means run over questions. The 95 % intervals
    are pointwise and drawn over clips (`statistics.cluster_bootstrap`). A point without any value is NaN.
    """
    values = np.stack([block.change, block.difference])  # (2, C, Q, L)
    found = np.full((2, 3, len(block.curves), len(block.centres)), np.nan)
    counts, alike = np.zeros(found.shape[2:], dtype=int), {}
    for number, curve in enumerate(block.curves):
        members = subset.of(block, curve)
        members = members[~np.isnan(values[0, number, members]).all(1)]
        if len(members):
            counts[number] = (~np.isnan(values[0, number, members])).sum(0)
            alike.setdefault(members.tobytes(), (members, []))[1].append(number)
    for members, numbers in alike.values():  # curves of the same questions share one bootstrap
        here = values[:, numbers][:, :, members].transpose(2, 0, 1, 3)  # (questions, 2, some curves, L)
        for place, part in enumerate(cluster_bootstrap(here, block.clusters[members], draws, seed)):
            found[:, place, numbers] = part
    return found, counts

"""Do a run's tables say what the shipped ones say? Row by row, for a run on another device or in another precision.

`make test-gpu` holds the miniature in small, computed on a GPU, to the tables in figures/shipped, which a CPU computed in
float32. A model of the run stands beside the shipped model of the same checkpoint. Rows are paired by what was asked and what
was cut.

What is compared, and how far it may lie apart, depends on the precision (TOLERANCES):

    rows         share of the run's rows that the shipped tables have, too
    numbers      probabilities, margins in logits, shares of attention: the distance that all rows keep (float32), or 99 % of them
    answers      share of equal answers. In bfloat16 only where the clean or the right letter has more than half of the shipped
                 probability: letters that are about equally probable, as in a question without its clip, have equal logits
                 there, since neighbouring numbers lie 1/16 apart. Tables without these numbers count every answer
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import InputError

QUESTION = ["model", "question_id"]  # what tells rows apart, by table; knockouts: CUT
CUT = [*QUESTION, "layout", "route", "style", "width", "centre", "cut", "control", "draw"]
CUTS = ("figure_3", "figure_4", "figure_5", "figure_6", "question_words", "graded", "windows", "options", "cumulative", "failed")
KEYS = {
    "evaluate": QUESTION,
    "reliance": [*QUESTION, "variant"],
    "attention": [*QUESTION, "kind", "name", "layer"],
    "discard_sweep": [*QUESTION, "discard", "layer", "control", "draw"],
    "pruning": [*QUESTION, "discard", "draw", "plan"],
    "sufficiency": [*QUESTION, "kind", "threshold", "draw"],
    **{f"knockout_{name}": CUT for name in (*CUTS, "order_items", "order_video")},
}
ALIKE = {  # table -> column -> values of the rows that do not depend on how many questions and windows a run has
    "reliance": {"variant": ["muted", "blanked", "text_only", "shuffled_1"]},  # another clip's sound is drawn among all clips
    "attention": {"kind": ["shares", "lens", "masked", "masked_early"]},
    "discard_sweep": {"control": ["null", "none"]},  # random tokens depend on how many draws there are
    "pruning": {"discard": ["none", "FastV-0.25", "FastV-0.5", "FastV-0.75"]},  # layers are chosen from the run's own knockouts
    "sufficiency": {"kind": ["all", "none"]},  # likewise the routes that stay open
}
LOGARITHMS = ("logp_base", "lens", "masked", "masked_early")  # compared as probabilities


@dataclass(frozen=True)
class Tolerance:
    """How far a run may lie from the shipped tables. share: of the rows whose numbers must lie within the distances."""

    probability: float
    margin: float  # in logits
    attention: float
    share: float
    answers: float  # least share of equal answers
    clear: float  # answers count where the shipped probability of the clean or right letter is higher than this, or is not known
    rows: float  # least share of rows that both have; a question answered wrongly in one of them has no knockouts there


TOLERANCES = {  # docs/paper.md says on what they rest
    "float32": Tolerance(probability=0.005, margin=0.02, attention=0.005, share=1.0, answers=0.99, clear=0.0, rows=0.99),
    "bfloat16": Tolerance(probability=0.03, margin=0.15, attention=0.01, share=0.99, answers=0.97, clear=0.5, rows=0.95),
}


def paired(fresh: pd.DataFrame, shipped: pd.DataFrame, name: str) -> tuple[pd.DataFrame, int]:
    """The rows that both tables have, the shipped columns with the suffix `_shipped`, and how many of `fresh` could have one.

    Raises InputError if a table has two rows of one key.
    """
    for column, values in ALIKE.get(name, {}).items():
        fresh, shipped = (table[table[column].isin(values)] for table in (fresh, shipped))
    for which, table in (("the run's", fresh), ("the shipped", shipped)):
        if table.duplicated(KEYS[name]).any():
            row = table[table.duplicated(KEYS[name])].iloc[0][KEYS[name]].tolist()
            raise InputError(f"{which} table {name} has two rows of {', '.join(map(str, row))}")
    return fresh.merge(shipped, on=KEYS[name], suffixes=("", "_shipped")), len(fresh)


def distances(both: pd.DataFrame, name: str) -> dict[str, np.ndarray]:
    """Measure (probability, margin or attention) -> distances of all rows; infinite where only one of both is a number."""
    found: dict[str, list] = {"probability": [], "margin": [], "attention": []}

    def add(measure, one, other, logarithm=False):
        one, other = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
        if logarithm:
            one, other = np.exp(one), np.exp(other)
        apart = np.abs(one - other)
        apart[np.isnan(one) & np.isnan(other)] = 0
        found[measure].append(np.where(np.isnan(apart), np.inf, apart))

    for column, measure in (("logp_base", "probability"), ("p_base_clean", "probability")):
        if f"{column}_shipped" in both:
            add(measure, both[column], both[f"{column}_shipped"], column in LOGARITHMS)
    for column in ("margin", "margin_clean"):
        if f"{column}_shipped" in both:
            add("margin", both[column], both[f"{column}_shipped"])
    if name == "attention":
        for kind, rows in both.groupby("kind"):
            lists = list(zip(rows["values"], rows["values_shipped"]))
            if any(len(one) != len(other) for one, other in lists):
                found["attention"].append(np.array([np.inf]))
                continue
            one, other = (np.concatenate([pair[i] for pair in lists]) for i in (0, 1))
            add("attention" if kind == "shares" else "probability", one, other, kind in LOGARITHMS)
    return {measure: np.concatenate(parts) for measure, parts in found.items() if parts}


def compare(fresh: pd.DataFrame, shipped: pd.DataFrame, name: str, tolerance: Tolerance) -> list[dict]:
    """The lines of one table and one model: what was measured, in how many rows, how far apart, what is allowed, and `agrees`.

    fresh: rows of one model, under the shipped model's name.
    """
    both, possible = paired(fresh, shipped[shipped["model"].isin(fresh["model"])], name)
    share = len(both) / possible if possible else 0.0
    lines = [dict(measure="rows in both", n=possible, found=share, allowed=tolerance.rows, agrees=share >= tolerance.rows)]
    for measure, apart in distances(both, name).items():
        far = float(np.quantile(apart, tolerance.share, method="higher")) if len(apart) else np.inf
        allowed = getattr(tolerance, measure)
        lines.append(dict(measure=f"{measure}, distance", n=len(apart), found=far, allowed=allowed, agrees=far <= allowed))
    told = [both[f"{column}_shipped"] for column in ("logp_base", "logp_gold") if f"{column}_shipped" in both]
    clear = np.exp(pd.concat(told, axis=1).max(axis=1).fillna(0)) > tolerance.clear if told else True
    if "answer_shipped" in both and (known := both[["answer", "answer_shipped"]].notna().any(axis=1)).any():
        said = both[clear & known]
        equal = float((said["answer"] == said["answer_shipped"]).mean()) if len(said) else 0.0
        allowed = tolerance.answers
        lines.append(dict(measure="equal answers", n=len(said), found=equal, allowed=allowed, agrees=equal >= allowed))
    return lines


def table(run: Path, shipped: Path, models: dict[str, tuple[str, str]], names) -> pd.DataFrame:
    """All lines, by table and model: table, model, precision, measure, n, found, allowed, agrees.

    run, shipped: folders of tables. models: the run's model -> (the shipped model, precision as in `TOLERANCES`). names: of
    tables. Raises InputError if one of both lacks a table, the run lacks a model, or a table has two rows of one key.
    """
    lines = []
    for name in names:
        for folder in (run, shipped):
            if not (folder / f"{name}.parquet").is_file():
                raise InputError(f"{folder}/{name}.parquet is missing, so that nothing can be compared with it")
        fresh, told = (pd.read_parquet(folder / f"{name}.parquet") for folder in (run, shipped))
        for model, (like, precision) in models.items():
            rows = fresh[fresh["model"] == model].assign(model=like)
            if rows.empty:
                raise InputError(f"{run}/{name}.parquet has no row of {model}")
            about = dict(table=name, model=like, precision=precision)
            lines += [about | line for line in compare(rows, told, name, TOLERANCES[precision])]
    return pd.DataFrame(lines)

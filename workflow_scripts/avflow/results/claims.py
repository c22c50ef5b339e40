"""Check findings as rules: each claim names a number in our tables and the range that it must lie in.

A claim is an entry of a file in resources/claims. It has its text, its source, a measure with arguments (`measures.py`), and the
expected range: "below -20", "above 0", "within -2 2" or "5 +- 0.5". A range may differ by model, {tiny-omni: below -20, ..}; a
model that is not named is then left out. `checks: {lowest: -85 +- 12, centre_of_fall: 6 +- 0.5}` replaces `measure` and
`expected` and gives one row per measure.

The verdict is "agree" if the number lies in the range, else "differ". It is "not testable" if there are fewer than `least`
questions or nothing was computed. An effect of a route, a range without 0, must also be at
least twice its size-matched random control on the same questions, where enough other tokens exist. A control that changes
nothing at all was never cut, so it agrees with nothing.

A verdict is `clear` if it stands after a correction for the number of claims about the model (Holm): the chance that any of a
model's clear verdicts is wrong is at most 5 %. A claim without an interval has no p-value, so it is never clear.
"""

import functools
import multiprocessing
import re
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import InputError
from ..storage import claim_entries
from . import conditions
from .measures import MEASURES, NEEDS, Tables, measured
from .route_measures import beside_control, listed
from .significance import holm, p_of_interval

COLUMNS = [
    "claim",
    "source",
    "model",
    "rule",
    "value",
    "ci_low",
    "ci_high",
    "expected",
    "verdict",
    "clear",
    "n",
    "control",
    "paper",
]
COLUMNS += ["paper_conditions", "p_family"]
ERROR = 0.05  # the chance of any wrong clear verdict about a model
NUMBER = r"(-?[\d.]+)"
EXPECTED = re.compile(rf"(below|above) {NUMBER}|within {NUMBER} {NUMBER}|{NUMBER} \+- {NUMBER}")
EFFECTS = ("lowest", "highest", "mean")  # measures of a route's effect, which are held against its random control
TIMES_CONTROL = 2.0
NEVER_CUT = 1e-6  # percent: a control that changes less changes nothing, up to rounding
CURVES = (*EFFECTS, "largest", "weakest", "centre_of_fall")  # measures that say what is in a cell
CUTS = {"analysis": "figure_4", "data": "video", "cut": "mask", "style": "centred", "width": None, "answered": "right"}
OTHER_CUTS = {"layers", "depths", "than", "control"}  # keys of rules that do not say what is in the whole cell
TOLD = (
    "claim",
    "source",
    "measure",
    "expected",
    "models",
    "paper",
    "fps",
    "prompt",
    "specimen",
    "named",
)  # what a rule's text leaves out


def read(path) -> list[dict]:
    """Read a file of claims, one entry per measure. Raises InputError that names the claim, what is wrong and what is allowed."""
    found = []
    for entry in claim_entries.entries(path):
        if "specimen" in entry:
            entry["specimen"] = str(Path(path).parent / entry["specimen"])
        checks = entry.pop("checks", None) or {entry.get("measure"): entry.get("expected")}
        found += [{**entry, "measure": measure, "expected": expected} for measure, expected in checks.items()]
    for claim in found:
        name, expected = claim.get("claim"), claim["expected"]
        for measure in [claim["measure"], *([claim["than"]["measure"]] if "measure" in claim.get("than", {}) else [])]:
            if measure not in MEASURES:
                raise InputError(f"{path}: claim {name!r} has measure {measure!r}; known: {', '.join(MEASURES)}")
            for needed in NEEDS.get(measure, "").split():
                if needed not in claim:
                    raise InputError(f"{path}: claim {name!r} has no {needed}, which {measure} needs; add it")
        for told in expected.values() if isinstance(expected, dict) else [expected]:
            if not EXPECTED.fullmatch(str(told)):
                raise InputError(f"{path}: claim {name!r} expects {told!r}; write below x, above x, within x y or x +- y")
        if "centres" in claim:
            raise InputError(f"{path}: claim {name!r} has centres; write layers, as the model counts them, or depths from 0 to 1")
        if isinstance(expected, dict):
            claim["models"] = [model for model in expected if model in claim.get("models", expected)]
    for claim in found:
        if claim["measure"] == "elsewhere":
            claim["named"] = _named_elsewhere(claim, found)
    return found


def _named_elsewhere(claim: dict, found: list[dict]) -> list[tuple]:
    """The cells, (route, group, models or None for all), about which other claims on the same cuts say what is in all layers."""
    same = lambda one: tuple(str(one.get(key, default)) for key, default in CUTS.items())  # noqa: E731
    others = [one for one in found if one["measure"] in CURVES and not OTHER_CUTS & set(one) and same(one) == same(claim)]
    routes = [(route, one) for one in others for route in listed(one["route"])]
    return [(route, group, one.get("models")) for route, one in routes for group in listed(one.get("group", "all"))]


def bounds(expected: str) -> tuple[float, float]:
    """The range that a value must lie in: "below -20" -> (-inf, -20)."""
    side, limit, low, high, middle, reach = EXPECTED.fullmatch(expected).groups()
    if side:
        return (-np.inf, float(limit)) if side == "below" else (float(limit), np.inf)
    if middle:
        return float(middle) - float(reach), float(middle) + float(reach)
    return float(low), float(high)


def rule_of(claim: dict) -> str:
    """The measure and its arguments, as text."""

    def words(value) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f"{name} {words(of)}" for name, of in value.items()) + "}"
        return " ".join(map(str, value)) if isinstance(value, list) else str(value)

    return ", ".join([claim["measure"], *(f"{name} {words(value)}" for name, value in claim.items() if name not in TOLD)])


def _beside_control(claim: dict, tables: Tables, model: str) -> tuple[float, float]:
    """`beside_control` for a claim about an effect of a route; NaN for other claims."""
    low, high = bounds(claim["expected"])
    if claim["measure"] not in EFFECTS or low <= 0 <= high or not {"than", "control"}.isdisjoint(claim):
        return np.nan, np.nan
    return beside_control(tables, claim, model)


def _conditions(claim: dict, tables: Tables, model: str, asked: dict | None) -> str:
    """The conditions of the paper's value, and ours. In matching questions nothing is sampled by time."""
    role = claim.get("data") or claim.get("block") or "video"
    fps = str(claim.get("fps", conditions.NONE if role == "items" else conditions.UNKNOWN))
    ours = conditions.here(asked, tables.datasets.get(role, role), model)
    return conditions.words(fps, claim.get("prompt", conditions.UNKNOWN), ours)


def judge(claims: list[dict], tables: Tables, least: int, asked: dict | None = None, processes: int = 1) -> pd.DataFrame:
    """One row per claim and model, with COLUMNS. least: the number of questions below which a claim is "not testable".

    control: the change in the size-matched random control, by `beside_control`; NaN if there is none. paper_conditions:
    `conditions.words` for the paper's value; a claim's keys `fps` and `prompt` give them if they are stated. asked: our own
    conditions, see `conditions`. p_family: Holm's p-value of the verdict among all of the model's. processes: how many judge
    models side by side; each reads the tables itself.
    """
    of_model = functools.partial(_of_model, claims, tables, least, asked)
    if processes > 1 and len(tables.models) > 1:
        with ProcessPoolExecutor(processes, multiprocessing.get_context("fork")) as pool:
            found = list(pool.map(of_model, tables.models))
    else:
        found = map(of_model, tables.models)
    rows = sorted((row for some in found for row in some), key=lambda row: row[0])  # stable: models stay in their order
    table = pd.DataFrame([entry for _, entry in rows], columns=[*COLUMNS, "p"])
    table["p_family"] = table.groupby("model")["p"].transform(holm).astype(float)
    return table.assign(clear=table["p_family"] <= ERROR)[COLUMNS]


def _of_model(claims: list[dict], tables: Tables, least: int, asked: dict | None, model: str) -> list[tuple[int, dict]]:
    """The numbers of a model's claims, with the row of each."""
    found = []
    for number, claim in enumerate(claims):
        if model not in claim.get("models", tables.models):
            continue
        expected = claim["expected"][model] if isinstance(claim["expected"], dict) else claim["expected"]
        mine, (low, high) = {**claim, "expected": expected}, bounds(expected)
        value, ci_low, ci_high, n = measured(tables, mine, model)
        testable = n >= least and not np.isnan(value)
        route, control = _beside_control(mine, tables, model) if testable else (np.nan, np.nan)
        inside = testable and low <= value <= high
        agrees = inside and not abs(route) < TIMES_CONTROL * abs(control) and not abs(control) < NEVER_CUT
        verdict = ("agree" if agrees else "differ") if testable else "not testable"
        side = (low, high) if inside else (-np.inf, low) if value < low else (high, np.inf)
        known = testable and inside == agrees  # a verdict that rests on the control has no p-value
        entry = {"claim": claim["claim"], "source": claim.get("source", "planted"), "model": model, "rule": rule_of(claim)}
        entry |= {"value": value, "ci_low": ci_low, "ci_high": ci_high, "expected": expected, "verdict": verdict}
        entry |= {"p": p_of_interval(value, ci_low, ci_high, side) if known else np.nan, "n": n, "control": control}
        entry |= {"paper": claim.get("paper")}
        if entry["paper"] is not None:
            entry["paper_conditions"] = _conditions(claim, tables, model, asked)
        found.append((number, entry))
    return found

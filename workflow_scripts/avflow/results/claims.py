"""Check findings as rules: each claim names a number in our tables and the range that it must lie in.

A claim is an entry of a file in resources/claims. It has its text, its source, a measure with arguments (`measures.py`), and the
expected range ("below -20", "above 0", "within -2 2"). The verdict is "agree" if the number lies in the range, else "differ". It
is "not testable" if there are fewer than `least` questions or nothing was computed. A verdict is `clear` if it stands
after a correction for the number of claims about the model (Holm): the chance that any of a model's clear verdicts is wrong is at
most 5 %. A claim without an interval has no p-value, so it is never clear.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from ..errors import InputError
from . import conditions
from .measures import MEASURES, Tables
from .significance import holm, p_of_interval

COLUMNS = ["claim", "source", "model", "rule", "value", "ci_low", "ci_high", "expected", "verdict", "clear", "n", "paper"]
COLUMNS += ["paper_conditions", "p_family"]
ERROR = 0.05  # the chance of any wrong clear verdict about a model
EXPECTED = re.compile(r"(below|above) (-?[\d.]+)|within (-?[\d.]+) (-?[\d.]+)")


def read(path) -> list[dict]:
    """Read a file of claims. Raises InputError that names the claim, the wrong value and what is allowed."""
    found = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    for claim in found:
        if claim.get("measure") not in MEASURES:
            raise InputError(
                f"{path}: claim {claim.get('claim')!r} has measure {claim.get('measure')!r}; known: {', '.join(MEASURES)}"
            )
        if not EXPECTED.fullmatch(str(claim.get("expected"))):
            raise InputError(
                f"{path}: claim {claim['claim']!r} expects {claim.get('expected')!r}; write below x, above x or within x y"
            )
    return found


def bounds(expected: str) -> tuple[float, float]:
    """The range that a value must lie in: "below -20" -> (-inf, -20)."""
    side, limit, low, high = EXPECTED.fullmatch(expected).groups()
    if side:
        return (-np.inf, float(limit)) if side == "below" else (float(limit), np.inf)
    return float(low), float(high)


def rule_of(claim: dict) -> str:
    """The measure and its arguments, as text."""
    names = "cut route then variant setting block control routes cannot tasks groups group centres"
    said = [f"{name} {claim[name]}" for name in names.split() if name in claim]
    return ", ".join([claim["measure"], *said])


def _conditions(claim: dict, tables: Tables, model: str, asked: dict | None) -> str:
    """The conditions of the paper's value, and ours. In matching questions nothing is sampled by time."""
    role = claim.get("data") or claim.get("block") or "video"
    fps = str(claim.get("fps", conditions.NONE if role == "items" else conditions.UNKNOWN))
    ours = conditions.here(asked, tables.datasets.get(role, role), model)
    return conditions.words(fps, claim.get("prompt", conditions.UNKNOWN), ours)


def judge(claims: list[dict], tables: Tables, least: int, asked: dict | None = None) -> pd.DataFrame:
    """One row per claim and model, with COLUMNS. least: the number of questions below which a claim is "not testable".

    paper_conditions: `conditions.words` for the paper's value; a claim's keys `fps` and `prompt` give them if they are stated.
    asked: our own conditions, see `conditions`. p_family: Holm's p-value of the verdict among all of the model's.
    """
    found = []
    for claim in claims:
        low, high = bounds(claim["expected"])
        for model in [m for m in tables.models if m in claim.get("models", tables.models)]:
            value, ci_low, ci_high, n = MEASURES[claim["measure"]](tables, claim, model)
            testable = n >= least and not np.isnan(value)
            agrees = testable and low <= value <= high
            side = (low, high) if agrees else (-np.inf, low) if value < low else (high, np.inf)
            verdict = ("agree" if agrees else "differ") if testable else "not testable"
            entry = {"claim": claim["claim"], "source": claim.get("source", "planted"), "model": model, "rule": rule_of(claim)}
            entry |= {"value": value, "ci_low": ci_low, "ci_high": ci_high, "expected": claim["expected"], "verdict": verdict}
            entry |= {
                "p": p_of_interval(value, ci_low, ci_high, side) if testable else np.nan,
                "n": n,
                "paper": claim.get("paper"),
            }
            if entry["paper"] is not None:
                entry["paper_conditions"] = _conditions(claim, tables, model, asked)
            found.append(entry)
    table = pd.DataFrame(found, columns=[*COLUMNS, "p"])
    table["p_family"] = table.groupby("model")["p"].transform(holm).astype(float)
    return table.assign(clear=table["p_family"] <= ERROR)[COLUMNS]

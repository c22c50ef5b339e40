"""Entries of a file of claims (results/claims.py judges them). One entry can stand for a rule on each of several parts."""

from itertools import product
from pathlib import Path

import yaml

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, and Snakemake reads these files whenever it starts


def entries(path) -> list[dict]:
    """The entries of a file of claims.

    `each: {table: [a, b]}` makes one entry per value, whose claim may name it as {table}. `each: {group: {hear: below -20}}` also
    gives each value its range, in place of `expected`.
    """
    found = []
    for entry in yaml.load(Path(path).read_text(encoding="utf-8"), LOADER):
        each = entry.pop("each", None)
        if each is None:
            found.append(entry)
            continue
        for values in product(*each.values()):
            mine = dict(zip(each, values))
            ranges = [{"expected": told[mine[key]]} for key, told in each.items() if isinstance(told, dict)]
            found.append({**entry, **mine, **(ranges[0] if ranges else {}), "claim": entry["claim"].format(**mine)})
    return found

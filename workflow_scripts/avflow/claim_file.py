"""Entries of a file of claims (results/claims.py judges them), with what one entry says of several tables or parts spelled out."""

from itertools import product
from pathlib import Path

import yaml


def entries(path) -> list[dict]:
    """The entries of a file of claims. `each: {table: [a, b]}` makes one entry per value, whose claim may name it as {table}."""
    found = []
    for entry in yaml.safe_load(Path(path).read_text(encoding="utf-8")):
        each = entry.pop("each", {})
        for values in product(*each.values()):
            mine = dict(zip(each, values))
            found.append({**entry, **mine, **({"claim": entry["claim"].format(**mine)} if each else {})})
    return found

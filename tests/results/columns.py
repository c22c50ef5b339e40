"""Damages to every column of every finished table, made up by rule: no table, column or kind is chosen by hand.

    PYTHONPATH=workflow_scripts:tests:tests/results python tests/results/columns.py             # all of them; an hour
    PYTHONPATH=workflow_scripts:tests:tests/results python tests/results/columns.py evaluate    # those of some tables

prints each damage that no claim notices, and how many were tried; `test_damage.py` tries some of them. A damage is noticed if a
claim that agreed no longer does. With --apart, the list also says which are noticed only by the claims that compare cells with
the shipped run, and by none of those that know nothing of it.
"""

import argparse
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

LABELS = ("centre", "layer")
SAME = ("dataset", "setting", "layout", "style", "cut", "study_split", "device")  # columns whose damage is that of another


def _half(values):
    return values / 2


def _mixed(values, rng):
    return rng.permutation(values)


NUMBERS = {  # kind -> (values of some rows, rng) -> other values
    "is zero": lambda values, rng: values * 0,
    "has the other sign": lambda values, rng: -values,
    "is halved": lambda values, rng: _half(values),
    "is a tenth": lambda values, rng: values / 10,
    "is lost": lambda values, rng: values * np.nan,
    "is its mean": lambda values, rng: values * 0 + np.nanmean(values),
    "is mixed up": _mixed,
}
TEXTS = {
    "is the first": lambda values, rng: np.full(len(values), values[0], dtype=object),
    "is mixed up": _mixed,
    "is lost": lambda values, rng: np.full(len(values), None, dtype=object),
    "has two values swapped": lambda values, rng: _swapped(values),
}


def _swapped(values):
    names = list(pd.unique(pd.Series(values).dropna()))
    if len(names) < 2:
        return values
    return pd.Series(values).replace({names[0]: names[1], names[1]: names[0]}).to_numpy()


def _rows(table: pd.DataFrame, where: str, rng) -> np.ndarray:
    """Which rows are damaged: all, those of a model, or those of one of its tasks (rows,)."""
    mine = np.ones(len(table), bool)
    if where != "everywhere" and "model" in table:
        mine &= (table["model"] == rng.choice(np.unique(table["model"]))).to_numpy()
    if where == "in a task":
        name = "group" if "group" in table else "task"
        mine &= (table[name] == rng.choice(np.unique(table.loc[mine, name]))).to_numpy()
    return mine


def of_columns(name: str, table: pd.DataFrame):
    """Yield (words, damage) for every column of a table, kind and place."""
    for column in table.columns:
        if column in SAME or "published" in column or "paper" in column or column in ("ci_low", "ci_high"):
            continue
        plain = pd.api.types.is_numeric_dtype(table[column]) and table[column].dtype != bool
        lists = column == "values"
        for kind, change in (NUMBERS if plain or lists else TEXTS).items():
            for where in ("everywhere", "in a model", "in a task"):
                yield f"{name}: {column} {kind} {where}", _change(column, change, where, lists)


def _change(column, change, where, lists):
    def damage(table, seed):
        rng = np.random.default_rng(seed)
        mine = _rows(table, where, rng)
        if lists:
            old = table.loc[mine, column].to_list()
            flat = np.concatenate([np.asarray(values, dtype=float) for values in old])
            new = np.split(np.asarray(change(flat, rng)), np.cumsum([len(values) for values in old])[:-1])
            table[column] = pd.Series(table[column].to_numpy(), dtype=object)
            table.loc[mine, column] = pd.Series([np.asarray(values) for values in new], index=table.index[mine])
            return table
        values = table.loc[mine, column]
        plain = pd.api.types.is_numeric_dtype(values) and values.dtype != bool
        new = change(values.to_numpy(dtype=float) if plain else values.to_numpy(dtype=object), rng)
        column_of = table[column].astype(float if plain else object).copy()
        column_of[mine] = new
        if plain and np.isfinite(column_of).all() and pd.api.types.is_integer_dtype(values):
            column_of = column_of.round().astype(values.dtype)
        elif not plain and column_of.notna().all():
            column_of = column_of.astype(values.dtype)
        return table.assign(**{column: column_of})

    return damage


def of_tables(name: str, table: pd.DataFrame):
    """Yield (words, damage) of whole rows: lost, twice, of another layer, or of the other model."""
    for column in ("model", "group", "task", "route", "control", "discard", "kind", "variant", "width", "setting", "name"):
        if column in table:
            yield f"{name}: rows of one {column} lost", _lost(column)
            yield f"{name}: rows of one {column} twice", _twice(column)
            yield f"{name}: rows of one {column} in place of another's", _copied(column)
    for column in LABELS:
        if column in table:
            for shift in (1, -1):
                yield f"{name}: {column} {shift:+d} everywhere", _shifted(column, shift, "everywhere")
                yield f"{name}: {column} {shift:+d} in a task", _shifted(column, shift, "in a task")
            yield f"{name}: rows of one {column} lost", _lost(column)
    if "draw" in table:
        yield f"{name}: all draws are the first", _one_draw


def _lost(column):
    def damage(table, seed):
        values = table[column].dropna().unique()
        return table[table[column] != np.random.default_rng(seed).choice(values)]

    return damage


def _twice(column):
    def damage(table, seed):
        values = table[column].dropna().unique()
        return pd.concat([table, table[table[column] == np.random.default_rng(seed).choice(values)]])

    return damage


def _copied(column):
    def damage(table, seed):
        values = table[column].dropna().unique()
        if len(values) < 2:
            return table
        one, other = np.random.default_rng(seed).choice(values, 2, replace=False)
        return pd.concat([table[table[column] != other], table[table[column] == one].assign(**{column: other})])

    return damage


def _shifted(column, shift, where):
    def damage(table, seed):
        mine = _rows(table, where, np.random.default_rng(seed)) & (table[column] >= 0).to_numpy()
        return table.assign(**{column: table[column].where(~mine, table[column] + shift)})

    return damage


def _one_draw(table, seed):
    key = [name for name in ("model", "question_id", "route", "discard", "layer", "centre", "control") if name in table]
    outcome = [name for name in ("logp_base", "logp_gold", "margin", "answer", "correct", "kl", "kept") if name in table]
    first = table[table["draw"] == 0].drop_duplicates(key).set_index(key)[outcome]
    later = (table["draw"] > 0).to_numpy()
    table.loc[later, outcome] = first.reindex(pd.MultiIndex.from_frame(table.loc[later, key])).to_numpy()
    return table.astype({name: float for name in outcome if name in ("logp_base", "logp_gold", "margin", "kl")})


def differs(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether two tables differ in any row, whatever the order of their rows."""
    if len(one) != len(other):
        return True
    for name in one:
        if name == "values":
            if any(not np.array_equal(a, b, equal_nan=True) for a, b in zip(one[name], other[name])):
                return True
        elif not pd.Series(one[name].to_numpy()).astype(object).equals(pd.Series(other[name].to_numpy()).astype(object)):
            return True
    return False


def damages(tables, names):
    """Yield (words, name, damage, seed) of all damages to some tables."""
    for name in names:
        for number, (words, damage) in enumerate([*of_columns(name, tables[name]), *of_tables(name, tables[name])]):
            yield words, name, damage, number


def main():
    """Print every damage that is noticed by nobody, or with --apart only by the comparison with the shipped run."""
    import test_damage as judging

    parser = argparse.ArgumentParser()
    parser.add_argument("tables", nargs="*", default=judging.TABLES)
    parser.add_argument("--every", type=int, default=1, help="try every nth damage")
    parser.add_argument("--apart", action="store_true", help="also print what only the comparison with the shipped run notices")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        whole, counts = judging.judged(Path(tempfile.mkdtemp(dir=place))), Counter()
        for words, name, damage, seed in [*damages(whole[1], arguments.tables)][:: arguments.every]:
            before = whole[1][name]
            after = damage(before.copy(), seed)
            if not differs(before, after):
                counts["no damage: nothing changes"] += 1
                continue
            by = judging.noticed_by(whole, lambda tables, name=name, after=after: {name: after}, place, arguments.apart)
            counts[by] += 1
            if by == "nobody" or (arguments.apart and by == judging.SHIPPED):
                print(f"{by}: {words}", flush=True)
        for by, n in counts.most_common():
            print(f"{n} of {counts.total()}: {by}")


if __name__ == "__main__":
    main()

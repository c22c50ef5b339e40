"""The shipped run of the miniature, cell by cell: every later run must repeat it, on any machine, up to rounding.

A cell is all rows of one model that were made alike: the same questions' group, route, setting of a discard, variant of a
question and so on (KEYS). A cell's record of a column holds five numbers: its mean, its standard deviation, and its mean products
with three weights between -1 and 1: two drawn from the layer (does it lie elsewhere?), one from the question's name (does it
belong to another question?). So a damage that leaves a cell's mean alone still shows. Texts count as numbers drawn from them.

    python workflow_scripts/specimen.py --tables results/miniature/tables --out resources/claims/miniature_specimen.parquet

Rules about the planted facts say what must be found and why. The specimen says nothing of that: it holds what was found once, and
notices a change in any place, also where no fact is planted.
"""

import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import InputError

KEYS = ["model", "dataset", "layout", "part", "group", "task", "route", "style", "width", "cut", "control", "variant", "discard"]
KEYS += ["kind", "name", "threshold", "direction", "heads"]
LAYERS = ("centre", "layer")  # columns that tell the layer
TIMED = ("prefill_ms", "prefill_ms_low", "prefill_ms_high", "encoder_ms", "decode_ms_per_token", "peak_bytes", "device")
DRAWN = ("ci_low", "ci_high", "non_inferior", "llm_share")  # decided by the draws of intervals, or by times
COUNTED = ("question_id", "cluster")
NUMBERS = ["mean", "spread", "layer", "layer_again", "question"]
TINY = {"p_other": 1e-9, "p_variants": 1e-9, "kl": 1e-4}  # columns of small numbers -> what rounding does to them
REACH = 0.01  # how far a number may lie from the specimen's: this, and this share of the column's size in the cell
FLIPS = 2  # answers in a cell that may be others, besides those where two letters are nearly alike
NEARLY = 0.02  # logits


def drawn(texts: pd.Series) -> np.ndarray:
    """A number between -1 and 1 for each text; equal texts have equal numbers (rows,)."""
    codes, names = pd.factorize(texts if texts.dtype == "str" and not texts.hasnans else texts.map(str))
    return np.array([zlib.crc32(name.encode()) / 2**31 - 1 for name in names])[codes] if len(codes) else np.zeros(0)


def _columns(rows: pd.DataFrame, keys: list[str]) -> dict[str, np.ndarray]:
    """Every column that is no key, as numbers (rows,). Log-probabilities become probabilities, lists two numbers each."""
    found = {}
    for name in rows.columns:
        if name in (*keys, *COUNTED, *TIMED, *DRAWN, "draw", "layers") or "paper" in name:
            continue
        column = rows[name]
        objects = column.dtype == object  # lists, truth values with gaps, or texts
        if objects and column.map(lambda one: isinstance(one, (list, np.ndarray))).any():
            lists = [np.asarray([] if values is None else values, dtype=float) for values in column]
            found[name] = np.array([values.mean() if len(values) else np.nan for values in lists])
            found[f"{name}_in_order"] = np.array([v @ np.linspace(-1, 1, len(v)) / len(v) if len(v) else np.nan for v in lists])
        elif pd.api.types.is_numeric_dtype(column) or objects and column.dropna().map(lambda one: isinstance(one, bool)).all():
            values = column.astype(float).to_numpy()
            found[name] = np.exp(values) if name.startswith("logp_") else values
        else:
            found[name] = np.where(column.isna(), np.nan, drawn(column))
    return found


def cells(rows: pd.DataFrame, columns=None) -> pd.DataFrame:
    """One row per cell and column, with `cell`, `dataset`, `model`, `column`, `rows`, `near`, NUMBERS and `size`.

    columns: those wanted; default: all but KEYS. Columns "rows", "question_id" and "cluster" have the number of rows, questions
    and clips as their mean. size: the root mean square. near: number of rows in which rounding decides the answer.
    """
    wanted = {*rows} if columns is None else {*columns, "values", *KEYS, "setting", *LAYERS, "margin", *COUNTED}
    rows = rows[[name for name in rows if name in wanted or name.startswith("logit_")]]
    keys = [name for name in KEYS if name in rows and (name != "heads" or _single(rows["heads"]))]
    keys += ["setting"] if "question_id" not in rows else []  # of Tables 1 and 4
    code = rows.groupby(keys, dropna=False, sort=False, observed=True).ngroup().to_numpy()
    first = rows.iloc[np.unique(code, return_index=True)[1]]
    names = np.array([" | ".join(map(str, one)) for one in first[keys].itertuples(index=False)])
    count = np.bincount(code, minlength=len(names)).astype(float)
    about = {"cell": names, "model": first["model"].to_numpy() if "model" in rows else ""}
    about["dataset"] = first["dataset"].to_numpy() if "dataset" in rows else ""
    layers = next((rows[name].fillna(-1).astype(int) for name in LAYERS if name in rows), pd.Series(0, rows.index))
    layer, again = (drawn(prefix + layers.astype(str)) for prefix in ("layer ", "again "))
    question = drawn(rows["question_id"]) if "question_id" in rows else np.zeros(len(rows))
    near = np.bincount(code, _nearly(rows), len(names))
    counts = {"rows": count}
    for name in COUNTED:
        if name in rows:
            counts[name] = rows.groupby(code)[name].nunique().to_numpy().astype(float)
    found = [pd.DataFrame({**about, "column": name, "rows": count, "mean": n, "size": n}) for name, n in counts.items()]
    for name, values in _columns(rows, keys).items():
        known = ~np.isnan(values)
        n = np.bincount(code[known], minlength=len(names)).astype(float)
        mean_of = lambda numbers: np.bincount(code[known], numbers[known], len(names)) / np.maximum(n, 1)  # noqa: B023, E731
        mean, size = mean_of(values), np.sqrt(mean_of(values**2))
        one = {"mean": mean, "spread": np.sqrt(np.maximum(size**2 - mean**2, 0))}
        one |= {"layer": mean_of(values * layer), "layer_again": mean_of(values * again)}
        one |= {"question": mean_of(values * question), "size": size}
        found.append(pd.DataFrame({**about, "column": name, "rows": n, "near": near, **one}))
    return pd.concat(found, ignore_index=True).fillna(0.0)


def _single(names: pd.Series) -> bool:
    """Whether cuts are in single heads of a layer, and not all in all heads, or in heads of several layers."""
    return names.nunique() > 1 and not names.str.contains(":").any()


def _nearly(rows: pd.DataFrame) -> np.ndarray:
    """Whether the two best letters are nearly alike, so that rounding decides the answer (rows,)."""
    letters = [name for name in rows if name.startswith("logit_") and len(name) == len("logit_A")]
    if letters:
        best = np.sort(rows[letters].to_numpy(dtype=float), axis=1)
        return (best[:, -1] - best[:, -2] < NEARLY).astype(float)
    return rows["margin"].abs().lt(NEARLY).to_numpy(dtype=float) if "margin" in rows else np.zeros(len(rows))


def read(folder: Path, table: str) -> pd.DataFrame | None:
    """A finished table; None if it is absent."""
    path = Path(folder) / f"{table}.parquet"
    if path.is_file():
        return pd.read_parquet(path)
    path = path.with_suffix(".csv")
    return pd.read_csv(path) if path.is_file() else None


def of_tables(folder: Path, names) -> pd.DataFrame:
    """`cells` of several tables, with a column `table`, rounded to four digits. Raises InputError for a table that is absent."""
    found = []
    for name in names:
        rows = read(folder, name)
        if rows is None:
            raise InputError(f"{folder} has no table {name}; finish the miniature before its cells are kept")
        found.append(cells(rows).assign(table=name))
    found, numbers = pd.concat(found, ignore_index=True), ["rows", "near", "size", *NUMBERS]
    digits = 3 - np.floor(np.log10(found["size"].where(found["size"] > 1e-9, 1.0))).astype(int)
    for name in ("size", *NUMBERS):
        found[name] = [round(value, at) for value, at in zip(found[name], digits)]
    texts = ["table", "dataset", "model", "cell", "column"]
    return found[[*texts, *numbers]].astype({**dict.fromkeys(texts, "category"), **dict.fromkeys(numbers, "float32")})


# Columns that depend on the letter answered
ANSWERS = ["answer", "correct", "correct_clean", "kept", "content", "says_letter", "known"]


def off(found: pd.DataFrame, told: pd.DataFrame) -> pd.DataFrame:
    """The records of `told` that `found` lacks or that lie elsewhere, and cells of its datasets that `told` lacks.

    found, told: `cells` of a table here, and of the specimen.
    """
    key = ["cell", "column"]
    both = told.merge(found[[*key, "rows", *NUMBERS]], on=key, how="left", suffixes=("", "_here"))
    tiny = both["column"].map(TINY)
    reach = (REACH * (1 + both["size"])).where(tiny.isna(), tiny + 0.2 * both["size"])
    flipped = 2 * (FLIPS + both["near"]) / both["rows"].clip(lower=1)  # drawn numbers of two texts are at most 2 apart
    reach += np.where(both["column"].isin(ANSWERS) & (both["rows"] > 1), flipped, 0)
    far = both["rows_here"].isna() | (both["rows_here"] != both["rows"])
    for name in NUMBERS:
        far |= (both[name] - both[f"{name}_here"]).abs() > reach
    mine = found[found["dataset"].isin(told["dataset"].unique()) & found["model"].isin(told["model"].unique())]
    new = mine[(mine["column"] == "rows") & ~mine["cell"].isin(told["cell"])]
    return pd.concat([both.loc[far, key], new[key]])

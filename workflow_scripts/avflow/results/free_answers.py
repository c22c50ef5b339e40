"""Free answers among the rows of a table: their change is that of the whole reply, and analyses of letters leave them out.

Tables that were made before there were free answers lack the columns of replies. Then every answer is a letter.
"""

import sys

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

COLUMNS = ("reply_tokens", "logp_reply", "logp_reply_clean")


def columns_of(path, wanted) -> list[str]:
    """The wanted columns, and those about replies that the table has."""
    return [*wanted, *(name for name in COLUMNS if name in pq.read_schema(path).names)]


def change(rows: pd.DataFrame) -> pd.Series:
    """% change of the uncut answer's probability by row: of its one token, or of all tokens of a reply together."""
    found = 100 * (np.exp(rows["logp_base"]) / rows["p_base_clean"] - 1)
    if "logp_reply" not in rows:
        return found
    whole = 100 * np.expm1(rows["logp_reply"].astype(float) - rows["logp_reply_clean"].astype(float))
    return found.where(rows["reply_tokens"].isna(), whole)


def size(rows: pd.DataFrame, end: str = "") -> pd.Series:
    """What tells one run's answers from another's, by row: the margin in logits, or the log-probability of a reply.

    end: "_clean" for the null row's.
    """
    if "reply_tokens" not in rows:
        return rows[f"margin{end}"]
    return rows[f"margin{end}"].where(rows["reply_tokens"].isna(), rows[f"logp_reply{end}"])


def with_options(rows: pd.DataFrame, what: str) -> pd.DataFrame:
    """The rows of questions with options. what: names the analysis in the line that says how many questions are left out."""
    if "reply_tokens" not in rows or not (free := rows["reply_tokens"].notna()).any():
        return rows
    print(f"{what}: {rows.loc[free, 'question_id'].nunique()} free questions are left out: they have no options", file=sys.stderr)
    return rows[~free]


def with_right_answer(rows: pd.DataFrame, what: str) -> pd.DataFrame:
    """The rows of `evaluate` whose question has a right answer, with `correct` as bool. what: as in `with_options`."""
    known = rows["correct"].notna()
    if not known.all():
        count = rows.loc[~known, "question_id"].nunique()
        print(f"{what}: {count} free questions are left out: they bring no answer that could be right", file=sys.stderr)
    return rows[known].astype({"correct": bool})

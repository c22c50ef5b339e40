"""Tables 2 and 3: the tasks, how many questions each has, how many a model answers correctly, and an example of each."""

from collections import Counter

import pandas as pd

from ..questions import Question, layouts, template_order
from . import free_answers, published
from .task_groups import ordered

TEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\n": " "}
TEX |= {letter: f"\\{letter}" for letter in "&%$#_{}"}


def example(question: Question) -> str:
    """A question with its options as one line, with the right option, or the free answer, in brackets."""
    if question.free:
        return f"{question.question} {f'[{question.answer}]' if question.answer else ''}".rstrip()
    options = [f"{o.label}. {o.text}" for o in question.options]
    marked = [f"[{text}]" if o.label == question.answer else text for o, text in zip(question.options, options)]
    return f"{question.question_raw or question.question} {' '.join(marked)}"


def task_table(questions: list[Question], dropped: pd.DataFrame, answers: pd.DataFrame, counts: pd.DataFrame) -> pd.DataFrame:
    """One row per task and group, one for all questions, and one for the knockout split.

    Columns: number of questions (n), those for knockouts, those dropped, the paper's number, and correct answers by model. For
    matching questions also those whose parts stand in the order of Eq. 3 (n_eq3_order) and those that can be asked in other
    orders (n_reordered), with the reasons why the rest cannot, each with its count (not_reordered).
    dropped: `drops.Dropped` as a table; answers: rows of `evaluate`; counts: resources/published/tasks.csv. n_paper_task: the
    paper's number for both directions of a task together, if it gives only that. n_dropped is empty for a task with two
    directions, because a dropped question has no direction.
    """
    dataset = questions[0].dataset
    answers = free_answers.with_right_answer(answers[answers["dataset"] == dataset], f"correct answers in {dataset}")
    models = list(pd.unique(answers["model"]))
    found = []

    def row(task, group, chosen, lost, n_paper, n_both=None):
        ids = {q.question_id for q in chosen}
        right = answers[answers["question_id"].isin(ids)].groupby("model")["correct"].sum()
        shown = min(chosen, key=lambda q: q.question_id)
        shown = (None, None) if group == "all" else (shown.question_id, example(shown))
        entry = {"group": group, "task": task, "n": len(chosen), "n_knockout": sum(q.study_split == "knockout" for q in chosen)}
        entry |= _orders(chosen) if chosen[0].setting == "items" else {}
        entry |= {"n_dropped": lost, "n_paper": n_paper, "n_paper_task": n_both}
        entry |= {f"correct_{model}": int(right.get(model, 0)) for model in models}
        found.append({**entry, "example_id": shown[0], "example": shown[1]})

    pairs = {(q.task, q.group) for q in questions}
    for group in ordered(pd.Series(sorted({group for _, group in pairs}))):
        for task in sorted(task for task, other in pairs if other == group):
            chosen = [q for q in questions if (q.task, q.group) == (task, group)]
            paper = [_number(published.find(counts, dataset, task, g)) for g in (group, "both")]
            lost = int((dropped["task"] == task).sum()) if sum(task == other for other, _ in pairs) == 1 else None
            row(task, group, chosen, lost, paper[0], paper[1] if paper[0] is None else None)
    row("all", "all", questions, len(dropped), _number(published.find(counts, dataset, "all", "all")))
    used = [q for q in questions if q.study_split == "knockout"]
    if used:
        row("knockout", "all", used, None, _number(published.find(counts, dataset, "knockout", "all")))
    numbers = ["n_dropped", "n_paper", "n_paper_task"]
    return pd.DataFrame(found).astype(dict.fromkeys(numbers, "Int64"))


def _orders(questions: list[Question]) -> dict:
    """How many matching questions stand in the order of Eq. 3, and how many can be asked in others."""
    reasons = Counter(why.split(":")[0] for why in map(layouts.obstacle, questions) if why)
    told = "; ".join(f"{why} ({count})" for why, count in reasons.most_common())
    in_order = sum(map(template_order.in_eq3_order, questions))
    return {"n_eq3_order": in_order, "n_reordered": len(questions) - reasons.total(), "not_reordered": told}


def _number(rows: pd.DataFrame) -> int | None:
    """n of the first row that has one, or None."""
    rows = rows[rows["n"] != ""]
    return int(rows["n"].iloc[0]) if len(rows) else None


def to_tex(table: pd.DataFrame, wide: bool = True) -> str:
    """The table as a LaTeX tabular (booktabs), with escaped names and cells; unknown values are empty.

    wide: the last column holds sentences and is set as a paragraph. Ids and reasons stand in the csv alone.
    """
    escape = lambda cell: "".join(TEX.get(c, c) for c in ("" if pd.isna(cell) else str(cell)))  # noqa: E731
    shown = table.drop(columns=["example_id", "not_reordered"], errors="ignore")
    layout = "".join("r" if pd.api.types.is_numeric_dtype(shown[c]) else "l" for c in shown.columns)
    layout = layout[:-1] + "p{0.4\\linewidth}" if wide else layout
    lines = [" & ".join(map(escape, cells)) + r" \\" for cells in shown.itertuples(index=False)]
    body = [rf"\begin{{tabular}}{{{layout}}}", r"\toprule", " & ".join(map(escape, shown.columns)) + r" \\", r"\midrule", *lines]
    return "\n".join([*body, r"\bottomrule", r"\end{tabular}", ""])

"""Table 4: accuracy when a kind of token is discarded, its change with an interval, and what is saved.

There is one row per model, task and setting. A group of several tasks, such as Visual Recognition, has the mean of its tasks'
accuracies, which is how the paper's numbers come out (resources/published/table_4.csv). Tasks of the items setting are split by
direction.

How much depends on the chosen layers? From the questions of the discard sweep, the table also has the change of accuracy when a
kind leaves two layers earlier, at its layer, and two layers later.
"""

import fnmatch
import re

import pandas as pd

from . import conditions, published
from .statistics import non_inferior, paired_change
from .task_groups import rank

PARTS = ("knockout", "cross_task", "cross_dataset")
ORDER = ("none", "Ques", "Audio", "Video", "Ref", "Cand")  # the paper's order of settings; All comes last
COLUMNS = ["model", "setting", "task", "n", "accuracy", "change", "ci_low", "ci_high", "flops_llm", "kv_bytes", "prefill_ms"]
COLUMNS += ["encoder_ms", "decode_ms_per_token", "part", "dataset", "token_layers", "peak_bytes", "llm_share", "non_inferior"]
COLUMNS += ["layers", "accuracy_paper", "prefill_ms_low", "prefill_ms_high", "device", "paper_source", "paper_conditions"]
SHIFTS = {"swept_change_earlier": -2, "swept_change": 0, "swept_change_later": 2}  # column -> layers from the chosen one
COLUMNS += ["n_swept", *SHIFTS]


def task_names(rows: pd.DataFrame) -> pd.Series:
    """The name of each question's task in the table: its group, or task and group (direction) for items."""
    return rows["group"].where(rows["setting"] != "items", rows["task"] + " " + rows["group"])


def table(
    rows: pd.DataFrame,
    parts: dict,
    models: list[str],
    layers: dict,
    known,
    margin: float,
    draws: int,
    seed: int,
    asked=None,
    swept: pd.DataFrame | None = None,
):
    """Both blocks of Table 4: setting -> DataFrame with COLUMNS.

    rows: table of the rule pruning. parts: part -> dataset -> patterns over tasks. layers: model -> contents of discard_layers.
    known: resources/published/table_4.csv, or None. asked: our own conditions, see `conditions`, with which the paper's number is
    compared in paper_conditions. flops_llm, kv_bytes and token_layers are means over questions. Times are the
    median of each timed question, averaged over questions, and NaN if none was timed. llm_share: prefill time divided by encoder
    plus prefill time. non_inferior: true if shown to lose at most `margin` points. Two points need 189 unchanged answers, so
    false shows nothing.

    swept: table of the rule discard_sweep. From it come n_swept, its number of questions of a task, and the columns of SHIFTS:
    changes in points against the same questions without discards. They are NaN for All, whose kinds leave together in the sweep,
    and for a task or layer that was not swept.
    """
    swept = None if swept is None else swept.assign(shown=task_names(swept))
    rows = rows[~rows["discard"].str.fullmatch(r"random|VTW|FastV-.*")]
    rows = rows.assign(shown=task_names(rows))
    blocks = {}
    for kind, of_kind in rows.groupby("setting", sort=False):
        found = []
        for model in models:
            for part in PARTS:
                for dataset, patterns in parts.get(part, {}).items():
                    here = of_kind[(of_kind["model"] == model) & (of_kind["dataset"] == dataset)]
                    here = here[here["task"].map(lambda task, patterns=patterns: _fits(task, patterns)).astype(bool)]
                    for shown in sorted(here["shown"].unique(), key=lambda name: (rank(name), name)):
                        one = here[here["shown"] == shown]
                        about = {"model": model, "task": shown, "part": part, "dataset": dataset}
                        for entry in _settings(one, about, layers[model][kind], known, margin, draws, seed, asked):
                            found.append(entry | _around(swept, entry, layers[model][kind], patterns))
        blocks[kind] = pd.DataFrame(found, columns=COLUMNS)
    return blocks


def _fits(task: str, patterns) -> bool:
    return any(fnmatch.fnmatchcase(task, pattern) for pattern in patterns)


def alike(tasks: pd.Series) -> pd.Series:
    """Weights of questions, 1 on average, with which every task counts alike."""
    counts = tasks.groupby(tasks).size()
    return tasks.map(len(tasks) / (len(counts) * counts))


def _around(swept, entry: dict, layers: dict, patterns) -> dict:
    """What the sweep says about discarding an entry's kind near its layer; empty for other entries."""
    kind = entry["setting"]
    if swept is None or kind not in layers:
        return {}
    here = swept[(swept["model"] == entry["model"]) & (swept["dataset"] == entry["dataset"]) & (swept["shown"] == entry["task"])]
    here = here[here["task"].map(lambda task: _fits(task, patterns)).astype(bool)]
    base = here[here["control"] == "null"].set_index("question_id")
    mine = here[(here["discard"] == kind) & (here["control"] == "none")]
    found = {"n_swept": mine["question_id"].nunique()}
    for column, shift in SHIFTS.items():
        after = mine[mine["layer"] == layers[kind]["layer"] + shift].set_index("question_id")
        if len(after):
            before = base.loc[after.index]
            lost = after["correct"].astype(float) - before["correct"].astype(float)
            found[column] = 100 * (lost * alike(before["task"])).mean()
    return found


def _settings(one: pd.DataFrame, about: dict, layers: dict, known, margin, draws, seed, asked) -> list[dict]:
    """The rows of one model and task."""
    base = one[one["discard"] == "none"].set_index("question_id")
    weights = alike(base["task"])
    found = []
    place = {setting: number for number, setting in enumerate(ORDER)} | {"All": len(ORDER) + 1}
    for setting in sorted(one["discard"].unique(), key=lambda name: place.get(name, len(ORDER))):
        mine = one[one["discard"] == setting].set_index("question_id").loc[base.index]
        change, low, high = paired_change(base["correct"], mine["correct"], base["cluster"], draws, seed, weights)
        if setting == "none":
            change = low = high = float("nan")
        entry = {**about, "setting": setting, "n": len(mine), "accuracy": 100 * (mine["correct"] * weights).mean()}
        entry |= {"change": change, "ci_low": low, "ci_high": high}
        entry |= {"non_inferior": setting != "none" and non_inferior(low, margin)}
        for column in ("flops_llm", "kv_bytes", "token_layers", "prefill_ms", "encoder_ms", "decode_ms_per_token", "peak_bytes"):
            entry[column] = mine[column].mean()
        entry |= {column: mine[column].mean() for column in ("prefill_ms_low", "prefill_ms_high")}
        entry["device"] = "; ".join(sorted(mine["device"].unique()))
        entry["llm_share"] = entry["prefill_ms"] / (entry["prefill_ms"] + entry["encoder_ms"])
        entry["layers"] = _layers(setting, layers)
        entry |= _paper(known, about, setting, base, asked)
        found.append(entry)
    return found


def _layers(setting: str, layers: dict) -> str:
    """The layers after which tokens are discarded, and why."""
    kinds = {kind: of for kind, of in layers.items() if kind != "VTW" and setting in (kind, "All")}
    return "; ".join(f"{kind} {of['layer']} ({of['why']})" for kind, of in kinds.items())


def _paper(known, about: dict, setting: str, base, asked) -> dict:
    """The paper's accuracy for this model, task and setting with its table and conditions; empty if it has none."""
    if known is None:
        return {}
    task, group = base["task"].iloc[0], base["group"].iloc[0]
    rows = published.find(known, about["dataset"], task, group, discard=setting)
    rows = rows[rows["model"].map(lambda other: published.same_model(about["model"], other)).astype(bool)]
    if not len(rows):
        return {}
    row, ours = rows.iloc[0], conditions.here(asked, about["dataset"], about["model"])
    said = conditions.words(row["fps"], row["prompt"], ours)
    return {"accuracy_paper": float(row["accuracy"]), "paper_source": row["source"], "paper_conditions": said}


def to_tex(block: pd.DataFrame) -> str:
    """A block as LaTeX (booktabs): one line per model and setting, one column per task; changes and intervals below."""
    escape = lambda text: str(text).replace("_", r"\_").replace("%", r"\%")  # noqa: E731
    tasks = list(dict.fromkeys(zip(block["part"], block["dataset"], block["task"])))
    spans = {}
    for part, dataset, _ in tasks:
        spans[part, dataset] = spans.get((part, dataset), 0) + 1
    head = [
        rf"\multicolumn{{{n}}}{{c}}{{{escape(part.replace('_', ' '))}: {escape(dataset)}}}"
        for (part, dataset), n in spans.items()
    ]
    lines = [rf"\begin{{tabular}}{{ll{'r' * len(tasks)}rrrr}}", r"\toprule"]
    lines.append(r" & & " + " & ".join(head) + r" & \multicolumn{4}{c}{per question} \\")
    names = ["model", "discard (after layer)", *(task for *_, task in tasks), "TFLOP", "prefill ms", "encoder ms", "ms per token"]
    lines += [" & ".join(map(escape, names)) + r" \\", r"\midrule"]
    for (model, setting), mine in block.groupby(["model", "setting"], sort=False):
        by_task = {(r["part"], r["dataset"], r["task"]): r for _, r in mine.iterrows()}
        cells, below = [], []
        for key in tasks:
            row = by_task.get(key)
            cells.append("--" if row is None else f"{row['accuracy']:.2f}")
            bare = row is None or setting == "none"
            below.append("" if bare else rf"\tiny {row['change']:+.1f} [{row['ci_low']:.1f}, {row['ci_high']:.1f}]")
        weight = mine["n"] / mine["n"].sum()
        costs = [f"{(mine['flops_llm'] * weight).sum() / 1e12:.3g}"]
        costs += [
            f"{mine[c].mean():.1f}" if mine[c].notna().any() else "--"
            for c in ("prefill_ms", "encoder_ms", "decode_ms_per_token")
        ]
        after = re.findall(r"(?:^|; )\w+ (\d+) \(", mine["layers"].iloc[0])
        named = f"{setting} ({', '.join(after)})" if after else setting
        lines.append(" & ".join([escape(model), named, *cells, *costs]) + r" \\")
        if any(below):
            lines.append(" & ".join(["", "", *below, "", "", "", ""]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])

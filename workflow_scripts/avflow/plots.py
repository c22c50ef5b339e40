"""The figures' drawing functions; notebooks only load a table, call one of these, and save.

The look follows the paper: one row of panels with a shared y axis, ticks inward on all four sides, a dashed zero line, one
legend above, thick lines with a translucent band (95 %, bootstrap over clips).
"""

import itertools
import os

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from . import layouts
from .statistics import cluster_bootstrap

PURPLE, BLUE, ORANGE, PINK, CYAN, RED, GREEN = "#9C27B0", "#1565C0", "#FF7F00", "#F00FCB", "#00C1F1", "#E31A1C", "#2CA02C"

TITLES = {
    "hear": "Hear",
    "see": "See",
    "while-hear": "While hearing",
    "while-see": "While seeing",
    "visual_recognition": "Visual Recognition",
    "speech_attributes": "Speech Attributes",
    "speech_recognition": "Speech Recognition",
    "speaker_recognition": "Speaker Recognition",
    "speaker_detection": "Speaker Detection",
    "I2A": r"I Ref $\rightarrow$ A Cand",
    "A2I": r"A Ref $\rightarrow$ I Cand",
}
SPANS = {
    "audio": "Audio",
    "video": "Video",
    "question": "Question",
    "last": "Last",
    "reference": "Reference",
    "candidates": "Candidates",
    "options": "Options",
    "correct_candidate": "CorrectCand",
    "incorrect_candidates": "IncorrectCand",
    "correct_option": "CorrectOpt",
    "incorrect_options": "IncorrectOpt",
}


def title(group: str) -> str:
    """A task group's name as a panel's title."""
    return TITLES.get(group, group.replace("_", " ").capitalize())


def ordered(groups) -> list[str]:
    """The groups that occur, those with a title first and in its order."""
    found = list(pd.unique(groups))
    return [g for g in TITLES if g in found] + sorted(g for g in found if g not in TITLES)


def route_label(route: str) -> str:
    """A route as the paper writes it: an arrow that is struck through."""
    if route.startswith("cross_"):
        return "Cross-" + route.removeprefix("cross_").replace("_", "-").title()
    arrow = r" $\nleftrightarrow$ " if "<->" in route else r" $\nrightarrow$ "
    source, target = route.replace("<->", "->").split("->")
    return SPANS.get(source, source) + arrow + SPANS.get(target, target)


def relative_change(path, model: str, dataset: str, width: int | None = None) -> pd.DataFrame:
    """Rows of real cuts in centred windows on questions answered correctly, of one width or of all, in their default layout;

    `change` is the % change of the answer's probability (section 2.1).
    """
    keep = [("layout", "not in", layouts.NAMES)]
    keep += [("model", "=", model), ("dataset", "=", dataset), ("control", "=", "none"), ("cut", "=", "mask")]
    keep += [("style", "=", "centred"), ("applicable", "=", True), ("correct_clean", "=", True)]
    keep += [("width", "=", width)] if width else []
    columns = ["question_id", "cluster", "task", "group", "needs", "route", "width", "centre", "logp_base", "p_base_clean"]
    rows = pq.read_table(path, columns=columns, filters=keep).to_pandas()
    rows["change"] = 100 * (np.exp(rows["logp_base"]) / rows["p_base_clean"] - 1)
    return rows


def curve(rows: pd.DataFrame, draws: int, seed: int):
    """Mean change by centre with its band: centres, mean, low, high (layers,) and the number of questions."""
    table = rows.pivot(index=["question_id", "cluster"], columns="centre", values="change")
    mean, low, high = cluster_bootstrap(table.to_numpy(), table.index.get_level_values("cluster"), draws, seed)
    return table.columns.to_numpy(), mean, low, high, len(table)


def route_panels(rows: pd.DataFrame, panels, colours: dict, draws: int, seed: int):
    """One panel a (title, group, routes) entry, one line a route; returns the figure.

    rows: from `relative_change`; colours: route -> colour. Neighbouring panels with the same routes stand under one legend, and
    all panels share the y axis.
    """
    panels = panels or [("", "", list(colours))]
    blocks = [list(block) for _, block in itertools.groupby(panels, key=lambda panel: panel[2])]
    figure = plt.figure(figsize=(2.6 * len(panels) + 0.6, 2.9))
    parts = figure.subfigures(1, len(blocks), width_ratios=[len(block) for block in blocks], squeeze=False)[0]
    letters, axes = iter("abcdefgh"), []
    for part, block in zip(parts, blocks):
        row = part.subplots(1, len(block), sharey=True, squeeze=False)[0]
        for axis, (heading, group, routes) in zip(row, block):
            line_panel(axis, rows[rows["group"] == group], routes, colours, draws, seed)
            axis.set_title(f"({next(letters)}) {heading}")
        row[0].set_ylabel("% Change in Probability")
        handles = [plt.Line2D([], [], color=colours[route], label=route_label(route)) for route in block[0][2]]
        part.legend(handles=handles, loc="outside upper center", ncols=len(handles) if len(block) > 2 else 2)
        axes += list(row)
    low = min(axis.get_ylim()[0] for axis in axes)
    high = max(axis.get_ylim()[1] for axis in axes)
    for axis in axes:
        axis.set_ylim(low, high)
    return figure


def line_panel(axis, rows, routes, colours, draws, seed) -> None:
    """The curves of one panel with their bands, and the number of questions behind them."""
    axis.axhline(0, color="0.5", linestyle="--", linewidth=0.8, zorder=1)
    count = 0
    for route in routes:
        one = rows[rows["route"] == route]
        if len(one):
            centres, mean, low, high, number = curve(one, draws, seed)
            count = max(count, number)
            axis.fill_between(centres, low, high, color=colours[route], alpha=0.2, linewidth=0)
            axis.plot(centres, mean, color=colours[route])
    axis.set_xlabel("Layer")
    axis.text(0.03, 0.04, f"n = {count}", transform=axis.transAxes, fontsize=7, color="0.35")
    if not count:
        axis.text(0.5, 0.5, "no rows", transform=axis.transAxes, ha="center", fontsize=7)


def window_panels(rows: pd.DataFrame, routes: list):
    """A grid of panels, one row a route and one column a group, one line a window width k, the darker the wider (Appendix E).

    Means only: the bands of so many lines would hide each other.
    """
    groups, widths = ordered(rows["group"]) or [""], sorted(rows["width"].unique())
    figure, axes = plt.subplots(
        len(routes),
        len(groups),
        sharex=True,
        sharey=True,
        squeeze=False,
        figsize=(2.2 * len(groups) + 0.8, 1.7 * len(routes) + 0.7),
    )
    shades = dict(zip(widths, plt.get_cmap("viridis_r")(np.linspace(0.1, 1, len(widths)))))
    for line, route in zip(axes, routes):
        for axis, group in zip(line, groups):
            axis.axhline(0, color="0.5", linestyle="--", linewidth=0.8, zorder=1)
            here = rows[(rows["route"] == route) & (rows["group"] == group)]
            for width, one in here.groupby("width"):
                mean = one.groupby("centre")["change"].mean()
                axis.plot(mean.index, mean, color=shades[width], linewidth=1.4)
            axis.text(0.03, 0.05, f"n = {here['question_id'].nunique()}", transform=axis.transAxes, fontsize=7, color="0.35")
        line[0].set_ylabel(route_label(route) + "\n% Change in Probability")
    for axis, group in zip(axes[0], groups):
        axis.set_title(title(group))
    for axis in axes[-1]:
        axis.set_xlabel("Layer")
        axis.xaxis.get_major_locator().set_params(integer=True)
    handles = [plt.Line2D([], [], color=shades[w], label=f"k = {w}") for w in widths]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def needs_of(column) -> str:
    """What a task's questions need: A, V, AV, or several of them, as in the graded tasks."""
    return " or ".join(sorted(column.unique()))


def accuracies(path, draws: int, seed: int) -> pd.DataFrame:
    """Accuracy by model and task: n, correct, accuracy with a 95 % interval over clips, and the level of chance."""
    rows = pq.read_table(path).to_pandas()
    options = rows[[f"logit_{x}" for x in "ABCD"]].notna().sum(1)
    found = []
    for (model, dataset, task), here in rows.assign(chance=1 / options).groupby(["model", "dataset", "task"], sort=False):
        values = here[["correct"]].astype(float).to_numpy()
        mean, low, high = cluster_bootstrap(values, here["cluster"], draws, seed)
        found.append(
            {
                "model": model,
                "dataset": dataset,
                "task": task,
                "needs": needs_of(here["needs"]),
                "n": len(here),
                "correct": int(here["correct"].sum()),
                "accuracy": mean[0],
                "ci_low": low[0],
                "ci_high": high[0],
                "chance": here["chance"].mean(),
            }
        )
    return pd.DataFrame(found)


def accuracy_bars(table: pd.DataFrame):
    """Accuracy by task, one group of bars a task and one bar a model, with intervals and the level of chance."""
    tasks, models = list(pd.unique(table["task"])), list(pd.unique(table["model"]))
    figure, axis = plt.subplots(figsize=(1.1 * len(tasks) + 1.2, 2.6))
    width = 0.8 / len(models)
    for i, (model, colour) in enumerate(zip(models, (BLUE, ORANGE, GREEN, PURPLE))):
        here = table[table["model"] == model].set_index("task").reindex(tasks)
        at = np.arange(len(tasks)) + (i - (len(models) - 1) / 2) * width
        error = 100 * np.stack([here["accuracy"] - here["ci_low"], here["ci_high"] - here["accuracy"]])
        bars = axis.bar(
            at, 100 * here["accuracy"], 0.92 * width, color=colour, label=model, yerr=error, error_kw={"linewidth": 1}
        )
        axis.bar_label(bars, [f"{100 * a:.1f}" for a in here["accuracy"]], fontsize=7, padding=1)
    chance = table.groupby("task", sort=False)["chance"].mean().reindex(tasks)
    axis.hlines(
        100 * chance, np.arange(len(tasks)) - 0.45, np.arange(len(tasks)) + 0.45, color="0.3", linestyle="--", label="chance"
    )
    axis.set_xticks(
        np.arange(len(tasks)), [f"{t}\n(needs {table[table['task'] == t]['needs'].iloc[0]})" for t in tasks], fontsize=7
    )
    axis.set_ylim(0, 112)
    axis.set_ylabel("Accuracy (%)")
    figure.legend(loc="outside upper center", ncols=len(models) + 1)
    return figure


def reliance(path, evaluated, draws: int, seed: int) -> pd.DataFrame:
    """What answers rest on, by model, dataset and task: accuracy as is (table `evaluated`), muted, blanked; use of the letters;

    effect of shuffling (table `path`).

    share_A .. share_D: how often each letter is answered as is. same_content: share of questions whose answered content is the
    same in every order of the options. needs_audio: share of questions that sound decides alone or with the picture.
    """
    rows = pd.concat([pq.read_table(evaluated).to_pandas().assign(variant="as_is"), pq.read_table(path).to_pandas()])
    found = []
    for (model, dataset, task), here in rows.groupby(["model", "dataset", "task"], sort=False):
        wide = here.pivot(index=["question_id", "cluster"], columns="variant", values="correct").astype(float)
        clusters = wide.index.get_level_values("cluster")
        as_is = here[here["variant"] == "as_is"]
        entry = {"model": model, "dataset": dataset, "task": task, "n": len(wide)}
        entry["needs"] = needs_of(as_is["needs"])
        entry["needs_audio"] = as_is["needs"].str.contains("A").mean()
        for variant in ("as_is", "muted", "blanked"):
            mean, low, high = cluster_bootstrap(wide[[variant]].to_numpy(), clusters, draws, seed)
            entry.update({variant: mean[0], f"{variant}_low": low[0], f"{variant}_high": high[0]})
        entry.update({f"share_{x}": (as_is["answer"] == x).mean() for x in "ABCD"})
        orders = here[~here["variant"].isin(["muted", "blanked"])]
        entry["same_content"] = (orders.groupby("question_id")["content"].nunique() == 1).mean()
        found.append(entry)
    return pd.DataFrame(found)


def dial(table: pd.DataFrame, rows: pd.DataFrame, routes, draws: int, seed: int) -> pd.DataFrame:
    """The graded tasks' route effects by how many of their questions sound decides.

    table: from `reliance`, one model's graded tasks; rows: from `relative_change` for their dataset. Each route is read at the
    centre where it matters most over all tasks together. Columns: task, needs_audio, route, centre, mean, low, high.
    """
    found = []
    for route in routes:
        one = rows[rows["route"] == route]
        if one.empty:
            continue
        centre = one.groupby("centre")["change"].mean().idxmin()
        for task, needs_audio in zip(table["task"], table["needs_audio"]):
            here = one[(one["task"] == task) & (one["centre"] == centre)]
            mean, low, high = cluster_bootstrap(here[["change"]].to_numpy(), here["cluster"], draws, seed)
            entry = {"task": task, "needs_audio": needs_audio, "route": route, "centre": centre}
            found.append({**entry, "mean": mean[0], "low": low[0], "high": high[0]})
    return pd.DataFrame(found)


def reliance_panels(table: pd.DataFrame, graded: pd.DataFrame, effects: pd.DataFrame, colours: dict):
    """(a) accuracy by task as is, muted and blanked; (b) the same over the graded tasks; (c) route effects over them.

    table: one model's rows of `reliance` without the graded tasks; graded: those; effects: from `dial`.
    """
    looks = {"as_is": ("as it is", GREEN), "muted": ("sounds muted", BLUE), "blanked": ("pictures blanked", PURPLE)}
    figure, axes = plt.subplots(1, 3, figsize=(11, 2.9), width_ratios=[1.9, 1, 1])
    at = np.arange(len(table))
    for i, (variant, (label, colour)) in enumerate(looks.items()):
        error = 100 * np.stack([table[variant] - table[f"{variant}_low"], table[f"{variant}_high"] - table[variant]])
        axes[0].bar(
            at + 0.27 * (i - 1), 100 * table[variant], 0.25, yerr=error, color=colour, label=label, error_kw={"linewidth": 1}
        )
        order = graded.sort_values("needs_audio")
        share = 100 * order["needs_audio"]
        axes[1].plot(share, 100 * order[variant], color=colour, marker="o", markersize=4)
        axes[1].fill_between(share, 100 * order[f"{variant}_low"], 100 * order[f"{variant}_high"], color=colour, alpha=0.2, lw=0)
    axes[0].set_xticks(
        at, [f"{t.replace('-to-', ' to ')}\n(needs {n})" for t, n in zip(table["task"], table["needs"])], fontsize=6.5
    )
    axes[1].set_ylabel("Accuracy (%)")
    for axis in axes[:2]:
        axis.axhline(25, color="0.3", linestyle="--", linewidth=1)
        axis.set_ylim(0, 109)
    axes[0].set_ylabel("Accuracy (%)")
    axes[0].set_title("(a) Accuracy without a modality; dashed: chance")
    axes[1].set_title("(b) The same, graded")
    drawn = effects.sort_values("needs_audio").groupby("route", sort=False) if len(effects) else []
    for route, here in drawn:
        share = 100 * here["needs_audio"]
        slope, start = np.polyfit(share, here["mean"], 1)
        axes[2].plot(share, start + slope * share, color=colours[route], linewidth=1, linestyle="--")
        error = np.stack([here["mean"] - here["low"], here["high"] - here["mean"]])
        label = f"{route_label(route)} (layer {here['centre'].iloc[0]})"
        axes[2].errorbar(share, here["mean"], error, color=colours[route], marker="o", markersize=4, linestyle="", label=label)
    axes[2].set_ylabel("% Change in Probability")
    axes[2].set_title("(c) Effect of a route, graded")
    axes[2].set_ylim(-125, 8)
    axes[2].legend(loc="lower center", fontsize=7)
    for axis in axes[1:]:
        axis.set_xlabel("Clips in which only sound tells, as drawn (%)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def training_curves(path):
    """Accuracy by task over the steps of the training, stages shaded, from the log that train_tiny.py writes."""
    log = pd.read_json(path, lines=True)
    tasks = [c for c in log.columns if f"{c}/word" in log.columns]
    figure, axis = plt.subplots(figsize=(7, 2.7))
    begin = 0
    for i, (stage, here) in enumerate(log.groupby("stage", sort=False)):
        axis.axvspan(begin, here["total"].iloc[-1], color="0.5", alpha=0.05 + 0.1 * (i % 2), linewidth=0)
        axis.text((begin + here["total"].iloc[-1]) / 2, 8, stage, ha="center", fontsize=8, color="0.3")
        begin = here["total"].iloc[-1]
    for task, colour in zip(tasks, (BLUE, PURPLE, CYAN, PINK, "0.4", GREEN, ORANGE)):
        axis.plot(log["total"], 100 * log[task], color=colour, linewidth=1.4, label=task)
    axis.axhline(25, color="0.3", linestyle="--", linewidth=0.8)
    axis.set(xlabel="Step", ylabel="Accuracy (%)", ylim=(0, 104), xlim=(0, begin))
    figure.legend(loc="outside upper center", ncols=4)
    return figure


def world_sheet(clip, clip_questions, matching, media):
    """What a model is given: one clip with all that is asked about it, and one matching question with its items.

    clip: dict of frames (T, 3, H, W) uint8, fps and audio (n,); clip_questions: the questions about it; matching: a question of
    the items setting; media: media_id -> dict like clip, for its items.
    """
    figure = plt.figure(figsize=(10.5, 4.0))
    upper, lower = figure.subfigures(2, 1, height_ratios=[1.25, 1])
    left, right = upper.subfigures(1, 2, width_ratios=[1.25, 1])
    pictures = clip["frames"][:: int(clip["fps"])]
    axes = left.subplots(2, 1, height_ratios=[1, 0.8])
    axes[0].imshow(np.concatenate(list(pictures.transpose(0, 2, 3, 1)), 1), extent=(0, len(pictures), 0, 1), aspect="auto")
    axes[0].set_title("A clip: one picture and one sound (or silence) a second")
    _spectrogram(axes[1], clip["audio"])
    axes[1].set_xlabel("Time (s)")
    for axis in axes:
        axis.set_xlim(0, len(pictures))
        axis.grid(False)
    axes[0].set_yticks([])
    right.text(0.02, 0.93, _asked(clip_questions), va="top", fontsize=9, linespacing=1.5)

    items, text = lower.subfigures(1, 2, width_ratios=[1.25, 1])
    for axis, item in zip(items.subplots(1, len(matching.media)), matching.media):
        data = media[item.media_id]
        if item.kind == "image":
            axis.imshow(data["frames"][0].transpose(1, 2, 0), extent=(0, 1, 0, 1))
            axis.set(xticks=[], yticks=[])
        else:
            _spectrogram(axis, data["audio"])
            axis.set(xticks=[], yticks=[], ylabel="", box_aspect=1)
        axis.set_title("Reference" if item.role == "reference" else f"Candidate {item.index}", fontsize=8)
        axis.grid(False)
    text.text(0.02, 0.8, _asked([matching]), va="top", fontsize=9, linespacing=1.5)
    return figure


def _asked(questions) -> str:
    """Questions with their options, the right one underlined by brackets."""
    lines = []
    for q in questions:
        options = "   ".join(f"[{o.label}. {o.text}]" if o.label == q.answer else f"{o.label}. {o.text}" for o in q.options)
        lines.append(f"{q.task}: {q.question}\n    {options}")
    return "\n".join(lines)


def _spectrogram(axis, audio) -> None:
    """A sound's spectrogram up to 8 kHz."""
    axis.specgram(audio, NFFT=400, Fs=16000, noverlap=240, cmap="magma", vmin=-120, vmax=-30)
    axis.set_ylabel("Frequency (kHz)")
    axis.set_yticks([0, 4000, 8000], ["0", "4", "8"])


def save(figure, *paths) -> None:
    """Write a figure to each path, the same bytes for the same figure; a file appears only when it is whole."""
    for path in map(str, paths):
        kind = path.rsplit(".", 1)[1]
        part = f"{path}.part"
        figure.savefig(part, format=kind, metadata={"CreationDate": None} if kind == "pdf" else None)
        os.replace(part, path)

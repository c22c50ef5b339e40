"""The figures' drawing functions; notebooks only load a table, call one of these, and save.

The look follows the paper: one row of panels with a shared y axis, ticks inward on all four sides, a dashed zero line, one
legend above, thick lines with a translucent band (95 %, bootstrap over clips).
"""

import itertools
import os
import string

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
    "non_options": "NonOption",
}


def title(group: str) -> str:
    """A task group's name as a panel's title."""
    return TITLES.get(group, group.replace("_", " ").capitalize())


def rank(group: str) -> int:
    """A group's place among those that have a title; behind them for the others."""
    return list(TITLES).index(group) if group in TITLES else len(TITLES)


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


CHANGE = "model question_id cluster task group needs route width centre logp_base p_base_clean"


def relative_change(path, models: dict, dataset: str, style: str = "centred", correct: bool = True) -> pd.DataFrame:
    """Rows of real cuts on questions answered correctly, in their default layout; none where path is empty.

    models: name -> width of the window, None for all. correct: False takes those answered wrongly instead, in every layout.
    `change` is the % change of the answer's probability (section 2.1).
    """
    if not path:
        return pd.DataFrame(columns=[*CHANGE.split(), "change"])
    keep = [("model", "in", list(models)), ("dataset", "=", dataset), ("control", "=", "none"), ("cut", "=", "mask")]
    keep += [("style", "=", style), ("applicable", "=", True), ("correct_clean", "=", correct)]
    keep += [("layout", "not in", layouts.NAMES)] if correct else []
    rows = pq.read_table(path, columns=CHANGE.split(), filters=keep).to_pandas()
    wanted = rows["model"].map(models)
    rows = rows[wanted.isna() | (wanted == rows["width"])].copy()
    rows["change"] = 100 * (np.exp(rows["logp_base"]) / rows["p_base_clean"] - 1)
    return rows


def curve(rows: pd.DataFrame, draws: int, seed: int):
    """Mean change by centre with its band: centres, mean, low, high (layers,) and the number of questions."""
    table = rows.pivot(index=["question_id", "cluster"], columns="centre", values="change")
    mean, low, high = cluster_bootstrap(table.to_numpy(), table.index.get_level_values("cluster"), draws, seed)
    return table.columns.to_numpy(), mean, low, high, len(table)


def route_panels(rows: pd.DataFrame, models, panels, colours: dict, draws: int, seed: int, words="% Change in Probability"):
    """One row of panels a model, one panel a (title, group, routes) entry, one line a route; returns the figure.

    rows: from `relative_change`; colours: route -> colour. Neighbouring panels with the same routes stand under one legend, and
    the panels of a model share the y axis, which `words` name.
    """
    models, panels = list(models), panels or [("", "", list(colours))]
    blocks = [list(block) for _, block in itertools.groupby(panels, key=lambda panel: panel[2])]
    figure = plt.figure(figsize=(2.6 * len(panels) + 0.6, 0.9 + 2.0 * len(models)))
    parts = figure.subfigures(1, len(blocks), width_ratios=[len(block) for block in blocks], squeeze=False)[0]
    letters, lines = iter(string.ascii_lowercase), {model: [] for model in models}
    for part, block in zip(parts, blocks):
        grid = part.subplots(len(models), len(block), sharex="row", sharey="row", squeeze=False)
        for model, line in zip(models, grid):
            for axis, (_, group, routes) in zip(line, block):
                here = rows[(rows["model"] == model) & (rows["group"] == group)]
                line_panel(axis, here, routes, colours, draws, seed)
            line[0].set_ylabel((f"{model}\n" if len(models) > 1 else "") + words)
            lines[model] += list(line)
        for axis, (heading, _, _) in zip(grid[0], block):
            axis.set_title(f"({next(letters)}) {heading}")
        for axis in grid[-1]:
            axis.set_xlabel("Layer")
        handles = [plt.Line2D([], [], color=colours[route], label=route_label(route)) for route in block[0][2]]
        part.legend(handles=handles, loc="outside upper center", ncols=len(handles) if len(block) > 2 else 2)
    for axes in lines.values():
        limits = [axis.get_ylim() for axis in axes]
        for axis in axes:
            axis.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
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
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.text(0.03, 0.04, f"n = {count}", transform=axis.transAxes, fontsize=7, color="0.35")
    if not count:
        axis.text(0.5, 0.5, "no rows", transform=axis.transAxes, ha="center", fontsize=7)


def window_panels(rows: pd.DataFrame, models, routes: list):
    """A grid of panels a model: rows are routes, columns groups, lines window widths k, the darker the wider (Appendix E).

    Means only: the bands of so many lines would hide each other.
    """
    models, groups, widths = list(models), ordered(rows["group"]) or [""], sorted(rows["width"].unique())
    figure = plt.figure(figsize=(2.2 * len(groups) + 0.8, (1.7 * len(routes) + 0.3) * len(models) + 0.4))
    shades = dict(zip(widths, plt.get_cmap("viridis_r")(np.linspace(0.1, 1, len(widths)))))
    for model, part in zip(models, figure.subfigures(len(models), 1, squeeze=False)[:, 0]):
        grid = part.subplots(len(routes), len(groups), sharex=True, sharey=True, squeeze=False)
        for line, route in zip(grid, routes):
            for axis, group in zip(line, groups):
                axis.axhline(0, color="0.5", linestyle="--", linewidth=0.8, zorder=1)
                here = rows[(rows["model"] == model) & (rows["route"] == route) & (rows["group"] == group)]
                for width, one in here.groupby("width"):
                    mean = one.groupby("centre")["change"].mean()
                    axis.plot(mean.index, mean, color=shades[width], linewidth=1.4)
                axis.text(0.03, 0.05, f"n = {here['question_id'].nunique()}", transform=axis.transAxes, fontsize=7, color="0.35")
            line[0].set_ylabel(route_label(route) + "\n% Change in Probability")
        for axis, group in zip(grid[0], groups):
            axis.set_title(title(group))
        for axis in grid[-1]:
            axis.set_xlabel("Layer")
            axis.xaxis.get_major_locator().set_params(integer=True)
        if len(models) > 1:
            part.suptitle(model)
    handles = [plt.Line2D([], [], color=shades[w], label=f"k = {w}") for w in widths]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def training_curves(paths: dict):
    """Accuracy by task over the steps of a training, stages shaded; paths: model -> the log that train_tiny.py writes."""
    figure, axes = plt.subplots(len(paths), 1, squeeze=False, figsize=(7, 0.7 + 2.0 * len(paths)))
    for axis, (model, path) in zip(axes[:, 0], paths.items()):
        log = pd.read_json(path, lines=True)
        tasks = [c for c in log.columns if f"{c}/word" in log.columns]
        begin = 0
        for i, (stage, here) in enumerate(log.groupby("stage", sort=False)):
            end = here["total"].iloc[-1]
            axis.axvspan(begin, end, color="0.5", alpha=0.05 + 0.1 * (i % 2), linewidth=0)
            axis.text((begin + end) / 2, 8, stage, ha="center", fontsize=8, color="0.3")
            begin = end
        for task, colour in zip(tasks, (BLUE, PURPLE, CYAN, PINK, "0.4", GREEN, ORANGE)):
            axis.plot(log["total"], 100 * log[task], color=colour, linewidth=1.4, label=task)
        axis.axhline(25, color="0.3", linestyle="--", linewidth=0.8)
        axis.set(title=model, ylabel="Accuracy (%)", ylim=(0, 104), xlim=(0, begin))
    axes[-1, 0].set_xlabel("Step")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
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

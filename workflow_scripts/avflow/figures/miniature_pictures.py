"""Pictures of the miniature: how its models learned, and what they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from . import palette

MOST_LETTERS = 70  # in a line of options


def training_curves(paths: dict):
    """Accuracy by task over the steps of a training, with its stages shaded. paths: model -> the log of train_tiny.py."""
    figure, axes = plt.subplots(len(paths), 1, squeeze=False, figsize=(7, 0.7 + 2.0 * len(paths)))
    for axis, (model, path) in zip(axes[:, 0], paths.items()):
        log = pd.read_json(path, lines=True)
        tasks = [c for c in log.columns if f"{c}/word" in log.columns]
        begin = 0
        for i, (stage, here) in enumerate(log.groupby("stage", sort=False)):
            end = here["total"].iloc[-1]
            axis.axvspan(begin, end, color=palette.ZERO, alpha=0.05 + 0.1 * (i % 2), linewidth=0)
            axis.text((begin + end) / 2, 8, stage, ha="center", fontsize=8, color=palette.CHANCE)
            begin = end
        for task, colour in zip(tasks, palette.TASKS):
            axis.plot(log["total"], 100 * log[task], color=colour, linewidth=1.4, label=task)
        axis.axhline(25, color=palette.CHANCE, linestyle="--", linewidth=0.8)
        axis.set(title=model, ylabel="Accuracy (%)", ylim=(0, 104), xlim=(0, begin))
    axes[-1, 0].set_xlabel("Step")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


def world_sheet(clip, clip_questions, matching, media):
    """What a model is given: one clip with all questions about it, and one matching question with its items.

    clip: dict of frames (T, 3, H, W) uint8, fps, and audio (n,). clip_questions: the questions about the clip. matching: a
    question of the items setting. media: media_id -> dict like clip, for the items.
    """
    figure = plt.figure(figsize=(10.5, 4.0))
    upper, lower = figure.subfigures(2, 1, height_ratios=[1.25, 1])
    left, right = upper.subfigures(1, 2, width_ratios=[1.25, 1])
    pictures = clip["frames"][:: int(clip["fps"])]
    axes = left.subplots(2, 1, height_ratios=[1, 0.8])
    axes[0].imshow(np.concatenate(list(pictures.transpose(0, 2, 3, 1)), 1), extent=(0, len(pictures), 0, 1), aspect="auto")
    axes[0].set_title("A clip: one picture and one sound (or silence) per second")
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
    """Questions with their options as text, the right one in brackets; as many options in a line as fit beside the pictures."""
    lines = []
    for q in questions:
        lines.append(f"{q.task}: {q.question}")
        room = 0
        for option in (f"[{o.label}. {o.text}]" if o.label == q.answer else f"{o.label}. {o.text}" for o in q.options):
            if len(option) + 3 > room:
                lines.append("   ")
                room = MOST_LETTERS
            lines[-1] += f"   {option}" if room < MOST_LETTERS else f" {option}"
            room -= len(option) + 3
    return "\n".join(lines)


def _spectrogram(axis, audio) -> None:
    """Draw a sound's spectrogram up to 8 kHz."""
    axis.specgram(audio, NFFT=400, Fs=16000, noverlap=240, cmap="magma", vmin=-120, vmax=-30)
    axis.set_ylabel("Frequency (kHz)")
    axis.set_yticks([0, 4000, 8000], ["0", "4", "8"])

"""Draw when and where in clips answers come from: maps of some questions, and means around known events."""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from ..results import title
from ..results.where import TIMES, WHOLE, grid
from . import palette
from .route_styles import colours

KEEPS, LOSES, LOOKS = "Greens", "Reds", "Blues"  # kept by a part alone, lost without it, and its share of attention
WORDS = {"audio.time": "sound", "video.time": "pictures"}
STYLES = ("-", "--", ":")  # of targets, in the order of config.yaml


@dataclass(frozen=True)
class Example:
    """One question with its map. clip: frames (T, 3, H, W) uint8 and audio (n,), as far as it has them and they are on disk.

    cuts, looks: its rows of `where.cuts` and `where.looks`, for one target. events: of the question.
    """

    question: object
    clip: dict
    cuts: pd.DataFrame
    looks: pd.DataFrame

    @property
    def seconds(self) -> float:
        return float(self.cuts["stop"].max())

    def _of(self, source: str, alone: bool) -> pd.DataFrame:
        """The cuts of a source, with `shown`: % kept by a part alone, or lost without it."""
        some = self.cuts[(self.cuts["source"] == source) & (self.cuts["alone"].astype(bool) == alone)]
        return some.assign(shown=100 + some["change"] if alone else -some["change"])

    def whole(self, source: str, alone: bool) -> pd.DataFrame:
        """The cuts in all layers of the parts of a source, in order of time."""
        some = self._of(source, alone)
        return some[some["style"] == WHOLE].sort_values(["start", "top", "left"])

    def by_layer(self, source: str):
        """% kept by a slice alone (layers, slices), the layers and the slices' edges, or None without windows."""
        some = self._of(source, True)
        some = some[some["style"] != WHOLE]
        if not len(some):
            return None
        wide = some.pivot_table(index="centre", columns="start", values="shown", aggfunc="mean")
        return wide.to_numpy(), wide.index.to_numpy(), np.append(wide.columns.to_numpy(), some["stop"].max())

    def attention(self, sense: str):
        """% of attention to tokens, as a mean over layers, or None without any."""
        some = self.looks[self.looks["source"] == f"{sense}.token"]
        if not len(some):
            return None
        return 100 * np.mean([grid(values, shape) for values, shape in zip(some["values"], some["shape"])], axis=0)


def where_panels(models, examples: list[Example], means: pd.DataFrame, targets, least: int):
    """Above, a column for each example, and below, for each model, the mean change around events by task.

    means: from `where.around`. targets: in the order of config.yaml; the first is that of the examples. A mean of fewer than
    `least` questions is left out.
    """
    means = means[(means["n"] >= least) & means["alone"].astype(bool)]
    tasks = list(dict.fromkeys(means["task"]))
    deep = len(models) if tasks else 0
    heights = [8.2 if examples else 0.4, 0.6 + 1.7 * deep]
    figure = plt.figure(figsize=(max(7.0, 3.3 * len(examples)), sum(heights)))
    above, below = figure.subfigures(2, 1, height_ratios=heights)
    _maps(above, examples, targets[0])
    _means(below, list(models), means, tasks, targets)
    return figure


def _maps(part, examples, target: str) -> None:
    if not examples:
        part.text(0.5, 0.5, "no question with a right answer to show", ha="center", va="center", color=palette.NOTE)
        return
    rows = ["clip", "keeps", "loses", "looks", "sound", "sound keeps", "sound loses", "sound looks"]
    rows += ["sound by layer", "pictures by layer", "tiles"]
    grids = part.subplots(len(rows), len(examples), squeeze=False, height_ratios=[1, 1, 1, 1, 0.8, 0.2, 0.2, 0.2, 1, 1, 1.3])
    share = Normalize(0, 100)
    seen = [a.max() for e in examples for sense in ("audio", "video") if (a := e.attention(sense)) is not None]
    looks = Normalize(0, max(seen, default=1.0))
    for number, (example, line) in enumerate(zip(examples, grids.T)):
        axes = dict(zip(rows, line))
        _strips(axes, example, share, looks)
        _sounds(axes, example, share, looks)
        for name, source in (("sound by layer", "audio.time"), ("pictures by layer", "video.time")):
            _by_layer(axes[name], example.by_layer(source), share)
        _tiles(axes["tiles"], example, share)
        for name in rows[:-1]:
            axes[name].set_xlim(0, example.seconds)
            axes[name].tick_params(labelbottom=name == rows[-2], top=False, right=False)
            axes[name].grid(False)
            for event in example.question.events:
                if name != "clip" and event["sense"] == ("audio" if name.startswith("sound") else "video"):
                    axes[name].axvspan(event["start"], event["stop"], fill=False, edgecolor=palette.MARK, linewidth=1.4)
        axes[rows[-2]].set_xlabel("Time (s)", labelpad=1)
        axes["clip"].set_title(_asked(example.question), fontsize=8)
        words = (
            "Clip",
            "Alone",
            "Without",
            "Looks",
            "Sound\n(kHz)",
            "alone",
            "without",
            "looks",
            "Sound\nLayer",
            "Pictures\nLayer",
        )
        for name, label in zip(rows, (*words, "Tiles")) if number == 0 else ():
            flat = name in ("sound keeps", "sound loses", "sound looks")
            rotated = {"rotation": 0, "ha": "right", "va": "center"} if flat else {}
            axes[name].set_ylabel(label, fontsize=7, **rotated)
    kept = f"alone: % of the answer kept if the\n{target} sees this part alone"
    bars = ((share, KEEPS, kept), (share, LOSES, "without: % of the answer lost\nwithout this part"))
    bars = (*bars, (looks, LOOKS, f"looks: % of the {target}'s\nattention, by token"))
    for (scale, colour, label), some in zip(bars, (grids[:4], grids[4:9], grids[9:])):
        bar = part.colorbar(ScalarMappable(scale, colour), ax=some.ravel().tolist(), shrink=0.9, aspect=20, panchor=False)
        bar.set_label(label, fontsize=7)
        bar.ax.tick_params(labelsize=7)


def _asked(question) -> str:
    """The task, and the question in lines of at most 44 characters."""
    lines, line = [], ""
    for word in question.question.split():
        if len(line) + len(word) > 44:
            lines, line = [*lines, line], ""
        line = f"{line} {word}".strip()
    right = next((o.text for o in question.options if o.label == question.answer), question.answer or "its own reply")
    return "\n".join([title(question.task), *lines, f"{line} ({right})"])


def _frame(example: Example, start: float, grey: bool):
    """The frame on show at a time (H, W, 3), or None without frames."""
    frames = example.clip.get("frames")
    if frames is None:
        return None
    at = min(len(frames) - 1, int(start / max(example.seconds, 1e-9) * len(frames) + 1e-6))
    picture = frames[at].transpose(1, 2, 0) / 255
    return np.repeat(picture.mean(-1, keepdims=True), 3, -1) if grey else picture


def _shade(axis, value: float, scale, colour: str, extent) -> None:
    """A rectangle whose opacity follows its value, so that the frame stays visible."""
    share = float(np.clip(scale(value), 0, 1))
    left, right, bottom, top = extent
    box = plt.Rectangle((left, bottom), right - left, top - bottom, color=plt.get_cmap(colour)(share), linewidth=0)
    box.set_alpha(0.1 + 0.55 * share)
    axis.add_patch(box)


def _strips(axes, example: Example, share, looks) -> None:
    """The frames by time: plain; shaded by what a cell alone keeps, and by what is lost without it; and by attention."""
    seen = example.attention("video")
    times = example.whole("video.cell", True)[["start", "stop"]].drop_duplicates().to_numpy()
    for name in ("clip", "keeps", "loses", "looks"):
        axes[name].set(yticks=[], ylim=(0, 1))
        for start, stop in times:
            picture = _frame(example, start, name != "clip")
            if picture is not None:
                axes[name].imshow(picture, extent=(start, stop, 0, 1), aspect="auto", interpolation="nearest")
    for name, colour, alone in (("keeps", KEEPS, True), ("loses", LOSES, False)):
        for row in example.whole("video.cell", alone).itertuples():
            long = row.stop - row.start
            across = (row.start + row.left * long, row.start + row.right * long)
            _shade(axes[name], row.shown, share, colour, (*across, 1 - row.bottom, 1 - row.top))
    if seen is None:
        return _absent(axes["looks"], "attention by token is not recorded")
    grids, height, width = seen.shape
    for start, stop in times:
        first, last = (round(t / example.seconds * grids) for t in (start, stop))
        here, step = seen[first : max(last, first + 1)].mean(0), (stop - start) / width
        for (y, x), value in np.ndenumerate(here):
            extent = (start + x * step, start + (x + 1) * step, 1 - (y + 1) / height, 1 - y / height)
            _shade(axes["looks"], value, looks, LOOKS, extent)


def _sounds(axes, example: Example, share, looks) -> None:
    """The spectrogram, and below it three bands."""
    sound, seen = example.clip.get("audio"), example.attention("audio")
    if sound is not None:
        axes["sound"].specgram(sound, NFFT=400, Fs=16000, noverlap=240, cmap="gray_r", vmin=-120, vmax=-30)
        axes["sound"].set_yticks([0, 4000, 8000], ["0", "4", "8"])
    for name in ("sound keeps", "sound loses", "sound looks"):
        axes[name].set(yticks=[], ylim=(0, 1))
    for name, colour, alone in (("sound keeps", KEEPS, True), ("sound loses", LOSES, False)):
        parts = example.whole("audio.time", alone)
        if len(parts):
            edges = np.append(parts["start"], parts["stop"].iloc[-1])
            axes[name].pcolormesh(edges, [0, 1], [parts["shown"].to_numpy()], cmap=colour, norm=share)
    if seen is not None:
        edges = np.linspace(0, float(example.looks.loc[example.looks["source"] == "audio.token", "stop"].max()), len(seen) + 1)
        axes["sound looks"].pcolormesh(edges, [0, 1], [seen], cmap=LOOKS, norm=looks)


def _by_layer(axis, found, share) -> None:
    """What a slice of time alone keeps in a window of layers, by its central layer."""
    if found is None:
        return _absent(axis, "nothing to cut")
    kept, layers, edges = found
    half = (layers[1] - layers[0]) / 2 if len(layers) > 1 else 0.5
    axis.pcolormesh(edges, np.append(layers - half, layers[-1] + half), kept, cmap=KEEPS, norm=share)


def _tiles(axis, example: Example, share) -> None:
    """The tiles at all times, on the middle frame; with the largest share that one alone keeps in words."""
    tiles = example.whole("video.tile", True)
    axis.set(xticks=[], yticks=[])
    axis.grid(False)
    if not len(tiles):
        return _absent(axis, "no pictures")
    picture = _frame(example, example.seconds / 2, True)
    if picture is not None:
        axis.imshow(picture, extent=(0, 1, 0, 1), interpolation="nearest")
    for row in tiles.itertuples():
        _shade(axis, row.shown, share, KEEPS, (row.left, row.right, 1 - row.bottom, 1 - row.top))
    axis.set(xlim=(0, 1), ylim=(0, 1))
    axis.set_xlabel(f"one tile alone, at all times:\n{tiles['shown'].min():.0f} to {tiles['shown'].max():.0f} % kept", fontsize=7)


def _absent(axis, why: str) -> None:
    axis.text(0.5, 0.5, why, transform=axis.transAxes, ha="center", va="center", fontsize=6.5, color=palette.NOTE)


def _means(part, models, means, tasks, targets) -> None:
    if not tasks:
        part.text(0.5, 0.5, "no events with a known time, or too few questions", ha="center", va="center", color=palette.NOTE)
        return
    axes = part.subplots(len(models), len(tasks), squeeze=False, sharex=True, sharey=True)
    colour_of = dict(zip(TIMES, colours(["audio->question", "video->question"]).values()))
    for model, line in zip(models, axes):
        line[0].set_ylabel(f"{model}\n% Change in Probability")
        for task, axis in zip(tasks, line):
            here = means[(means["model"] == model) & (means["task"] == task)]
            axis.axvspan(-0.5, 0.5, color=palette.ZERO, alpha=0.15, linewidth=0)
            axis.axhline(0, color=palette.ZERO, linestyle="--", linewidth=0.8)
            for (source, target), one in here.groupby(["source", "target"], sort=False):
                one, style = one.sort_values("seconds"), STYLES[targets.index(target) % len(STYLES)]
                axis.fill_between(one["seconds"], one["ci_low"], one["ci_high"], color=colour_of[source], alpha=0.15, linewidth=0)
                axis.plot(one["seconds"], one["change"], color=colour_of[source], linestyle=style, marker=".", markersize=4)
            if len(here):
                axis.text(
                    0.98, 0.5, f"n = {here['n'].max()}", transform=axis.transAxes, ha="right", fontsize=7, color=palette.NOTE
                )
    for task, axis, foot in zip(tasks, axes[0], axes[-1]):
        axis.set_title(title(task))
        foot.set_xlabel("Seconds from the event")
    handles = [plt.Line2D([], [], color=colour_of[s], label=f"one slice of the {WORDS[s]} alone") for s in TIMES]
    handles += [plt.Line2D([], [], color=palette.INK, linestyle=s, label=f"seen by the {t}") for s, t in zip(STYLES, targets)]
    handles.append(plt.Rectangle((0, 0), 1, 1, color=palette.ZERO, alpha=0.15, label="the event, drawn one second long"))
    part.legend(handles=handles, loc="outside upper center", ncols=3, fontsize=7)

"""Figures of reliance: accuracy in percent, and a route's effect against the accuracy lost without its sense."""

import pandas as pd
import pytest
from legends import entries
from matplotlib.colors import to_hex

from avflow.figures import palette, reliance_panels


def test_bars_are_accuracies_and_points_are_effects():
    right = {"as_is": 1.0, "muted": 0.25, "blanked": 0.75, "text_only": 0.0, "swapped": 0.5}
    row = dict(model="m", task="hear", group="hear", needs="A", chance=0.25)
    row |= right | {f"{v}_{end}": value for v, value in right.items() for end in ("low", "high")}
    sides = pd.DataFrame([dict(model="m", group="hear", route="audio->question", lost=75.0, area=-30.0, low=-40.0, high=-20.0)])
    none = pd.DataFrame(columns=["model"])
    figure = reliance_panels.reliance_panels(["m"], pd.DataFrame([row]), sides, none, none)
    bars, points = figure.axes
    assert [bar.get_height() for bar in bars.patches] == [100 * value for value in right.values()]
    assert bars.get_xticklabels()[0].get_text() == "hear\n(needs A)"
    assert [75, -30] in [line.get_xydata()[0].tolist() for line in points.lines if len(line.get_xydata()) == 1]
    words = dict(zip(right, ("as it is", "sounds muted", "pictures blanked", "muted and blanked", "another clip's sound")))
    height = {to_hex(bar.get_facecolor()): bar.get_height() for bar in bars.patches}
    assert {label: height[colour] for label, colour in entries(figure).items()} == {words[v]: 100 * x for v, x in right.items()}


def test_whiskers_end_at_the_interval_and_graded_tasks_are_drawn_in_percent():
    right = dict(zip(("as_is", "muted", "blanked", "text_only", "swapped"), (0.9, 0.5, 0.6, 0.4, 0.7)))
    row = dict(model="m", task="t", group="t", needs="A", chance=0.25, **right)
    row |= {f"{v}_low": x - 0.2 for v, x in right.items()} | {f"{v}_high": x + 0.05 for v, x in right.items()}
    graded = pd.DataFrame([row | dict(needs_audio=share, as_is=x) for share, x in ((0.0, 0.8), (1.0, 0.9))])
    effects = pd.DataFrame(
        [
            dict(model="m", route="audio->question", needs_audio=s, centre=5, mean=-50 * s, low=-60 * s, high=-45 * s)
            for s in (0, 1)
        ]
    )
    sides = pd.DataFrame(columns=["model", "group", "route", "lost", "area", "low", "high"])
    bars, _, accuracy, effect = reliance_panels.reliance_panels(["m"], pd.DataFrame([row]), sides, graded, effects).axes
    ends = [line[:, 1].tolist() for part in bars.collections for line in part.get_segments() if line[0, 1] != line[1, 1]]
    assert [pytest.approx(end) for end in ends] == [[100 * (x - 0.2), 100 * (x + 0.05)] for x in right.values()]
    curve = next(line for line in accuracy.lines if to_hex(line.get_color()) == to_hex(palette.VARIANTS["as_is"]))
    assert curve.get_xydata().tolist() == [[0, 80], [100, 90]]
    assert [0, -50] in [line.get_ydata().tolist() for line in effect.lines]


def test_the_bars_of_many_tasks_stand_above_the_other_panels_of_their_model():
    right = dict.fromkeys(("as_is", "muted", "blanked", "text_only", "swapped"), 0.5)
    row = dict(group="t", needs="A", chance=0.25, **right) | {f"{v}_{end}": 0.5 for v in right for end in ("low", "high")}
    table = pd.DataFrame([row | dict(model=model, task=f"t{n}") for model in ("m", "n") for n in range(15)])
    graded = pd.DataFrame([row | dict(model=model, task="g", needs_audio=s) for model in ("m", "n") for s in (0.0, 1.0)])
    effects = pd.DataFrame(
        [
            dict(model=model, route="audio->question", needs_audio=s, centre=5, mean=-50 * s, low=-60 * s, high=-45 * s)
            for model in ("m", "n")
            for s in (0, 1)
        ]
    )
    sides = pd.DataFrame(columns=["model", "group", "route", "lost", "area", "low", "high"])
    figure = reliance_panels.reliance_panels(["m", "n"], table, sides, graded, effects)
    figure.draw_without_rendering()
    bars, points, *_ = figure.axes
    assert figure.get_figwidth() < 12 and len(figure.axes) == 8
    assert bars.get_window_extent().y0 > points.get_window_extent().y1 > figure.axes[4].get_window_extent().y1
    assert [axis.get_ylabel() for axis in figure.axes[::4]] == ["m\nAccuracy (%)", "n\nAccuracy (%)"]

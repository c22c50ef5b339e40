"""Figures of discarded tokens: accuracy by layer with its knee, and the change of accuracy against the work saved."""

import numpy as np
import pandas as pd
import pytest
from legends import entries
from matplotlib.colors import to_hex

from avflow.figures import discard_panels


def layers(kind, accuracy, knee):
    about = dict(model="m", dataset="d", discard=kind, accuracy_before=100.0, ci_low=-5.0, ci_high=0.0, knee=knee, n=4)
    random = dict(random=50.0, random_min=40.0, random_max=60.0)
    return [about | random | dict(layer=n, accuracy=a, non_inferior=a == 100) for n, a in enumerate(accuracy)]


def test_each_kind_has_a_panel_with_its_curve_and_its_knee():
    table = pd.DataFrame(layers("Audio", [20.0, 90.0, 100.0], 2) + layers("Video", [10.0, 20.0, 30.0], None))
    figure = discard_panels.layer_panels(table, 2)
    assert [axis.get_title() for axis in figure.axes] == ["Audio", "Video"]
    for axis, curve in zip(figure.axes, ([20, 90, 100], [10, 20, 30])):
        assert curve in [list(line.get_ydata()) for line in axis.lines]
    extent = lambda axis, part: axis.transData.inverted().transform(part.get_window_extent())[:, 1].tolist()  # noqa: E731
    assert extent(figure.axes[0], figure.axes[0].patches[0]) == pytest.approx([98, 100]), "from the margin to the accuracy before"
    random, interval = (part.get_paths()[0].vertices[:, 1] for part in figure.axes[0].collections)
    assert (random.min(), random.max()) == (40, 60) and (interval.min(), interval.max()) == (95, 100)
    assert "2" in [text.get_text() for text in figure.axes[0].texts]
    assert [text.get_text() for text in figure.axes[1].texts] == ["n = 4"], "no knee"


def test_change_stands_over_the_work_that_is_saved():
    ways = {"Audio": (30, -1), "Video": (35, -3), "random": (30, -20), "FastV-50": (45, -4), "VTW": (60, -2)}
    rows = [
        dict(model="m", dataset="d", discard=way, n=9, flops_saved=x, change=y, ci_low=y - 3, ci_high=y + 1)
        for way, (x, y) in ways.items()
    ]
    figure = discard_panels.trade_panels(pd.DataFrame(rows))
    (axis,) = figure.axes
    points = {tuple(line.get_xydata()[0]) for line in axis.lines if np.shape(line.get_xydata()) == (1, 2)}
    assert set(ways.values()) <= points and axis.get_title() == "d (n = 9)"
    whiskers = [part.get_segments()[0][:, 1].tolist() for part in axis.collections]
    assert whiskers == [[y - 3, y + 1] for _, y in ways.values()]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "audio",
        "video",
        "same number of random tokens",
        "FastV keeps 50",
        "VTW",
    ]
    marks = [line for line in axis.lines if line.get_marker() in discard_panels.MARKERS.values()]
    at = {to_hex(line.get_color()): tuple(line.get_xydata()[0]) for line in marks}
    said = entries(figure)
    assert (at[said["audio"]], at[said["video"]]) == (ways["Audio"], ways["Video"])

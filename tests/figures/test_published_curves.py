"""The paper's curves and boxes are drawn at their layers. Nothing is drawn for models and datasets that it does not report."""

import matplotlib.pyplot as plt
import pytest
from conftest import ROOT

from avflow.figures import palette, published_curves
from avflow.results import published

FOLDER = ROOT / "resources/published"
CURVES, ATTENTION = FOLDER / "curves.csv", FOLDER / "attention.csv"


@pytest.mark.parametrize(
    ("dataset", "model"), [("mini-video", "tiny-omni"), ("av_speakerbench", "qwen2.5-omni-7b"), ("x", "qwen2.5-omni-3b")]
)
def test_nothing_is_drawn_where_nothing_is_published(dataset, model):
    rows = published.curves(CURVES, dataset, model)
    axis = plt.figure().subplots()
    assert published_curves.draw_curves(axis, rows[rows["group"] == "hear"], {"video->last": "red"}) == 0
    assert not axis.patches and not len(rows) and not len(published.attention(ATTENTION, dataset, model))
    plt.close("all")


def test_boxes_lie_at_their_layers_and_changes_behind_the_curves():
    rows = published.curves(CURVES, "av_speakerbench", "Qwen2.5-Omni-3B")
    rows = rows[(rows["figure"] == "figure_4") & (rows["group"] == "speech_recognition")]
    figure = plt.figure()
    axis = figure.subplots()
    line = axis.plot([0, 35], [0, 0])[0]
    band = axis.fill_between([0, 35], -1, 1)
    assert published_curves.draw_curves(axis, rows, {"question->last": palette.ORANGE, "audio->question": palette.BLUE}) == 4
    boxes = sorted(tuple(box.get_bbox().extents) for box in axis.patches)
    assert boxes == [(1.5, -8, 8.5, -5), (18.5, -31, 20.5, -29), (23.5, -47, 30.5, -41), (30.5, -4, 31.5, -2)]
    assert all(box.get_zorder() < min(line.get_zorder(), band.get_zorder()) for box in axis.patches)
    axis.autoscale_view()
    assert axis.get_ylim()[0] < -47, "the axis reaches down to them"
    assert published_curves.draw_curves(axis, rows, {"video->question": "0.35"}) == 2, "where it begins and jumps has no value"
    plt.close(figure)

"""The map has a row per head and one for all heads; curves stand beside it for every route."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from avflow.figures import palette
from avflow.figures.head_panels import head_panels
from avflow.figures.route_styles import ROUTES


def legend_of(figure):
    (legend,) = figure.legends
    return legend.get_texts(), legend.legend_handles


def test_a_model_has_a_map_and_a_curve_for_each_route_and_none_where_it_has_no_rows():
    routes = ["question->last", "audio->question"]
    cell = dict(model="m", route=routes[0], n=3, ci_low=-5.0, ci_high=-1.0)
    alone = [{**cell, "layer": layer, "heads": name, "change": -layer - 1.0} for layer in range(3) for name in ("all", "10", "2")]
    sets = [{**cell, "kind": kind, "share": share, "change": -3.0} for kind in ("strongest", "random") for share in (0.1, 1.0)]
    figure = head_panels(["m"], pd.DataFrame(alone), pd.DataFrame(sets), routes)
    seen = [axis for axis in figure.axes if axis.get_visible()]
    image = seen[0].images[0].get_array()
    assert [label.get_text() for label in seen[0].get_yticklabels()] == ["2", "10", "all"] and image.shape == (3, 3)
    assert image[0].tolist() == [-1, -2, -3] and seen[0].images[0].get_clim() == (-3, 3)
    red, _, blue = seen[0].images[0].to_rgba(np.array([-3.0]))[0, :3]
    assert red > blue, "a loss is red"
    strongest, random = seen[1].lines[:2]
    said = {text.get_text(): line.get_linestyle() for text, line in zip(*legend_of(figure))}
    assert said == {"strongest heads first": strongest.get_linestyle(), "as many heads drawn at random": random.get_linestyle()}
    assert strongest.get_color() == ROUTES[routes[0]] and random.get_color() == palette.RANDOM
    assert len(seen[1].lines) == 3 and [axis.get_visible() for axis in figure.axes[2:4]] == [False, False]
    plt.close(figure)


def test_without_a_right_answer_the_figure_says_so():
    none = pd.DataFrame(columns=["model", "route"])
    figure = head_panels(["m"], none, none, ["question->last"])
    assert [text.get_text() for text in figure.texts] == ["no question to show"]

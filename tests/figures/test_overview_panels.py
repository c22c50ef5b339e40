"""Overviews of all models and tasks: one panel per task, and all models over normalised depth."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from legends import entries, level

from avflow.figures import overview_panels
from avflow.results import effects, overview

ROUTE = "question->last"


@pytest.fixture
def found():
    """Two models of 4 and 7 layers, each cut in one route of Figure 4: layer c changes the answer by -c %."""
    about = dict(
        question_id="q", cluster="c", route=ROUTE, group="hear", task="hear", needs="A", layout="paper_eq1", noise=0.0, width=3
    )
    rows = pd.DataFrame([dict(about, model=m, centre=c, change=-float(c)) for m, d in (("a", 4), ("b", 7)) for c in range(d)])
    reading, none = effects.Reading("", draws=100), rows.iloc[:0]
    return {n: effects.Effects(reading, rows if n == "figure_4" else none, none, none) for n in overview.FIGURES}


SHARES = pd.DataFrame(columns=["model", "task", "group", "layer", "name", "share"])


def test_models_of_other_depths_are_drawn_over_the_same_axis(found):
    table = overview.normalised(found, {"a": 4, "b": 7})
    figure = overview_panels.model_panels(["a", "b"], found, SHARES, table, {"figure_4": [ROUTE]})
    curves = [line.get_xydata() for axis in figure.axes for line in axis.lines if len(line.get_xydata()) in (4, 7)]
    normalised = [c for c in curves if c[-1, 0] == 1]
    assert [c[:, 1].tolist() for c in normalised] == [[0, -1, -2, -3], [0, -1, -2, -3, -4, -5, -6]]
    assert np.allclose(normalised[0][:, 0], [0, 1 / 3, 2 / 3, 1])


def test_every_task_has_a_panel_in_the_figures_that_cut_something(found):
    figure = overview_panels.task_panels("a", found, SHARES, {"figure_4": [ROUTE]})
    (axis,) = figure.axes
    assert axis.get_title() and [0, -1, -2, -3] in [list(line.get_ydata()) for line in axis.lines]


@pytest.mark.parametrize("draw", ["tasks", "models"])
def test_the_legends_name_each_route_with_the_colour_of_its_curve(draw):
    levels = {"Video->Question": -10.0, "Audio->Question": -20.0, "Question->Last": -30.0}
    routes = [words.lower() for words in levels]
    about = dict(group="hear", task="hear", needs="A", layout="paper_eq1", noise=0.0, width=3, model="a")
    each = [about | dict(question_id=f"q{i}", cluster=f"c{i}") for i in range(10)]
    rows = [dict(route=route, centre=c, change=x) for route, x in zip(routes, levels.values()) for c in range(4)]
    rows = pd.DataFrame([one | row for one in each for row in rows])
    none = rows.iloc[:0]
    reading = effects.Reading("", draws=100)
    found = {n: effects.Effects(reading, rows if n == "figure_4" else none, none, none) for n in overview.FIGURES}
    if draw == "tasks":
        figure = overview_panels.task_panels("a", found, SHARES, {"figure_4": routes})
        (part,) = figure.subfigs
    else:
        table = overview.normalised(found, {"a": 4})
        figure = overview_panels.model_panels(["a"], found, SHARES, table, {"figure_4": routes})
        (part,) = [part for part in figure.subfigs[0].subfigs if "Video->Question" in entries(part)]
    (axis,) = part.axes
    assert {words: level(axis, colour) for words, colour in entries(part).items()} == {w: {x} for w, x in levels.items()}


def test_a_tasks_title_names_the_direction_of_its_rows():
    assert overview_panels._task_title("I2A", "animal") == "Animal\nI Ref $\\rightarrow$ A Cand"
    assert overview_panels._task_title("A2I", "animal") == "Animal\nA Ref $\\rightarrow$ I Cand"


def test_each_models_bars_are_its_own(found):
    shares = [dict(model=m, task="hear", group="hear", layer=0, name="video", share=x) for m, x in (("a", 0.2), ("b", 0.6))]
    table = overview.normalised(found, {"a": 4, "b": 7})
    figure = overview_panels.model_panels(["a", "b"], found, pd.DataFrame(shares), table, {"figure_4": [ROUTE]})
    assert [axis.patches[0].get_height() for axis in figure.subfigs[0].subfigs[0].axes] == [0.2, 0.6]


def test_each_tasks_panel_shows_its_own_rows(found):
    rows = found["figure_4"].rows
    rows = pd.concat([rows, rows.assign(task="hum", question_id="h", change=-50.0)])
    both = {**found, "figure_4": dataclasses.replace(found["figure_4"], rows=rows)}
    figure = overview_panels.task_panels("a", both, SHARES, {"figure_4": [ROUTE]})
    shown = {axis.get_title().split("\n")[0]: list(axis.lines[1].get_ydata()) for axis in figure.axes if axis.get_title()}
    assert shown == {"Hear": [0, -1, -2, -3], "Hum": [-50] * 4}


@pytest.mark.parametrize("draw", ["tasks", "models"])
def test_what_a_panel_counts_stands_above_its_curves(draw, found):
    if draw == "tasks":
        figure = overview_panels.task_panels("a", found, SHARES, {"figure_4": [ROUTE]})
    else:
        figure = overview_panels.model_panels(
            ["a", "b"], found, SHARES, overview.normalised(found, {"a": 4, "b": 7}), {"figure_4": [ROUTE]}
        )
    figure.canvas.draw()
    counted = [(axis, text) for axis in figure.axes for text in axis.texts if text.get_text().startswith(("n = ", "too few"))]
    assert len(counted) == (1 if draw == "tasks" else 2 * 4)  # a model has a panel of each figure
    for axis, text in counted:
        assert text.get_window_extent().y0 >= axis.transData.transform((0, 0))[1]


def test_a_task_that_rises_is_not_cut_off_by_one_that_does_not(found):
    rows = found["figure_4"].rows
    rows = pd.concat([rows.assign(change=80.0), rows.assign(task="see", group="see", change=-40.0)])
    both = {name: dataclasses.replace(of, rows=rows if name == "figure_4" else of.rows) for name, of in found.items()}
    figure = overview_panels.task_panels("a", both, SHARES, {"figure_4": [ROUTE]})
    assert len(figure.axes) == 2 and all(axis.get_ylim()[0] < -40 and axis.get_ylim()[1] > 80 for axis in figure.axes)

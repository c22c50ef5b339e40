"""Every kind of picture is drawn from extreme tables: no question, one, or 400, of one model or four. Text stays inside.

Also tests avflow.figures.curves, avflow.figures.legends.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from avflow.figures import answer_panels, curves, discard_panels, order_panels, overview_panels, palette, reliance_panels
from avflow.figures.route_panels import route_panels
from avflow.figures.route_styles import ROUTES
from avflow.results import effects, overview, reliance

ROUTES_4 = ["video->question", "audio->question", "question->last", "video->last", "audio->last"]
COUNTS = pytest.mark.parametrize("count", [0, 1, 400])
MODELS = pytest.mark.parametrize("models", [["m1"], ["m1", "m2", "m3", "m4"]], ids=["one model", "four models"])


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def drawn(figure):
    """Draw a figure; its legends and headings must lie inside it."""
    figure.canvas.draw()
    frame = figure.bbox.padded(2)
    for text in [*figure.texts, *(legend for part in (figure, *figure.subfigs) for legend in part.legends)]:
        box = text.get_window_extent()
        assert not box.width or frame.x0 <= box.x0 and box.x1 <= frame.x1, f"{text} is cut off"
    return figure


def found(models, count, routes=ROUTES_4, layers=12):
    """Effects of so many questions per model, all asked and all answered correctly; with none, twelve are asked."""
    rng, about = np.random.default_rng(0), dict(task="hear", group="hear", layout="paper_eq1", width=3, control="none", draw=0)
    rows = [
        about | dict(model=m, question_id=f"q{q}", cluster=f"c{q}", route=r, centre=c, noise=0.0, needs="A")
        for m in models
        for q in range(count)
        for r in routes
        for c in range(layers)
    ]
    table = pd.DataFrame(rows, columns=effects.COLUMNS)
    table["change"] = rng.choice([0.0, -100.0, 400.0], len(table))
    asked = [
        dict(model=m, question_id=f"q{q}", task="hear", group="hear", correct=count > 0)
        for m in models
        for q in range(count or 12)
    ]
    return effects.Effects(effects.Reading("", draws=20), table, table[:0], pd.DataFrame(asked))


@COUNTS
@MODELS
def test_routes(count, models):
    effect = found(models, count)
    figure = drawn(route_panels(effect, models, [(g, g, ROUTES_4) for g in effect.groups], note="A note."))
    said = " ".join(text.get_text() for axis in figure.axes for text in axis.texts)
    assert len(figure.axes) == len(models)
    assert ("too few (n = 1" in said, "logit_difference" in said) == (count == 1, count == 0)


def test_the_words_for_few_questions():
    assert curves.too_few([0, 2, 9, 10, 400]) == "too few (n = 2, 9)" and curves.too_few([0, 10]) == ""
    assert curves.all_too_few("n = 2") == "too few (n = 2)"
    assert curves.all_too_few("n = 9 (18 of 30 right)") == "too few (n = 9; 18 of 30 right)"


def test_every_colour_of_a_route_has_a_marker_of_its_own():
    used = set(ROUTES.values()) | set(palette.MODELS)
    assert used <= palette.MARKERS.keys() and len(set(palette.MARKERS.values())) == len(palette.MARKERS)


@COUNTS
@MODELS
def test_answers(count, models):
    numbers = dict(n=count, probability=0.5, ci_low=0.0, ci_high=1.0, accuracy=0.5, accuracy_low=0.0, accuracy_high=1.0)
    of = [dict(model=m, group="hear") | numbers for m in models] if count else []
    layers = [one | dict(layer=layer, kind=kind) for one in of for layer in range(3) for kind in ("correct", "wrong")]
    columns = ["model", "group", "layer", "kind", *numbers]
    drawn(answer_panels.probability_panels(pd.DataFrame(layers, columns=columns), models))
    cuts = [
        one | dict(route=r, style=s, centre=c)
        for one in of
        for r in ROUTES_4[:3]
        for s in ("bottom_up", "top_down")
        for c in range(3)
    ]
    columns = ["model", "group", "route", "style", "centre", *numbers]
    figure = drawn(answer_panels.cumulative_panels(pd.DataFrame(cuts, columns=columns), models, ROUTES_4[:3]))
    said = {text.get_text() for axis in figure.axes for text in axis.texts}
    assert {0: "no question is answered right", 1: "too few (n = 1)", 400: "n = 400"}[count] in said


@pytest.mark.parametrize("count", [1, 400])
@MODELS
def test_discards_do_not_hide_each_other(count, models):
    ways = ["Ques", "Audio", "Video", "All", "random", "VTW", "FastV-0.25", "FastV-0.5", "FastV-0.75"]
    numbers = dict(n=count, flops_saved=5.0, change=0.0, ci_low=-4.0, ci_high=4.0, dataset="d")
    figure = drawn(discard_panels.trade_panels(pd.DataFrame([dict(model=m, discard=w) | numbers for m in models for w in ways])))
    for axis in figure.axes:
        places = sorted(bar.lines[0].get_xdata()[0] for bar in axis.containers)
        assert len(places) == len(ways) and min(np.diff(places)) > 0


def test_marks_that_have_room_stay_where_they_are():
    beside, bars = discard_panels.beside, [(-1.0, 1.0)] * 3
    assert beside([0.0, 100.0, 50.0], bars) == [0.0, 100.0, 50.0] and beside([], []) == []
    assert beside([0.0, 100.0, 0.0], bars) == [0.0, 100.0, 2.5]
    assert beside([0.0, 100.0, 0.0], [(-1.0, 1.0), (0.0, 0.0), (2.0, 3.0)]) == [0.0, 100.0, 0.0], "above each other"


@COUNTS
@MODELS
def test_reliance_names_points_that_lie_on_each_other(count, models):
    groups = [f"group {n}" for n in range(8)]
    values = {f"{v}{end}": 0.5 for v in reliance.VARIANTS for end in ("", "_low", "_high")} | dict(chance=0.25, needs="A")
    table = [dict(model=m, task=g, group=g, n=count) | values for m in models for g in groups] if count else []
    table = pd.DataFrame(table, columns=["model", "task", "group", "n", *values])
    sides = [
        dict(model=m, group=g, route=r, n=count, area=0.0, low=0.0, high=0.0, lost=0.0)
        for m in models
        for g in groups
        for r in reliance.SENSES
    ]
    sides = pd.DataFrame(sides if count else [], columns=["model", "group", "route", "n", "area", "low", "high", "lost"])
    figure = drawn(reliance_panels.reliance_panels(models, table, sides, table[:0], table[:0]))
    if count:
        (said,) = [text.get_text() for text in figure.axes[1].texts]
        assert said == "1, 2, 3, 4, 5, 6, 7, 8" and "8 Group 7" in figure.axes[1].get_xlabel()


@COUNTS
@MODELS
def test_models_and_tasks(count, models):
    effect = found(models, min(count, 40))
    empty = found(models, 0)
    every = {name: effect if name == "figure_4" else empty for name in overview.FIGURES}
    shares = pd.DataFrame(
        [dict(model=m, task="hear", group="hear", layer=c, name="video", share=0.5) for m in models for c in range(12)]
    )
    table = overview.normalised(every, dict.fromkeys(models, 12))
    of_models = drawn(overview_panels.model_panels(models, every, shares, table, {"figure_4": ROUTES_4}))
    of_tasks = drawn(overview_panels.task_panels(models[0], every, shares, {"figure_4": ROUTES_4}))
    for figure in (of_models, of_tasks):
        curves = [line for axis in figure.axes for line in axis.lines if len(line.get_xdata()) == 12]
        assert len(curves) >= len(ROUTES_4) * (count > 0), "each route is drawn"


@pytest.mark.parametrize("count", [0, 1, 40])
@MODELS
def test_orders(count, models):
    columns = ["model", "dataset", "question_id", "cluster", "group", "layout", "route", "width", "centre", "control"]
    rows = [
        ("none" if null else r, -1 if null else c, "null" if null else "none", m, q, order)
        for m in models
        for q in range(count)
        for order in ("paper_eq1", "question_first")
        for r in ROUTES_4
        for c in range(4)
        for null in ((True, False) if (r, c) == (ROUTES_4[0], 0) else (False,))
    ]
    table = [[m, "d", f"q{q}", q, "hear", order, r, 3, c, control] for r, c, control, m, q, order in rows]
    clips = pd.DataFrame(table, columns=columns).assign(change=-10.0, noise=0.0)
    summary = [
        dict(model=m, dataset="d", layout=order, group="all", n=count, n_asked=count)
        | dict(accuracy=0.5, accuracy_low=0.0, accuracy_high=1.0)
        for m in models
        for order in ("paper_eq1", "question_first")
    ]
    routes = {"items": ROUTES_4, "clips": ROUTES_4}
    figure = drawn(order_panels.order_panels(models, clips[:0], clips, pd.DataFrame(summary), routes, 0.25, 20, 0))
    said = " ".join(text.get_text() for axis in figure.axes for text in axis.texts)
    assert ("too few" in said) == (0 < count < 10), said

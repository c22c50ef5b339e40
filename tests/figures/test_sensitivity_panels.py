"""The figure of open choices: one line of panels per choice, and shifts of all models below."""

import numpy as np
import pandas as pd
import pytest

from avflow.figures import palette, route_styles, sensitivity_panels
from avflow.results import sensitivity

CHOICES = {"window": {"asks": "How many layers?", "base": "3"}, "frames": {"asks": "How many frames?", "base": "2 fps"}}
ROUTES = {"clips": ["audio->question"], "items": ["reference->last"]}


@pytest.fixture
def drawn():
    """Two models and two choices, of which one is open in clips alone. The alternative is 10 points weaker at layer 1."""
    rows = []
    for model in ("one", "two"):
        for choice, datasets in (("window", ("clips", "items")), ("frames", ("clips",))):
            for dataset in datasets:
                for alternative, differs in (("base", ""), ("less", "window 1")):
                    for i in range(8):
                        shared = dict(model=model, dataset=dataset, choice=choice, alternative=alternative, differs=differs)
                        shared |= dict(question_id=f"q{i}", cluster=f"c{i}", task="t", group="t" if i < 4 else "u", counted=True)
                        rows.append({**shared, "route": "none", "centre": -1, "control": "null", "correct_clean": i > 0})
                        for centre in range(3):
                            weaker = 10 + 5 * (model == "two") * (i % 2)
                            depth = -(30 + i) * (centre == 1) + weaker * (alternative == "less") * (centre == 1)
                            cut = dict(route=ROUTES[dataset][0], centre=centre, control="none", change=depth, correct_clean=i > 0)
                            rows.append({**shared, **cut})
    rows = pd.DataFrame(rows)
    table = sensitivity.summary(rows, ROUTES, 1, 100, 0)
    return sensitivity_panels.sensitivity_panels(["one", "two"], rows, table, ROUTES, CHOICES, 100, 0)


def test_a_panel_shows_base_and_alternative_with_their_facts(drawn):
    clips, items = drawn.axes[:2]
    colour = route_styles.ROUTES["audio->question"]
    curves = [line for line in clips.lines if line.get_color() == colour]
    assert [line.get_linestyle() for line in curves] == ["-", "--"]
    assert np.allclose(curves[0].get_ydata(), [0, -33.5, 0]) and np.allclose(curves[1].get_ydata(), [0, -23.5, 0])
    assert clips.texts[0].get_text() == "n = 8 (right: 7 / 7 of 8)\npeak at layer 1 / 1"
    assert items.get_visible() and not drawn.axes[3].get_visible(), "the choice of frames is not open in items"
    words = [text.get_text() for part in drawn.subfigs for legend in part.legends for text in legend.get_texts()]
    assert words[:4] == ["base: 3", "less (window 1)", "base: 2 fps", "less (window 1)"]
    assert [part.legends[0].get_title().get_text() for part in drawn.subfigs[:2]] == [
        "window: How many layers?",
        "frames: How many frames?",
    ]


def test_shifts_stand_by_alternative_and_model(drawn):
    axis = drawn.axes[4]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["window: less", "frames: less"]
    big = [(line.get_color(), line.get_xdata()[0]) for line in axis.lines if line.get_marker() == "o"]
    assert big == [(colour, pytest.approx(x)) for _ in range(2) for colour, x in zip(palette.MODELS, (10, 12.5))]
    spans = [line.get_xdata() for line in axis.lines if len(line.get_xdata()) == 2 and line.get_marker() == "None"]
    assert any(low < 12.5 < high for low, high in spans), "an interval to either side of the shift"
    small = [dots.get_offsets()[:, 0] for dots in axis.collections]
    assert [len(dots) for dots in small] == [2, 2, 2, 2] and np.allclose(np.concatenate(small), [10, 10, 12.5, 12.5] * 2), (
        "one dot per group"
    )


def test_a_choice_without_a_counted_question_says_so():
    about = dict(model="one", dataset="clips", choice="window", question_id="q", cluster="c", task="t", group="t", counted=False)
    null = dict(route="none", centre=-1, control="null", correct_clean=False, change=0.0)
    rows = pd.DataFrame([about | null | dict(alternative=name, differs="") for name in ("base", "less")])
    table = sensitivity.summary(rows, ROUTES, 1, 100, 0)
    figure = sensitivity_panels.sensitivity_panels(["one"], rows, table, {"clips": ROUTES["clips"]}, CHOICES, 100, 0)
    assert sensitivity_panels.NONE_RIGHT in [text.get_text() for text in figure.axes[0].texts]

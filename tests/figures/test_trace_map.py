"""The map of routes and layers, as a picture and as text."""

import math

import numpy as np
import pandas as pd
import pytest

from avflow import draw
from avflow.errors import InputError
from avflow.figures import trace_map


def rows(changes, question="q", answer="A", **more):
    """Rows of `trace`: (route, control) -> changes in % by layer, NaN for not applicable."""
    about = dict(model="m", question_id=question, answer=answer, style="centred", width=3, cut="mask", p_base_clean=0.5)
    about |= dict(reply_tokens=None, logp_reply=math.nan, logp_reply_clean=math.nan)
    found = [about | dict(route="none", control="null", centre=-1, width=0, logp_base=math.log(0.5))]
    for (route, control), line in changes.items():
        for centre, change in enumerate(line):
            logp = math.nan if math.isnan(change) else math.log(max(1e-9, 0.5 * (1 + change / 100)))
            found.append(about | dict(route=route, control=control, centre=centre, logp_base=logp) | more)
    return pd.DataFrame(found)


LOSS = {("audio->question", "none"): [0, -50, -99], ("audio->question", "random_other"): [0, 1, -2]}


def test_a_cell_is_the_change_of_its_route_at_its_layer():
    found = rows(LOSS | {("video->last", "none"): [math.nan] * 3})
    figure = draw(found)
    axis, bar = figure.axes
    (image,) = axis.images
    assert np.allclose(image.get_array()[:2], [[0, -50, -99], [0, 1, -2]], atol=1e-6)
    assert image.get_array().mask[2].all() and image.get_clim() == (-100, 100), "one scale for all pictures"
    assert [label.get_text() for label in axis.get_yticklabels()][1] == trace_map.RANDOM
    assert axis.get_xlabel() == "Layer (windows of 3)" and bar.get_ylabel() == "% change in probability"
    assert "probability 0.5" in figure.get_suptitle() and "no interval" in figure.get_suptitle()
    figure.canvas.draw()
    assert figure.get_suptitle() and all(
        0 <= x <= 1 for x in figure._suptitle.get_window_extent().transformed(figure.transFigure.inverted()).intervalx
    ), "the heading is inside"


def test_text_says_the_same_with_one_sign_a_layer():
    lines = trace_map.in_terminal(rows(LOSS | {("video->last", "none"): [-10, 30, math.nan]})).splitlines()
    found = {line.split()[0]: line for line in lines[2:]}
    assert found["audio->question"].endswith(" \u00b7\u2593\u2588  -99 % at layer 2")
    assert found["video->last"].endswith(" \u2591+   -10 % at layer 0")
    assert found["as"].endswith(" \u00b7\u00b7\u00b7  -2 % at layer 2")


def test_the_mean_of_several_questions_says_how_many():
    two = pd.concat([rows(LOSS), rows({("audio->question", "none"): [-20, -50, -99]}, question="r")])
    figure = draw(two)
    assert figure.axes[0].images[0].get_array()[0, 0] == pytest.approx(-10) and "mean of 2 questions" in figure.get_suptitle()


def test_a_reply_is_measured_as_a_whole():
    found = rows({("audio->reply", "none"): [0]}, answer=None)
    found = found.assign(reply_tokens=2, logp_reply_clean=math.log(0.4), logp_reply=math.log(0.1))
    found.attrs["answer"] = "tone and circle"
    figure = draw(found)
    assert figure.axes[0].images[0].get_array()[0, 0] == pytest.approx(-75)
    assert "'tone and circle' has probability 0.4" in figure.get_suptitle()


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (rows({}), "hold no cut"),
        (pd.concat([rows(LOSS), rows(LOSS).assign(model="n")]), "rows of m, n: draw one model at a time"),
        (pd.concat([rows(LOSS), rows(LOSS, width=5)]), "several window widths"),
    ],
)
def test_what_cannot_be_drawn_together_is_one_line(found, said):
    for show in (draw, trace_map.in_terminal):
        with pytest.raises(InputError, match=said):
            show(found)

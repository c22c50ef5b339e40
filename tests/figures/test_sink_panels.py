"""A model with sinks has six panels; one without has its count and one line."""

import matplotlib.pyplot as plt
import pandas as pd

from avflow.figures.sink_panels import sink_source_panels
from avflow.results import Effects, Reading
from avflow.results.effects import COLUMNS

ROUTES = ["video_sinks->question", "video_sinks->last"]


def test_a_model_without_sinks_says_so_in_one_line_beside_a_model_with_sinks():
    counts = [dict(model="m", layer=n, n=7, name="video", sinks=2.0 * n, first=1.0) for n in (0, 1, 2)]
    counts += [dict(model="none", layer=n, n=7, name="none", sinks=0.0, first=None) for n in (0, 1, 2)]
    norms = pd.DataFrame([dict(model="m", layer=n, name="video", sinks=90.0, others=3.0, tokens=2) for n in (1, 2)])
    places = [dict(model="m", layer=n, name="video", tenth=t, share=0.5, tokens=7) for n in (1, 2) for t in (0, 9)]
    shares = [
        dict(model="m", route=r, kind=k, centre=c, n=7, share=s, low=s, high=s)
        for r in ROUTES
        for k, s in (("sinks", 60.0), ("others", 2.0))
        for c in (1, 2)
    ]
    row = dict.fromkeys(COLUMNS) | dict(model="m", noise=0.0, group="g")
    at = [dict(question_id=q, cluster=q, route=r, centre=c, change=-float(q)) for r in ROUTES for q in range(7) for c in (1, 2)]
    rows = [row | one for one in at]
    empty = pd.DataFrame(columns=COLUMNS)
    cut = Effects(Reading("", draws=50), pd.DataFrame(rows, columns=COLUMNS), empty, empty)
    figure = sink_source_panels(
        ["m", "none"], pd.DataFrame(counts), pd.DataFrame(places), norms, pd.DataFrame(shares), cut, cut, ROUTES
    )
    shown = [axis for axis in figure.axes if axis.axison]
    assert len(shown) == 6
    assert shown[0].lines[0].get_ydata().tolist() == [0, 2, 4] and shown[2].get_yscale() == "log"
    (discs,) = shown[1].collections
    assert discs.get_offsets().tolist() == [[1, 5], [1, 95], [2, 5], [2, 95]] and set(discs.get_sizes()) == {30}
    assert [line.get_ydata().tolist() for line in shown[3].lines] == [[60, 60], [2, 2]] * 2
    line = "none: no token of sound or pictures is a sink in 7 questions, so there is nothing to cut."
    assert figure.legends[-1].get_title().get_text() == line
    alone = sink_source_panels(
        ["none"], pd.DataFrame(counts), pd.DataFrame(places), norms, pd.DataFrame(shares), cut, cut, ROUTES
    )
    assert [text.get_text() for text in alone.texts] == [line] and not alone.axes
    for one in (figure, alone):
        one.canvas.draw()
        plt.close(one)

"""Winners stand by task and by the dial, and every group with enough known pairs has a panel for each model."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from avflow.figures import palette
from avflow.figures.conflict_panels import conflict_panels
from avflow.results import Effects, Reading
from avflow.results.effects import COLUMNS


def winners(model, task, heard, kind="all", n=12, dataset="d", needs_audio=1.0):
    found = dict(model=model, dataset=dataset, task=task, group=task, kind=kind, asked=12, n=n, needs_audio=needs_audio)
    shares = dict(heard=heard, seen=90 - heard, other=10.0)
    return found | {f"{name}{end}": share for name, share in shares.items() for end in ("", "_low", "_high")}


def effects(models, groups, n=12):
    asked = [(m, g, q, c) for m in models for g in groups for q in range(n) for c in range(4)]
    rows = [
        dict(model=m, group=g, task=g, question_id=f"{g}{q}", cluster=f"{g}{q}", centre=c, route="audio->question", change=-q - c)
        for m, g, q, c in asked
    ]
    rows = pd.DataFrame([dict.fromkeys(COLUMNS) | row | dict(noise=0.0, control="none") for row in rows], columns=COLUMNS)
    empty = pd.DataFrame(columns=COLUMNS)
    return Effects(Reading("", metric="logit_difference", draws=50), rows, empty, empty)


def test_bars_the_dial_and_layers_are_drawn_for_every_model():
    models, dial = ["m", "other"], ("either-0", "either-100")
    table = [winners(m, t, 60, k, 12 if k == "all" else 0) for m in models for t in ("hear", "see") for k in ("all", "both")]
    table += [winners(m, t, 20.0 + 40 * i, "all", 12, "g", i) for m in models for i, t in enumerate(dial)]
    found = effects(models, ("hear", *dial))
    figure = conflict_panels(models, pd.DataFrame(table), "g", found, found, 10)
    shown = [axis for axis in figure.axes if axis.axison]
    assert len(shown) == 2 * 2 + 2 * 2, "bars and dial, then hear and the graded tasks together, for each model"
    bars = shown[0].patches
    assert [bar.get_height() for bar in bars] == [60, 60, 30, 30, 10, 10]
    assert to_hex(bars[0].get_facecolor()) == to_hex(palette.WINNERS["heard"])
    assert [label.get_text() for label in shown[0].get_xticklabels()][0].endswith("n = 12 of 12")
    assert {bar.get_alpha() for bar in bars} == {1}
    assert [axis.get_title() for axis in shown[4:]] == ["(c) Hear", "(d) Graded tasks", "Hear", "Graded tasks"]
    assert [line.get_ydata().tolist() for line in shown[1].lines if len(line.get_xdata()) == 2][:2] == [[20, 60], [70, 30]]
    plt.close(figure)


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_known_pairs_are_said_in_words(n):
    table = pd.DataFrame([winners("m", "hear", float("nan") if not n else 90.0, n=n)])
    figure = conflict_panels(["m"], table, "", effects(["m"], ["hear"] if n else [], n), effects(["m"], [], 0), 10)
    texts = [text.get_text() for part in figure.subfigs for text in part.texts]
    assert "too few known pairs to show layers" in texts
    (bars, *_) = figure.axes
    assert bars.get_xticklabels()[0].get_text().endswith(f"too few: {n} of 12") and {bar.get_alpha() for bar in bars.patches} == {
        0.25
    }
    figure.canvas.draw()
    plt.close(figure)

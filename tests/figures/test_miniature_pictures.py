"""Pictures of the miniature: accuracy during training, and the clips and questions that a model is given."""

import json

import matplotlib.pyplot as plt
import numpy as np
from conftest import ROOT

from avflow.figures import miniature_pictures


def test_a_trainings_accuracy_is_drawn_in_percent_over_all_its_steps(tmp_path):
    log = [dict(stage=s, total=t, hear=h, **{"hear/word": 0}) for s, t, h in (("words", 10, 0.25), ("open", 30, 1.0))]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, log)))
    (axis,) = miniature_pictures.training_curves({"m": tmp_path / "log.jsonl"}).axes
    curve = next(line for line in axis.lines if line.get_label() == "hear")
    assert curve.get_xydata().tolist() == [[10, 25], [30, 100]] and axis.get_xlim() == (0, 30)
    assert [text.get_text() for text in axis.texts] == ["words", "open"]


def test_the_sheet_brackets_the_right_option_and_shows_every_item(questions):
    clip = dict(frames=np.zeros((8, 3, 8, 8), np.uint8), fps=2.0, audio=np.random.default_rng(0).normal(size=16000))
    hear, match = (next(q for q in questions.values() if q.task == task) for task in ("hear", "image-to-audio"))
    figure = miniature_pictures.world_sheet(clip, [hear], match, {m.media_id: clip for m in match.media})
    words = "\n".join(text.get_text() for part in figure.subfigs for sub in part.subfigs for text in sub.texts)
    for question in (hear, match):
        right = next(o for o in question.options if o.label == question.answer)
        assert f"[{right.label}. {right.text}]" in words
        assert all(f"{o.label}. {o.text}" in words for o in question.options)
    titles = sorted(axis.get_title() for axis in figure.axes if axis.get_title())
    assert titles[1:] == [f"Candidate {n}" for n in (1, 2, 3, 4)] + ["Reference"]


def test_long_options_stay_within_the_sheet(questions):
    clip = dict(frames=np.zeros((8, 3, 8, 8), np.uint8), fps=2.0, audio=np.random.default_rng(0).normal(size=16000))
    stated = next(q for q in questions.values() if q.task == "stated")
    with plt.style.context(ROOT / "figures/style.mplstyle"):
        figure = miniature_pictures.world_sheet(clip, [stated], stated, {m.media_id: clip for m in stated.media})
        figure.draw_without_rendering()
        for text in (text for part in figure.subfigs for sub in part.subfigs for text in sub.texts):
            edge = text.get_window_extent()
            assert edge.x1 < figure.bbox.x1 and edge.y0 > figure.bbox.y0, text.get_text()

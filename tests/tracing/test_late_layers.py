"""Masks in the last layers equal full masked forwards."""

from dataclasses import replace

import pytest
import torch
from conftest import UNIONS

from avflow.models.spans import Spans
from avflow.tracing import knockout, late_layers
from avflow.tracing.decoder import causal_mask, clean_run, masked_run
from avflow.tracing.interventions import Route

TEXT = ["system", "delimiter", "instruction", "question_text", "options", "tail", "last"]


def test_the_last_layers_are_five_of_thirty_six_or_as_many_of_other_depths():
    found = {n: (w.start, w.stop) for n in (36, 28, 12) for w in [late_layers.late_window(n)]}
    assert found == {36: (31, 36), 28: (24, 28), 12: (10, 12)}
    assert [layer for layer in range(36) if late_layers.late_window(36, [30, 31]).covers(layer)] == [30, 31]


def test_the_positive_control_masks_from_a_share_of_the_depth_on():
    found = {(n, share): (w.start, w.stop) for n in (36, 12) for share in (0, 0.33) for w in [late_layers.window_from(n, share)]}
    assert found == {(36, 0): (0, 36), (36, 0.33): (12, 36), (12, 0): (0, 12), (12, 0.33): (4, 12)}


@pytest.mark.parametrize("case", ["omni clip", "salmonn clip"])
def test_late_masks_equal_full_masked_forwards(cases, case):
    model, sequence = cases[case]
    unions = {"question": UNIONS["av_video"]["question"], "text": TEXT, "media": ["video", "audio"]}
    labels = [None] * len(sequence)
    for atom, at in sequence.spans.atoms.items():
        for i in at.tolist():
            labels[i] = atom
    sequence = replace(sequence, spans=Spans(labels, sequence.spans.parts, unions))
    routes, window = ["video->last", "video->text", "media->text", "candidates->last"], late_layers.late_window(12, [8, 11])
    rows = late_layers.masked_answers(model, sequence, clean_run(model, sequence), routes, window, knockout.plan(model))
    assert [row["name"] for row in rows] == ["none", *routes[:3]], "a route with nothing to cut has no row"
    length, open_mask = len(sequence), causal_mask(len(sequence))
    cuts = [Route.parse(r).edges(sequence.spans).cut(torch.arange(length), length) for r in routes[:3]]
    masks = torch.stack([open_mask, *(open_mask & ~cut for cut in cuts)])
    logits = masked_run(model, sequence, lambda n: masks if n >= 8 else open_mask.expand(4, -1, -1))
    token = int(logits[0].argmax())
    for row, one in zip(rows, logits):
        assert row["values"][0] == pytest.approx(float(one.log_softmax(-1)[token]), abs=1e-4)
    assert [row["number"] for row in rows] == [0, *(int(cut.sum()) for cut in cuts)]
    assert len({round(row["values"][0], 6) for row in rows}) > 1, "some mask must matter for the comparison to mean anything"

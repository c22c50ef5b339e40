"""A cut is compared with the null row of its own batch, and value_zero drops values without renormalising weights."""

import dataclasses

import pytest
import torch
from transformers.modeling_utils import AttentionInterface

from avflow.tracing import decoder, knockout, readout, row_attention
from avflow.tracing.decoder import clean_run
from avflow.tracing.interventions import Knockout, Route, windows

HEAR = "mini_video__hear_0001"
ROUTE = Route.parse("audio->question")
ENGINES = pytest.mark.parametrize("batches", [None, knockout.Plan(100000, {})], ids=["naive", "sweep"])
LETTERS = [f"logit_{letter}" for letter in "ABCD"]


def by_hand(model, sequence, window, zero):
    """Logits of the last token, from an attention function of a few lines in which the weights of the cut are visible."""
    length = len(sequence)
    visible = torch.ones(length, length).tril().bool()
    gone = ROUTE.edges(sequence.spans).cut(torch.arange(length), length)

    def attend(module, query, key, value, attention_mask, scaling=None, **_):
        key, value = (x.repeat_interleave(query.shape[1] // x.shape[1], 1) for x in (key, value))
        closed = gone if window.covers(module.layer_idx) else torch.zeros_like(gone)
        scores = (query @ key.transpose(2, 3)) * scaling
        weights = scores.masked_fill(~(visible if zero else visible & ~closed), -torch.inf).softmax(-1)
        return (weights.masked_fill(closed, 0) @ value).transpose(1, 2), None

    decoder.ready(model)
    AttentionInterface.register(row_attention.KERNEL, attend)
    try:
        with torch.inference_mode():
            states = model.decoder(inputs_embeds=sequence.embeds[None], position_ids=sequence.positions[:, None], use_cache=False)
            return model.head(states.last_hidden_state[0, -1])
    finally:
        row_attention.install(model.decoder)


@ENGINES
@pytest.mark.parametrize("cut", ["mask", "value_zero"])
def test_a_row_holds_the_kind_of_cut_that_it_names(model, sequences, batches, cut):
    sequence, window = sequences[HEAR], windows(12, 3)[5]
    _, row = knockout.rows(model, sequence, [Knockout(ROUTE, window, cut)], batches)
    found = torch.tensor([row[letter] for letter in LETTERS])
    logits = {zero: by_hand(model, sequence, window, zero) for zero in (True, False)}
    options = {zero: readout.option_logits(sequence, one[None]) for zero, one in logits.items()}
    of = lambda zero: torch.tensor([options[zero][letter][0] for letter in LETTERS])  # noqa: E731
    assert row["cut"] == cut
    assert (found - of(cut == "value_zero")).abs().max() < 1e-4
    assert (found - of(cut != "value_zero")).abs().max() > 1e-2, "the other kind of cut is another number"


def test_the_sweep_computes_its_null_row_and_does_not_take_the_clean_run_for_it(model, sequences):
    ks = [Knockout(ROUTE, windows(12, 3)[5])]
    edges = knockout.resolve(sequences[HEAR], ks)
    run = clean_run(model, sequences[HEAR], knockout.first_row(sequences[HEAR], edges))
    _, base = knockout.sweep(model, sequences[HEAR], run, ks, edges, knockout.Plan(100000, {}))
    other = dataclasses.replace(run, final=torch.zeros_like(run.final))
    _, same = knockout.sweep(model, sequences[HEAR], other, ks, edges, knockout.Plan(100000, {}))
    assert torch.equal(base, same)


@ENGINES
def test_the_base_of_a_row_is_the_null_row_of_its_batch(model, sequences, monkeypatch, batches):
    """As with other kernels, the null rows of this engine give the answer twice the odds that the clean run gives it."""
    sequence, ks = sequences[HEAR], [Knockout(ROUTE, window) for window in windows(12, 3)[4:6]]
    clean = knockout.rows(model, sequence, ks, batches)
    answer = clean[0]["base_token"]
    name = "naive" if batches is None else "sweep"
    engine = getattr(knockout, name)

    def other_kernels(*given, **more):
        cut, base = engine(*given, **more)
        base = base.clone()
        base[:, answer] += torch.log(torch.tensor(2.0))
        return cut, base

    monkeypatch.setattr(knockout, name, other_kernels)
    uncut, *cuts = knockout.rows(model, sequence, ks, batches)
    p = clean[1]["p_base_clean"]
    assert 0.05 < p < 0.99 and uncut["p_base_clean"] == pytest.approx(clean[0]["p_base_clean"])
    for row, before in zip(cuts, clean[1:]):
        assert row["p_base_clean"] == pytest.approx(2 * p / (1 + p), rel=1e-5)
        assert row["margin_clean"] == pytest.approx(before["margin_clean"] + 0.6931, abs=1e-3)
        assert row["logp_base"] == before["logp_base"], "the cut itself is as it was"

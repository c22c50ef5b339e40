"""Attention maps pooled into bins, with and without a cut."""

import math

import pytest
import torch
from tracing_cases import official_weights

from attention import change
from avflow.errors import InputError
from avflow.tracing import late_layers
from avflow.tracing.decoder import causal_mask, clean_run, masked_run
from avflow.tracing.interventions import Route
from avflow.tracing.pooled_maps import as_range, attention_maps, bin_classes, bins_of


def test_bins_are_nearly_equal_and_the_last_token_has_its_own():
    at = bins_of(204, 64)
    assert at[-1] == 63 and int((at == 63).sum()) == 1 and (at.diff() >= 0).all()
    assert set(torch.bincount(at[:-1]).tolist()) <= {3, 4}
    assert bins_of(5, 64).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("case", ["omni clip", "salmonn clip", "qwen3 clip"])
def test_a_pooled_map_is_the_full_matrix_pooled_whatever_the_block(cases, case):
    model, sequence = cases[case]
    bins, run = 16, clean_run(model, sequence)
    (uncut,), logits = attention_maps(model, sequence, [], bins)
    at = bins_of(len(sequence), bins)
    onehot = torch.nn.functional.one_hot(at).float()
    for number in (0, 5, 11):
        square = official_weights(model, run, number).mean(0)
        assert (uncut[number] - onehot.T @ square @ onehot / onehot.sum(0)[:, None]).abs().max() < 1e-5
    assert (uncut.sum(-1) - 1).abs().max() < 1e-5
    (small,), _ = attention_maps(model, sequence, [], bins, block=3 * len(sequence) * 7)
    assert (small - uncut).abs().max() < 1e-6
    mask = causal_mask(len(sequence))[None]
    assert (logits[0] - masked_run(model, sequence, lambda _: mask)[0]).abs().max() < 1e-5 * logits.abs().max()


def test_no_square_of_all_heads_is_ever_held(cases, monkeypatch):
    model, sequence = cases["omni clip"]
    held, softmax = [], torch.Tensor.softmax
    monkeypatch.setattr(torch.Tensor, "softmax", lambda x, *a: held.append(x.numel()) or softmax(x, *a))
    block = 3 * len(sequence) * 10
    attention_maps(model, sequence, [], 16, block)
    assert max(held) == block < 3 * len(sequence) ** 2 and len(held) == 12 * math.ceil(len(sequence) / 10)


def test_a_cut_is_missing_from_the_map_and_changes_what_comes_after(cases):
    model, sequence = cases["omni clip"]
    bins = len(sequence)
    (uncut, cut), logits = attention_maps(model, sequence, [(Route.parse("audio->question"), range(0, 8))], bins)
    audio, question = sequence.spans["audio"], sequence.spans["question"]
    assert cut[:8, question][:, :, audio].abs().max() == 0 and uncut[:8, question][:, :, audio].max() > 0.01
    assert (cut[8:, question][:, :, audio]).max() > 0.01
    assert torch.equal(cut[0, : int(question[0])], uncut[0, : int(question[0])]), "rows before the first query do not change"
    assert (logits[1] - logits[0]).abs().max() > 1e-2
    (same,), base = attention_maps(model, sequence, [], bins)
    assert (same - uncut).abs().max() < 1e-6 and (base[0] - logits[0]).abs().max() < 1e-4


def test_masking_layers_that_do_not_exist_is_an_error(cases):
    model, sequence = cases["omni clip"]
    with pytest.raises(InputError, match="layers 8 to 12 do not exist; the model has 0 to 11"):
        attention_maps(model, sequence, [(Route.parse("audio->last"), range(8, 13))], 8)
    with pytest.raises(
        InputError, match=r"masked_layers \[31, 35\] do not exist; the model has layers 0 to 11: give the first and"
    ):
        late_layers.late_window(12, [31, 35])
    with pytest.raises(InputError, match=r"masked_layers \[5, 4\]"):
        late_layers.late_window(12, [5, 4])
    assert as_range(12, [0, 0.67]) == range(0, 8) and as_range(36, [0.5, 1]) == range(18, 36)


def test_a_strip_names_the_commonest_class(cases):
    sequence = cases["omni clip"][1]
    strip = bin_classes(sequence, 32)
    assert strip[0][0] == "system" and strip[-1] == ("last", len(sequence) - 1, len(sequence))
    assert [start for _, start, _ in strip][1:] == [stop for _, _, stop in strip][:-1]


def test_an_invalid_change_is_one_line():
    import argparse

    assert change('{"route": "audio->last", "layers": [0.5, 1]}')["layers"] == [0.5, 1]
    for text in ("audio->last", '{"route": "audio->last"}', '{"route": "audio->last", "layers": [1, 0.5]}', '{"layers": 3}'):
        with pytest.raises(argparse.ArgumentTypeError, match="write a route and two shares of the depth"):
            change(text)

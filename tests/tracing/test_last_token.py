"""The last token's attention, and the options' probabilities in each layer."""

import pytest
import torch
from tracing_cases import CASES, official_weights

from avflow.tracing import last_token
from avflow.tracing.decoder import clean_run
from avflow.tracing.packs import uncut_logits
from avflow.tracing.token_classes import CLASSES, token_classes


@pytest.mark.parametrize("case", CASES)
def test_shares_sum_to_one_and_are_the_last_row_of_the_full_matrix(cases, case):
    model, sequence = cases[case]
    run = clean_run(model, sequence)
    shares = last_token.attention_shares(model, sequence, run)
    assert shares.shape == (12, len(CLASSES), model.decoder.config.num_attention_heads)
    assert (shares.sum(1) - 1).abs().max() < 1e-5
    kinds = token_classes(sequence.spans)
    for number in range(12):
        last = official_weights(model, run, number)[:, -1]  # (heads, S)
        for c in range(len(CLASSES)):
            assert (last[:, kinds == c].sum(1) - shares[number, c]).abs().max() < 2e-6
    only_last = last_token.attention_shares(model, sequence, clean_run(model, sequence, len(sequence) - 1))
    assert (only_last - shares).abs().max() < 1e-6, "one row is enough"


@pytest.mark.parametrize("case", CASES)
def test_the_lens_of_the_last_layer_is_what_the_model_says(cases, case):
    model, sequence = cases[case]
    lens = last_token.logit_lens(model, clean_run(model, sequence, len(sequence) - 1))
    said = uncut_logits(model, [sequence])[0]
    assert lens.shape == (12, len(said))
    assert (lens[-1] - said).abs().max() < 1e-5 * said.abs().max()
    assert (lens[-2] - said).abs().max() > 1e-2 * said.abs().max()
    letters = last_token.option_log_probabilities(sequence, lens)
    assert torch.allclose(letters[-1], said.log_softmax(-1)[sequence.letter_ids], atol=1e-4)

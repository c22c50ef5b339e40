"""The attention of one row equals that row of the official matrix."""

import pytest
from tracing_cases import CASES, official_weights

from avflow.tracing.decoder import clean_run


@pytest.mark.parametrize("case", CASES)
def test_the_last_row_equals_the_full_matrixs_last_row(cases, case):
    from avflow.tracing.decoder import last_row_attention

    model, sequence = cases[case]
    run = clean_run(model, sequence)
    for number in range(12):
        keys = run.keys[number].transpose(0, 1)[None]
        found = last_row_attention(model, number, run.inputs[number][-1:], keys, run.cos, run.sin)
        assert (found - official_weights(model, run, number)[:, -1]).abs().max() < 1e-6

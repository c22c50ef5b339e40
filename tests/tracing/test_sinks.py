"""Attention sinks are found where they were planted, and nowhere else."""

import pytest
import torch

from avflow.tracing import sinks


def test_sinks_are_found_where_they_were_planted():
    torch.manual_seed(0)
    states = torch.randn(50, 256)
    states[:, 9] += 40  # large in all tokens, so no outlier of the first
    states[0, 9], states[[0, 17, 30], 100] = 300, 300
    activation = sinks.activations(states)
    assert sinks.threshold(4096) == 20 and sinks.threshold(256) == 5
    assert sinks.sink_dimensions(activation).tolist() == [100]
    assert sinks.sink_tokens(activation, sinks.sink_dimensions(activation)).tolist() == [0, 17, 30]
    assert activation[1].pow(2).mean() == pytest.approx(1, abs=1e-4)


def test_without_an_outlier_there_is_no_sink():
    activation = sinks.activations(torch.randn(50, 256, generator=torch.Generator().manual_seed(1)))
    dimensions = sinks.sink_dimensions(activation)
    assert len(dimensions) == len(sinks.sink_tokens(activation, dimensions)) == 0

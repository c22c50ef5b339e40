"""Work that does not fit into the GPU's memory is halved until it fits."""

import pytest


def test_work_is_halved_until_it_fits_and_one_item_that_does_not_is_an_error():
    import torch

    from avflow.models.gpu_memory import halving

    tried = []

    def work(items):
        tried.append(len(items))
        if len(items) > 3:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return [10 * item for item in items]

    assert halving(work, list(range(10))) == list(range(0, 100, 10))
    assert tried == [10, 5, 2, 3, 5, 2, 3]
    with pytest.raises(torch.cuda.OutOfMemoryError):
        halving(lambda items: work([0] * 4), [1, 2])

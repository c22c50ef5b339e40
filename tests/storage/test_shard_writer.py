"""Shards written tensor by tensor equal those that safetensors writes. Also tests avflow.storage.shard_reader."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from avflow.errors import InputError
from avflow.storage.shard_reader import FeatureStore
from avflow.storage.shard_writer import ShardWriter, room_for


def tensors(pixels):
    """Frames, sound and rate of three media; `pixels` bytes a frame."""
    rng, made = np.random.default_rng(0), {}
    for i in range(3):
        made[f"m{i}/fps"] = np.array(2 / (i + 1))
        made[f"m{i}/frames"] = rng.integers(0, 256, (i + 1, pixels), np.uint8)
        made[f"m{i}/audio"] = rng.standard_normal(101 + i).astype(np.float32)
        made[f"m{i}/vision"] = torch.from_numpy(rng.standard_normal((2, 3 + i))).bfloat16()
    return made


@pytest.mark.parametrize(("pixels", "extra"), [(2352, set()), (49, {"padding/bytes"})])
def test_a_shard_reads_as_one_that_safetensors_wrote(tmp_path, pixels, extra):
    made = tensors(pixels)
    with ShardWriter(tmp_path / "ours", room_for(made), {"kinds": "{}"}) as shard:
        for name, array in made.items():
            shard.add(name, array)
        assert not (tmp_path / "ours").exists()
    save_file({name: torch.as_tensor(array) for name, array in made.items()}, tmp_path / "theirs", {"kinds": "{}"})
    with safe_open(tmp_path / "ours", "pt") as ours, safe_open(tmp_path / "theirs", "pt") as theirs:
        metadata = ours.metadata()
        assert json.loads(metadata.pop("crc32")).keys() == set(ours.keys()) and metadata == theirs.metadata() == {"kinds": "{}"}
        assert set(ours.keys()) - extra == set(theirs.keys())
        for name in theirs.keys():  # noqa: SIM118 (safe_open is no dict)
            assert ours.get_tensor(name).dtype == theirs.get_tensor(name).dtype
            assert torch.equal(ours.get_tensor(name), theirs.get_tensor(name))
    stores = FeatureStore(tmp_path / "ours", "np"), FeatureStore(tmp_path / "ours")
    assert np.array_equal(stores[0].get("m2", "frames"), made["m2/frames"]) and torch.equal(
        stores[1].get("m1", "vision"), made["m1/vision"]
    )


def test_a_shard_that_fails_leaves_no_file(tmp_path):
    with pytest.raises(KeyError), ShardWriter(tmp_path / "a", 3000, {}) as shard:
        shard.add("m/frames", np.zeros(8, np.uint8))
        raise KeyError("anything")
    with (
        pytest.raises(InputError, match="bytes of header do not fit into 16; reserve more room"),
        ShardWriter(tmp_path / "a", 16, {}) as shard,
    ):
        shard.add("m/frames", np.zeros(8, np.uint8))
    assert list(tmp_path.iterdir()) == []

"""A small pinned model, and its download from the stand-in hub."""

import random

import pin as pin_script
from avflow.hub import downloads
from avflow.hub.pins import read_pin
from avflow.hub.repository import Backoff

BIG = random.Random(0).randbytes(3_000_000)

OTHER = random.Random(1).randbytes(50_000)

FILES = {"config.json": b"{}", "model.safetensors": BIG, "README.md": b"# tiny", "spk_dict.pt": OTHER, "step/config.json": b"[]"}

CARD = {"license": "other", "license_name": "qwen-research"}

QUICK = Backoff(tries=3, first=0.0)


def pinned(hub, tmp_path, files=FILES, name="tiny", repo_type="model", patterns=None, **about):
    hub.add(repo_type, "owner/tiny", files, card=CARD, **about)
    target = {"repo": "owner/tiny", "repo_type": repo_type} | ({"files": patterns} if patterns else {})
    pin_script.pin(name, target, tmp_path)
    hub.log.clear()
    return read_pin(tmp_path / f"{name}.json")


def get(pin, tmp_path, backoff=QUICK, **options):
    downloads.download(pin, "tiny", tmp_path / "out", backoff=backoff, **options)
    return tmp_path / "out"


def weights(hub):
    """(Range, status) of the requests for the weights' bytes."""
    return [(r.range, r.status) for r in hub.contents() if r.path.endswith("model.safetensors")]


def nothing_is_taken_for_a_result(out):
    return not (out / "manifest.json").exists() and not (out / "model.safetensors").exists()

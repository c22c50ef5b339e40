"""Checkpoint folders as they are released: nested, prefixed, sharded. They load without a second copy of the weights."""

import json
import os
import subprocess
import sys

import pytest
import torch
from conftest import SCRIPTS
from safetensors.torch import load_file, save_file
from transformers import Qwen2_5OmniConfig, Qwen2_5OmniThinkerConfig, Qwen2_5OmniThinkerForConditionalGeneration
from transformers.utils import logging

from avflow.errors import InputError
from avflow.miniature import tiny_omni, tiny_salmonn
from avflow.models.qwen_omni import QwenOmni
from avflow.models.salmonn_port import SalmonnPort

SECOND = "model-00002-of-00003.safetensors"
logging.set_verbosity_error()


def write_shards(folder, tensors, count=3):
    """Tensors dealt out to `count` files, and the index."""
    names, weight_map = sorted(tensors), {}
    for k in range(count):
        file = f"model-{k + 1:05d}-of-{count:05d}.safetensors"
        save_file({n: tensors[n].contiguous() for n in names[k::count]}, folder / file, {"format": "pt"})
        weight_map |= dict.fromkeys(names[k::count], file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def write_omni(folder, thinker, talker, head=True, unsaid=(), **text):
    """A full Qwen2.5-Omni folder around a Thinker's weights; text: changes to the text model's config.

    unsaid: keys that neither the text model's config nor the Thinker's holds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = thinker.config.to_dict()
    settings["text_config"] |= text
    for part in (settings, settings["text_config"]):
        for key in unsaid:
            part.pop(key, None)
    full = {**Qwen2_5OmniConfig().to_dict(), "thinker_config": settings}
    (folder / "config.json").write_text(json.dumps(full, default=str))
    tiny_omni.tokenizer().save_pretrained(folder)
    tensors = {f"thinker.{name}": tensor for name, tensor in thinker.state_dict().items() if head or name != "lm_head.weight"}
    write_shards(folder, {**tensors, **talker})


def random_thinker(**changes):
    """A Thinker with random weights and a head of its own; changes: to the text model's config."""
    settings = tiny_omni.config(tiny_omni.tokenizer()).to_dict()
    settings["tie_word_embeddings"] = False
    settings["text_config"] |= {"num_hidden_layers": 3, "layer_types": None, **changes}
    width = settings["text_config"]["hidden_size"]
    settings["audio_config"]["output_dim"] = settings["vision_config"]["out_hidden_size"] = width
    torch.manual_seed(0)
    config = Qwen2_5OmniThinkerConfig(**settings)
    return Qwen2_5OmniThinkerForConditionalGeneration._from_config(config, attn_implementation="sdpa").eval()


@pytest.fixture(scope="module")
def thinker():
    return random_thinker()


TALKER = {"talker.model.embed_tokens.weight": torch.ones(8, 8), "token2wav.code2wav_dit_model.proj.weight": torch.ones(8)}


@pytest.fixture
def full(thinker, tmp_path):
    write_omni(tmp_path / "full", thinker, TALKER)
    return tmp_path / "full"


def test_the_thinker_of_a_full_checkpoint_gives_the_bare_thinkers_logits(full, thinker):
    loaded = QwenOmni(full, "")
    held = set(json.loads((full / "model.safetensors.index.json").read_text())["weight_map"])
    assert len(list(full.glob("*.safetensors"))) == 3 and set(TALKER) < held
    ids = torch.arange(40)[None]
    with torch.inference_mode():
        found, bare = loaded.model(input_ids=ids).logits, thinker(input_ids=ids).logits
    assert (found - bare).abs().max() <= 1e-5 * bare.abs().max(), "norms and rotations of the loaded one may round otherwise"
    assert not any("talker" in name for name, _ in loaded.model.named_parameters())
    assert sum(p.numel() for p in loaded.model.parameters()) == sum(p.numel() for p in thinker.parameters())


def test_a_head_that_only_the_text_models_config_ties_is_tied(thinker, tmp_path):
    write_omni(tmp_path / "tied", thinker, TALKER, head=False, tie_word_embeddings=True)
    loaded = QwenOmni(tmp_path / "tied", "")
    assert loaded.head.weight is loaded.decoder.embed_tokens.weight
    assert torch.equal(loaded.head.weight, thinker.get_decoder().embed_tokens.weight)
    write_omni(tmp_path / "lost", thinker, TALKER, head=False, tie_word_embeddings=False)
    with pytest.raises(InputError, match=r"lost: tensor lm_head\.weight is missing \(1 in all\); download the checkpoint again"):
        QwenOmni(tmp_path / "lost", "")


def test_a_head_is_tied_where_no_config_says_anything_and_kept_where_it_is_stored(thinker, tmp_path):
    """Older transformers left the key out where it was true, and do not tie a head that the files hold."""
    write_omni(tmp_path / "silent", thinker, TALKER, head=False, unsaid=["tie_word_embeddings"])
    loaded = QwenOmni(tmp_path / "silent", "")
    assert loaded.head.weight is loaded.decoder.embed_tokens.weight
    write_omni(tmp_path / "own", thinker, TALKER, unsaid=["tie_word_embeddings"])
    loaded = QwenOmni(tmp_path / "own", "")
    assert torch.equal(loaded.head.weight, thinker.lm_head.weight)
    assert not torch.equal(loaded.head.weight, loaded.decoder.embed_tokens.weight)


def truncate(folder):
    path = folder / SECOND
    path.write_bytes(path.read_bytes()[:-5000])


def change_tensor(folder, change):
    tensors = load_file(folder / SECOND)
    name = next(n for n in sorted(tensors) if n.startswith("thinker.model.layers.") and tensors[n].ndim == 2)
    change(tensors, name)
    save_file(tensors, folder / SECOND, {"format": "pt"})


FAULTS = {
    "a shard is missing": (lambda f: (f / SECOND).unlink(), f"full: {SECOND} is missing; download the checkpoint again"),
    "a shard is cut off": (truncate, f"{SECOND}: not a whole safetensors file .*; download the checkpoint again"),
    "the index is missing": (
        lambda f: (f / "model.safetensors.index.json").unlink(),
        "full: model.safetensors is missing; download",
    ),
    "the index is cut off": (
        lambda f: (f / "model.safetensors.index.json").write_text("{"),
        "model.safetensors.index.json is not JSON .*; download",
    ),
    "the index names nothing": (
        lambda f: (f / "model.safetensors.index.json").write_text("{}"),
        "model.safetensors.index.json has no 'weight_map'; download",
    ),
    "a tensor is missing": (
        lambda f: change_tensor(f, lambda tensors, name: tensors.pop(name)),
        r"full: tensor model\.layers\.0\S* is missing \(1 in all\); download the checkpoint again",
    ),
    "a tensor has another shape": (
        lambda f: change_tensor(f, lambda tensors, name: tensors.update({name: torch.zeros(3, 5)})),
        r"full: tensor model\.layers\.0\S* does not fit config.json; take both from the same checkpoint",
    ),
    "another model's config": (
        lambda f: (f / "config.json").write_text('{"model_type": "llama"}'),
        "full: config.json has model_type 'llama'; give the folder of a Qwen2.5-Omni checkpoint",
    ),
    "the config is cut off": (lambda f: (f / "config.json").write_text('{"a"'), "full: config.json is not JSON .*; download"),
    "the tokenizer is cut off": (
        lambda f: (f / "tokenizer.json").write_text("{"),
        "full: its tokenizer cannot be read .*; download the checkpoint again",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_named_in_one_line(fault, full):
    spoil, match = FAULTS[fault]
    spoil(full)
    with pytest.raises(InputError, match=match) as caught:
        QwenOmni(full, "")
    assert "\n" not in str(caught.value)


MEASURE = """
import json, os, resource, sys
import torch
from avflow.models.qwen_omni import QwenOmni
from avflow.models.video_salmonn import VideoSalmonn

def grown(family, folder, dtype):  # in a child, whose peak starts from what it has
    read, write = os.pipe()
    if os.fork() == 0:
        before = int(next(x for x in open("/proc/self/status") if x.startswith("VmRSS")).split()[1])
        model = family(folder, "", dtype=dtype).model
        weights = sum(p.numel() * p.element_size() for p in model.parameters())
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        os.write(write, json.dumps([weights, 1024 * (peak - before)]).encode())
        os._exit(0)
    os.wait()
    return json.loads(os.read(read, 1000))

found = {}
for folder, family in zip(sys.argv[1:], (QwenOmni, VideoSalmonn)):
    for dtype in ("bfloat16", "float32"):
        found[f"{family.__name__} {dtype}"] = grown(family, folder, getattr(torch, dtype))
print(json.dumps(found))
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="memory is read from /proc")
def test_loading_holds_no_second_copy_of_the_weights(tmp_path):
    """Files are mapped: stored numbers are used in place, converted ones take their own room and the mapped pages once."""
    width = dict(hidden_size=1024, intermediate_size=2560, num_attention_heads=8, num_key_value_heads=2)
    sections = dict(mrope_section=[16, 24, 24])
    rope = dict(rope_type="default", rope_theta=1e4, **sections)
    thinker = random_thinker(num_hidden_layers=6, rope_parameters=rope, **width).to(torch.bfloat16)
    write_omni(tmp_path / "omni", thinker, {"talker.embed.weight": torch.zeros(50, 2**20, dtype=torch.bfloat16)})
    settings = tiny_salmonn.config(tiny_salmonn.tokenizer())
    settings |= dict(**width, num_hidden_layers=6, rope_scaling=dict(type="mrope", **sections), tie_word_embeddings=False)
    settings["vision_config"]["out_hidden_size"] = 1024
    (tmp_path / "salmonn").mkdir()
    (tmp_path / "salmonn/config.json").write_text(json.dumps(settings))
    tiny_salmonn.tokenizer().save_pretrained(tmp_path / "salmonn")
    write_shards(tmp_path / "salmonn", SalmonnPort(settings).official_state(torch.bfloat16))
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, tmp_path / "omni", tmp_path / "salmonn"],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    # float32 made from bfloat16 files takes its own room and the mapped half; a second copy makes it more than twice the weights
    most = {"bfloat16": 0.5, "float32": 1.85}
    for name, (weights, peak) in json.loads(done.stdout.splitlines()[-1]).items():
        assert weights > 100e6
        assert peak < most[name.split()[1]] * weights, f"{name}: {peak / weights:.2f} times the weights"

"""avflow.miniature.distilling and narrow_tiny.py: a decoder with narrower MLPs learns to compute what the wider one computes."""

import json

import pytest
import torch
from conftest import ROOT
from safetensors.torch import load_file

import narrow_tiny
from avflow.miniature import TASKS, Trainer, distilling
from avflow.miniature.training import FAMILIES

NAMES = {"qwen_omni": "tiny-omni", "video_salmonn": "tiny-salmonn"}
ROWS = len(TASKS)


@pytest.fixture(scope="module", params=FAMILIES)
def trainer(request):
    made = Trainer("cpu", 0, request.param)
    made.start_from(ROOT / "resources" / NAMES[request.param], whole=True)
    made.model.eval()
    return made


def asked(distiller, seed=0):
    distiller.g.manual_seed(seed)
    with torch.no_grad():
        return {name: float(value) for name, value in distiller.compared(ROWS).items()}


def test_a_decoder_with_all_its_units_computes_the_same_and_one_with_fewer_does_not(trainer):
    units = trainer.decoder.config.intermediate_size
    all_kept = distilling.Distiller(trainer, distilling.narrow(trainer, units, rows=2))
    same = asked(all_kept)
    assert same["states"] < 1e-9 and abs(same["answer"]) < 1e-6 and same["agree"] == 1 and same["off"] < 1e-5
    strongest = distilling.strongest_units(trainer, rows=2)
    teacher = distilling.narrow(trainer, units // 2, rows=2)
    mlp, wide = trainer.decoder.layers[3].mlp, teacher.layers[3].mlp
    assert mlp.up_proj.weight.shape == (units // 2, 192) and mlp.down_proj.weight.shape == (192, units // 2)
    kept = [bool((wide.up_proj.weight == row).all(1).any()) for row in mlp.up_proj.weight]
    assert all(kept) and trainer.decoder.config.intermediate_size == units // 2
    assert (mlp.up_proj.weight == wide.up_proj.weight[strongest[3][0]]).all(1).any()
    fewer = asked(distilling.Distiller(trainer, teacher))
    assert fewer["states"] > 1e-4 and fewer["answer"] > 1e-3


def test_questions_are_asked_in_other_orders_too_and_most_are_cut(trainer):
    distiller = distilling.Distiller(trainer, trainer.decoder)
    orders = {task: len(prompts) for task, prompts in distiller.prompts.items()}
    assert orders["hear"] == 2 and orders["named"] == 5 and orders["describe"] == 1
    distiller.g.manual_seed(0)
    prompts, batches, features = distiller.questions(4 * len(TASKS))
    assert 3 <= sum(p is not distiller.prompts[task][0] for task, p in zip(TASKS, prompts)) <= 12
    some = []
    for prompt, batch, (vision, audio) in zip(prompts, batches, features):
        assert vision.shape[1] == len(prompt.template.vision_at) and audio.shape[1] == len(prompt.template.audio_at)
        cut, inside = distiller.cuts(prompt, batch.letter)
        some.append((cut.any((1, 2)) & inside.any(1)).float().mean())
        assert cut.shape == (4, len(prompt.template.ids), len(prompt.template.ids)) and inside.shape == (4, 12)
    assert 0.5 < torch.stack(some).mean() < 0.9


def test_a_run_stops_goes_on_and_saves_what_the_pipeline_loads(tmp_path, capsys):
    """Two steps of a question of each task."""
    checkpoint = ROOT / "resources/tiny-omni"
    options = ["--family", "qwen_omni", "--checkpoint", str(checkpoint), "--units", "48", "--rows", str(len(TASKS))]
    options += ["--state", str(tmp_path / "state"), "--out", str(tmp_path / "tiny"), "--steps"]
    narrow_tiny.main([*options, "2", "--minutes", "0.001"])
    assert capsys.readouterr().out.endswith("to be continued\n")
    narrow_tiny.main([*options, "2"])
    assert capsys.readouterr().out.endswith("finished\n")
    log = [json.loads(line) for line in (tmp_path / "tiny/narrowing.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == [2] and log[0]["states"] > 0
    made, old = (load_file(folder / "model.safetensors") for folder in (tmp_path / "tiny", checkpoint))
    assert made["model.layers.5.mlp.down_proj.weight"].shape == (192, 48)
    assert torch.equal(made["visual.patch_embed.proj.weight"], old["visual.patch_embed.proj.weight"])
    assert json.loads((tmp_path / "tiny/config.json").read_text())["text_config"]["intermediate_size"] == 48
    again = Trainer("cpu", 0, "qwen_omni")
    again.start_from(tmp_path / "tiny", whole=True)
    assert again.decoder.config.intermediate_size == 48

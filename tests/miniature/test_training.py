"""The training script runs through all stages, resumes where it stopped, and writes a checkpoint that loads."""

import ast
import json
import sys

import pytest
from conftest import SCRIPTS, process

from avflow.storage import provenance


@pytest.mark.slow
@pytest.mark.parametrize("family", ["qwen_omni", "video_salmonn"])
def test_a_smoke_run_passes_every_stage_and_resumes(tmp_path, family, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # tests go on beside it
    options = ["--family", family, "--smoke", "--state", tmp_path / "state", "--out", tmp_path / "checkpoint"]
    first = process("train_tiny", *options, "--minutes", "0.02")
    assert first.stdout.strip().endswith("to be continued")
    second = process("train_tiny", *options)
    assert second.stdout.strip().endswith("finished")
    log = [json.loads(line) for line in (tmp_path / "state/log.jsonl").read_text().splitlines()]
    assert [entry["stage"] for entry in log] == ["words", "align", "blocked", "open"]
    assert log[-1]["total"] == 5
    assert all(0 <= log[-1][task] <= 1 for task in ("hear", "see", "while-hear", "while-see", "image-to-audio"))

    from avflow.models.qwen_omni import QwenOmni
    from avflow.models.video_salmonn import VideoSalmonn

    adapter = {"qwen_omni": QwenOmni, "video_salmonn": VideoSalmonn}[family]
    assert len(adapter(tmp_path / "checkpoint", "").decoder.layers) == 12


def test_training_imports_only_what_a_bare_gpu_machine_has():
    imported = set()
    for path in provenance.sources(SCRIPTS / "train_tiny.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(node.module.split(".")[0])
    assert imported - set(sys.stdlib_module_names) <= {"avflow", "numpy", "safetensors", "tokenizers", "torch", "transformers"}


def test_templates_find_what_varies_in_a_prompt():
    import torch

    from avflow.miniature import world
    from avflow.miniature.training import TASKS, Trainer

    trainer = Trainer("cpu", 0, "qwen_omni")
    made = trainer.family.tokenizer
    for task in TASKS:
        t = trainer.templates[task]
        words = [made.decode([i]).strip() for i in t.answer_ids]
        assert words == list({**world.VIDEO_TASKS, **world.ITEM_TASKS}[task].answers)
        assert (t.cue_at is not None) == (task == "while-see")
    trainer.g.manual_seed(1)
    batch = trainer.batch("while-see", 50)
    for row in range(50):
        text = made.decode(batch.ids[row])
        cue = next(c for c in world.COLOURS if f"the {c} shape" in text)
        second = int((batch.pictures.colour[row] == world.COLOURS.index(cue)).int().argmax())
        answer = world.SOUNDS[batch.sounds.sound[row, second]]
        assert f"{world.LETTERS[batch.letter[row]]}. {answer}" in text
    hear, see = trainer.batch("hear", 4), trainer.batch("see", 4)
    assert torch.equal(hear.unneeded, hear.template.vision.expand(4, -1)), "text of hear is kept from the picture"
    assert torch.equal(see.unneeded, see.template.audio.expand(4, -1))

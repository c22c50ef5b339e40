"""The training script runs through its stages, goes on where it stopped, and writes a checkpoint that loads.

Also tests avflow.miniature.templates, avflow.miniature.planting and check_planting.py.
"""

import ast
import json
import sys
from types import SimpleNamespace

import pytest
import torch
from conftest import ROOT, SCRIPTS, process
from examples import free_question
from safetensors.torch import load_file

import check_planting
from avflow.miniature import TASKS, Trainer, planting, templates, world
from avflow.models import Sequence, build, given_ids, with_reply
from avflow.models.qwen_omni import QwenOmni
from avflow.models.video_salmonn import VideoSalmonn
from avflow.storage import provenance


@pytest.fixture
def smoke(tmp_path, monkeypatch):
    """Run the training with few steps and rows, and return what it printed last."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # tests go on beside it
    options = ["--smoke", "--state", tmp_path / "state", "--out", tmp_path / "checkpoint"]
    return lambda *more: process("train_tiny", *options, *more).stdout.strip().splitlines()[-1]


def logged(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "state/log.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_a_smoke_run_passes_every_stage_and_goes_on_where_it_stopped(tmp_path, smoke):
    assert smoke("--family", "qwen_omni", "--minutes", "0.001") == "to be continued"
    assert smoke("--family", "qwen_omni") == "finished"
    log = logged(tmp_path)
    assert [entry["stage"] for entry in log] == ["words", "align", "blocked", "open"]
    assert log[-1]["total"] == 5
    assert all(0 <= log[-1][task] <= 1 for task in ("hear", "see", "while-hear", "while-see", "image-to-audio"))
    assert len(QwenOmni(tmp_path / "checkpoint", "").decoder.layers) == 12


@pytest.mark.slow
def test_a_stage_of_the_shipped_checkpoint_is_done_again_from_its_first_step(tmp_path, smoke):
    shipped = ROOT / "resources/tiny-salmonn"
    known = [json.loads(line) for line in (shipped / "training.jsonl").read_text().splitlines()]
    assert smoke("--family", "video_salmonn", "--resume", shipped, "--stage", "blocked") == "finished"
    log = logged(tmp_path)
    assert log[:-2] == known and [entry["stage"] for entry in log[-2:]] == ["blocked", "open"]
    assert log[-1]["total"] == known[-1]["total"] + 2 and log[-1]["hear"] > 0.5, "one step forgets little"
    assert len(VideoSalmonn(tmp_path / "checkpoint", "").decoder.layers) == 12


def test_training_imports_only_what_a_bare_gpu_machine_has():
    imported = set()
    for path in provenance.sources(SCRIPTS / "train_tiny.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(node.module.split(".")[0])
    assert imported - set(sys.stdlib_module_names) <= {"avflow", "numpy", "safetensors", "tokenizers", "torch", "transformers"}


@pytest.fixture(scope="module", params=["qwen_omni", "video_salmonn"])
def trainer(request):
    made = Trainer("cpu", 0, request.param)
    made.g.manual_seed(1)
    return made


def test_templates_find_what_varies_in_a_prompt(trainer):
    made = trainer.family.tokenizer
    for task in TASKS:
        t, spec = trainer.templates[task], templates.spec(task)
        words = [made.decode([i]).strip() for i in t.answer_ids]
        assert words == list(spec.answers or world.SOUNDS)
        assert (t.cue_at is not None) == bool(spec.cues)
        assert len(t.claim_at) == 4 * (task == "stated")
    batch = trainer.batch("while-see", 50)
    for row in range(50):
        text = made.decode(batch.ids[row])
        cue = next(c for c in world.COLOURS if f"the {c} shape" in text)
        second = int((batch.pictures.colour[row] == world.COLOURS.index(cue)).int().argmax())
        answer = world.SOUNDS[batch.sounds.sound[row, second]]
        assert f"{world.LETTERS[batch.letter[row]]}. {answer}" in text
        assert batch.target[row].tolist() == made(world.LETTERS[batch.letter[row]])["input_ids"]


def test_a_drawn_question_says_what_was_drawn(trainer):
    made = trainer.family.tokenizer
    stated = trainer.batch("stated", 30)
    for row in range(30):
        sound = world.SOUNDS[stated.sounds.sound[row, (stated.template.answer_ids == stated.word[row]).int().argmax()]]
        ordinal = made.decode(stated.word[row]).strip()
        assert f"{world.LETTERS[stated.letter[row]]}. the {ordinal} audio is a {sound}\n" in made.decode(stated.ids[row])
    free = trainer.batch("describe", 30)
    for row in range(30):
        reply = world.reply(int(free.sounds.sound[row].max()), int(free.pictures.shape[row, 0]))
        assert made.decode(free.target[row]) == reply + "<|im_end|>"
        assert made.decode(free.ids[row]).endswith(f"{world.FREE_TASK.asked()}<|im_end|>\n<|im_start|>assistant\n{reply}")


def test_a_free_question_is_trained_as_the_pipeline_asks_and_scores_it(trainer):
    family, template, question = trainer.family, trainer.templates["describe"], free_question()
    media = {m.id: family.layout.of(m.role, m.index, m.kind, family.clip) for m in question.media}
    prompt = build(question, family.tokenizer, world.SYSTEM_PROMPT, media)
    embeds = trainer.decoder.get_input_embeddings()(prompt.ids)
    sequence = Sequence(question, prompt.ids, embeds, prompt.positions, prompt.spans, prompt.letter_ids, prompt.variant_ids)
    model = SimpleNamespace(decoder=trainer.decoder, max_tokens=None)
    replied = with_reply(model, sequence, given_ids(question, family.tokenizer))
    assert torch.equal(replied.ids, template.ids[:-1]) and torch.equal(replied.positions, template.positions[:, :-1])
    assert int(replied.spans["last"]) == template.answer_at and torch.equal(replied.spans["reply"], template.spans["reply"][:-1])


def test_training_shuts_what_a_task_does_not_plant(trainer):
    hear, see, stated = (trainer.templates[task] for task in ("hear", "see", "stated"))
    assert hear.shut[-1, -1].equal(hear.vision) and see.shut[-1, -1].equal(see.audio)
    shut = lambda t, route: bool(templates.pairs([route], t.spans, len(t.ids)).logical_and(~t.shut).sum() == 0)
    assert shut(stated, "candidates->reference") and shut(stated, "reference->last") and not shut(stated, "reference->options")
    for task in templates.SURE:
        t = trainer.templates[task]
        for route in planting.CARRIES.get(task, ()):
            if "correct" not in route:
                assert not shut(t, route), f"{task} plants {route}"


def test_a_cut_of_nothing_changes_nothing_and_one_of_everything_does(trainer):
    batch = trainer.batch("named", 2)
    embeds = trainer.embeds(batch, *trainer.word_features(batch)).detach()
    clean, _ = check_planting.log_probability(trainer, batch, embeds)
    nothing = torch.zeros(2, embeds.shape[1], embeds.shape[1], dtype=torch.bool)
    assert torch.equal(check_planting.log_probability(trainer, batch, embeds, nothing, range(3))[0], clean)
    cut = templates.pairs(["text->last"], batch.template.spans, embeds.shape[1]).expand(2, -1, -1)
    cut = cut & ~torch.eye(embeds.shape[1], dtype=torch.bool)
    assert (check_planting.log_probability(trainer, batch, embeds, cut, range(12))[0] - clean).abs().min() > 1e-6


@pytest.mark.parametrize("name", ["tiny-omni", "tiny-salmonn"])
def test_training_goes_on_from_a_checkpoint_with_another_vocabulary(name):
    family = {"tiny-omni": "qwen_omni", "tiny-salmonn": "video_salmonn"}[name]
    started = Trainer("cpu", 0, family)
    started.start_from(ROOT / "resources" / name, whole=True)
    found = load_file(ROOT / "resources" / name / "model.safetensors")["model.embed_tokens.weight"]
    old = json.loads((ROOT / "resources" / name / "tokenizer.json").read_text())
    old = {**old["model"]["vocab"], **{t["content"]: t["id"] for t in old["added_tokens"]}}
    for token, i in started.family.tokenizer.get_vocab().items():
        if token in old:
            assert torch.equal(started.decoder.embed_tokens.weight[i], found[old[token]].float()), token

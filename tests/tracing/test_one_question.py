"""One clip, one question: the answer, and the rows of the workflow's own sweep; by hand, by command and in the notebook."""

import json
import math

import nbformat
import pandas as pd
import pytest
from conftest import ROOT, script
from nbclient import NotebookClient

import avflow
from avflow.errors import InputError
from avflow.tracing import Window, one_question, row_schemas

SOUNDS = ["hiss", "tone", "buzz", "chirp"]


def hear(questions, folder, **more):
    """A question of the world, as someone asks it who has the clip: (Question at hand, the world's own)."""
    known = questions["mini_video__hear_0001"]
    clip = folder / "mini-video" / known.media[0].path
    return avflow.question_about(clip, known.question, [o.text for o in known.options], **more), known


@pytest.fixture(scope="module", params=["resources/tiny-omni", "tiny-salmonn"])
def loaded(request):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return avflow.load(request.param, device="cpu")


def test_a_clip_is_answered_and_its_sound_is_what_carries(loaded, questions, world_files):
    question, known = hear(questions, world_files)
    answer, probabilities = avflow.ask(loaded, question)
    assert answer == known.answer and probabilities[answer] > 0.5
    assert 0.99 < sum(probabilities.values()) <= 1 + 1e-6
    rows = avflow.trace(loaded, question)
    assert list(rows.columns) == list(row_schemas.KNOCKOUT.names) and rows.attrs["answer"] == answer
    routes = ["video->question", "audio->question", "question->last", "video->last", "audio->last"]
    assert list(dict.fromkeys(rows["route"])) == ["none", *routes] and set(rows["width"][1:]) == {3}
    left = rows.assign(left=rows["logp_base"].map(math.exp) / rows["p_base_clean"]).groupby("route")["left"].min()
    assert left["audio->question"] < 0.5 and left["video->question"] > 0.9
    assert rows["p_base_clean"].iloc[0] == pytest.approx(probabilities[answer], abs=1e-5)


def test_a_folder_that_config_yaml_names_has_the_settings_given_there(loaded):
    assert loaded.choices.width == 3 and loaded.choices.sampling["max_pixels"] == 3136


def test_a_folder_of_ones_own_has_the_familys_settings(tmp_path):
    (tmp_path / "mine").symlink_to(ROOT / "resources/tiny-omni")
    known = avflow.load(tmp_path / "mine", device="cpu")
    assert known.choices.sampling["max_pixels"] == 3136, "a link to a known folder is that folder"
    copied = tmp_path / "copy"
    copied.mkdir()
    for path in (ROOT / "resources/tiny-omni").iterdir():
        (copied / path.name).symlink_to(path)
    mine = avflow.load(copied, device="cpu")
    assert mine.choices.sampling["max_pixels"] == 602112 and mine.choices.width == 3, "7 of 36 layers"
    assert avflow.load(copied, device="cpu", sampling="omni-56px", window=5).choices.width == 5
    with pytest.raises(InputError, match="sampling 'omni' is not in config.yaml; known: omni-56px"):
        avflow.load(copied, device="cpu", sampling="omni")


def test_the_models_own_answer_counts_unless_one_is_named(loaded, questions, world_files):
    first = [Window(0, 3, 1, "centred", 3)]
    question, known = hear(questions, world_files)
    own = avflow.trace(loaded, question, ["correct_option->last"], first)
    given, _ = hear(questions, world_files, answer=known.answer)
    pd.testing.assert_frame_equal(own, avflow.trace(loaded, given, ["correct_option->last"], first))
    wrong, _ = hear(questions, world_files, answer=next(o.label for o in known.options if o.label != known.answer))
    row = avflow.trace(loaded, wrong, ["correct_option->last"], first).iloc[0]
    assert not row["correct_clean"] and row["margin_clean"] < 0


def test_a_free_question_is_traced_by_its_reply(loaded, world_files):
    clip = next((world_files / "mini-video/media").glob("*.mp4"))
    question = avflow.question_about(clip, "Which sound and which shape are in the clip?")
    text, tokens = avflow.ask(loaded, question)
    assert "".join(token for token, _ in tokens) == text and all(0 < p <= 1 for _, p in tokens)
    rows = avflow.trace(loaded, question, windows=[Window(4, 7, 5, "centred", 3)])
    assert rows.attrs["answer"] == text and "audio->reply" in set(rows["route"])
    assert math.exp(rows["logp_reply_clean"].iloc[0]) == pytest.approx(math.prod(p for _, p in tokens), rel=1e-3)


def test_items_and_single_sounds_and_pictures_are_traced(loaded, questions, world_files):
    known = questions["mini_items__image-to-audio_0001"]
    paths = {m.id: world_files / "mini-items" / m.path for m in known.media}
    candidates = [paths[f"c{i}"] for i in range(1, 5)]
    ordinals = [f"the {word} audio" for word in ("first", "second", "third", "fourth")]
    question = avflow.question_about(candidates, known.question, ordinals, reference=paths["r1"])
    answer, _ = avflow.ask(loaded, question)
    assert next(o.candidate for o in question.options if o.label == answer) == known.correct_candidate
    window = [Window(3, 6, 4, "centred", 3)]
    assert "candidates->reference" in set(avflow.trace(loaded, question, windows=window)["route"])
    heard = avflow.trace(loaded, avflow.question_about(candidates[0], "What is it?", SOUNDS), windows=window)
    seen = avflow.trace(loaded, avflow.question_about(paths["r1"], "What is it?", ["circle", "cross"]), windows=window)
    applicable = lambda rows: set(rows.loc[rows["applicable"], "route"])  # noqa: E731
    assert {"audio->question", "audio->last"} <= applicable(heard) and "video->question" not in applicable(heard)
    assert {"video->question", "video->last"} <= applicable(seen) and "audio->question" not in applicable(seen)


def test_a_clip_that_does_not_fit_into_memory_is_one_line(loaded, questions, world_files, monkeypatch):
    question, _ = hear(questions, world_files)
    features = one_question.encode(loaded, question)
    assert one_question.free_bytes() > 2**20
    monkeypatch.setattr(one_question, "free_bytes", lambda: 2**16)
    for work in (lambda: one_question.encode(loaded, question), lambda: avflow.ask(loaded, question, features)):
        with pytest.raises(
            InputError, match="it needs at least 0.0 GiB of memory, and 0.0 are free; ask about a shorter"
        ) as caught:
            work()
        assert "\n" not in str(caught.value)


def test_the_command_answers_first_and_writes_picture_and_rows(questions, world_files, tmp_path):
    _, known = hear(questions, world_files)
    clip, options = world_files / "mini-video" / known.media[0].path, [x for o in known.options for x in ("--option", o.text)]
    outputs = ["--png", tmp_path / "a.png", "--rows", tmp_path / "a.csv"]
    told = script("trace", clip, known.question, *options, "--model", "resources/tiny-omni", "--device", "cpu", *outputs)
    lines = told.stdout.splitlines()
    right = next(o.text for o in known.options if o.label == known.answer)
    assert lines[0] == f"answer: {known.answer}  {right}" and lines[5].endswith("anything else")
    assert any(line.startswith("    audio->question ") and "\u2588" in line for line in lines)
    assert "as many random keys" in told.stdout and "GiB of memory" in lines[-1] and "120 cuts" in lines[-1]
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    assert len(pd.read_csv(tmp_path / "a.csv")) == 1 + 5 * 12 * 2
    script("trace", clip, known.question, "--model", "tiny-omni", "--device", "cpu", *outputs[:3], tmp_path / "a.parquet")
    assert pd.read_parquet(tmp_path / "a.parquet")["reply_tokens"].notna().all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--rows", "a.txt"], "error: a.txt: its name must end in .parquet or .csv"),
        (["--png", "nowhere/a.png"], "error: nowhere/a.png: there is no folder nowhere; make it first"),
        (["--model", "/tmp"], "error: /tmp is neither a folder with a config.json nor a model of config.yaml; known: tiny-omni"),
        (["--controls", "-1"], "error: --controls -1 is negative"),
        (["--window", "4"], "error: window width 4 must be odd"),
        (["--window", "15"], "error: window width 15 must be odd and between 1 and the model's 12 layers"),
        (["--route", "audio"], "error: route 'audio' is not understood"),
        (["--route", "audio->questoin"], "error: route audio->questoin: span 'questoin' does not exist"),
        (["--device", "cuda"], "error: device cuda: torch sees no GPU; use auto or cpu"),
    ],
)
def test_bad_input_is_one_line(world_files, tmp_path, options, said, monkeypatch):
    import torch

    if "cuda" in options:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    clip = next((world_files / "mini-video/media").glob("*.mp4"))
    given = ["--model", ROOT / "resources/tiny-omni", "--device", "cpu", *options]
    failed = script("trace", clip, "Which?", *given, check=False, cwd=tmp_path)
    assert failed.returncode == 2 and not list(tmp_path.iterdir())
    last = failed.stderr.strip().splitlines()[-1]
    assert last.startswith(said) and "Traceback" not in failed.stderr


@pytest.mark.slow
def test_the_notebook_runs_and_is_committed_without_outputs(tmp_path, monkeypatch):
    path = ROOT / "docs/one_clip.ipynb"
    cells = json.loads(path.read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code and not any(cell["outputs"] or cell["execution_count"] for cell in code)
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    notebook = nbformat.read(path, 4)
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(ROOT / "docs")}}).execute()
    ran = [cell for cell in notebook.cells if cell.cell_type == "code"]
    shown = [output for cell in ran for output in cell.outputs if "data" in output]
    assert any("image/png" in output["data"] for output in shown), "a picture"
    assert any("Answer(answer=" in output["data"].get("text/plain", "") for output in shown)

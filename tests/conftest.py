"""Shared fixtures: the repository, the shipped tiny model, a few questions with their media, made once a test run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "workflow_scripts"
sys.path.insert(0, str(SCRIPTS))
UNIONS = {
    "av_video": {"question": ["instruction", "question_text", "options", "tail"]},
    "items": {"question": ["question_text", "instruction"]},
}


def pytest_collection_modifyitems(items):
    """The whole workflow first: side by side with it, the rest fills what it leaves idle."""
    first = ("test_paper", "test_survival", "test_workflow", "test_training", "test_downloads", "test_conda")
    items.sort(key=lambda item: first.index(item.path.stem) if item.path.stem in first else len(first))


@pytest.fixture(scope="session")
def model():
    """The shipped tiny Qwen2.5-Omni, fp32 on the CPU."""
    import torch

    from avflow.models.qwen_omni import QwenOmni

    torch.set_num_threads(1 if "PYTEST_XDIST_WORKER" in os.environ else 2)
    return QwenOmni(ROOT / "resources/tiny-omni", "You are a helpful assistant.")


@pytest.fixture(scope="session")
def world_files(tmp_path_factory):
    """The miniature's files for six questions a task, as the rule renders them."""
    out = tmp_path_factory.mktemp("datasets")
    shared = ("--questions", "6", "--seed", "0", "--threads", "2")
    tasks = {
        ("mini-video", "av_video"): ("hear", "see", "while-hear", "while-see"),
        ("mini-items", "items"): ("image-to-audio", "audio-to-image"),
    }
    for (dataset, setting), names in tasks.items():
        options = ("--dataset", dataset, "--setting", setting, "--tasks", *names, *shared)
        script("render_miniature", *options, "--out", out / dataset)
    return out


@pytest.fixture(scope="session")
def questions(world_files):
    """Normalised questions of both settings by id, six a task."""
    from avflow.miniature.questions import read_rows

    pool = read_rows(world_files / "mini-video/test.csv", "mini-video", "av_video")
    pool += read_rows(world_files / "mini-items/test.csv", "mini-items", "items")
    return {q.question_id: q for q in pool}


@pytest.fixture(scope="session")
def sequences(model, questions, world_files):
    """question id -> Sequence, through the files: decoded, encoded and laid out."""
    import torch

    from avflow.media import encoder_inputs, files

    def encode(question, item):
        path = world_files / question.dataset / item.path
        if item.kind == "audio":
            return model.encode("audio", audio=torch.from_numpy(files.read_audio(path)))
        if item.kind == "image":
            return model.encode("image", frames=encoder_inputs.resize(torch.from_numpy(files.read_image(path).copy()), 56, 56))
        frames, fps = files.read_frames(path, 2, 768)
        frames, sound = encoder_inputs.resize_video(torch.from_numpy(frames), 56, 56), torch.from_numpy(files.read_audio(path))
        return model.encode("video", frames=frames, audio=sound, fps=fps)

    return {i: model.sequence(q, {m.media_id: encode(q, m) for m in q.media}, UNIONS[q.setting]) for i, q in questions.items()}


def script(name, *arguments, check=True, cwd=ROOT):
    """Run one of workflow_scripts by hand."""
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / f"{name}.py"), *map(str, arguments)], cwd=cwd, capture_output=True, text=True
    )
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done

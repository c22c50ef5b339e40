"""Fixtures of several rooms: the tiny models, a few questions with their media, a copy of the repository, a stand-in hub."""

import contextlib
import importlib
import io
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "workflow_scripts"
sys.path.insert(0, str(SCRIPTS))
UNIONS = {
    "av_video": {"question": ["instruction", "question_text", "options", "tail"]},
    "items": {"question": ["question_text", "instruction"]},
}


# What takes longest goes first: side by side with it, the rest fills what it leaves idle.
FIRST = ("test_workflow", "test_paper", "test_damage", "test_survival", "test_changed_media", "test_training")
FIRST += ("test_download_rules", "test_conda", "test_gpu_devices", "test_gpu_study", "test_own_data")
FIRST += ("test_knockout", "test_added_routes", "test_discards")

# Left out of make test-fast as a whole, like single tests with the mark: they judge all tables, load official models, start
# processes, or cut routes in many ways.
SLOW = ("test_damage", "test_paper_claims", "test_added_routes", "test_discards", "test_deepstack_and_experts", "test_free_jobs")
SLOW += ("test_clip_parts", "test_replies", "test_one_question", "test_real_configs", "test_processor_cases", "test_qwen_omni")
SLOW += ("test_light_transformers", "test_rooms", "test_extreme_tables", "test_docs_pictures", "test_one_clock", "test_fuzz")
SLOW += ("test_av_odyssey", "test_decoded_media", "test_shard_lists", "test_readiness", "test_cut_heads", "test_downloads")
SLOW += ("test_knockout", "test_decoding", "test_av_speakerbench", "test_clips", "test_world", "test_where_panels")
SLOW += ("test_agreement", "test_costs", "test_video_salmonn", "test_distilling")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: FIRST.index(item.path.stem) if item.path.stem in FIRST else len(FIRST))
    for item in items:
        if item.path.stem in SLOW:
            item.add_marker("slow")


class OnDemand(Mapping):
    """Name -> what is made of it, once, when it is first asked for."""

    def __init__(self, names, make):
        self.names, self.make, self.made = list(names), make, {}

    def __getitem__(self, name):
        if name not in self.made:
            self.made[name] = self.make(name)
        return self.made[name]

    def __iter__(self):
        return iter(self.names)

    def __len__(self):
        return len(self.names)


@contextlib.contextmanager
def ours_forgotten():
    """No module of ours is loaded inside, and afterwards those that were before."""
    ours = lambda: [n for n in sys.modules if n.split(".")[0] == "avflow" or (SCRIPTS / f"{n}.py").is_file()]  # noqa: E731
    before = {name: sys.modules.pop(name) for name in ours()}
    try:
        yield
    finally:
        for name in ours():
            del sys.modules[name]
        sys.modules.update(before)


@pytest.fixture(scope="session")
def model():
    """The shipped tiny Qwen2.5-Omni, fp32 on the CPU."""
    import torch

    from avflow.models.qwen_omni import QwenOmni

    torch.set_num_threads(1 if "PYTEST_XDIST_WORKER" in os.environ else 2)
    return QwenOmni(ROOT / "resources/tiny-omni", "You are a helpful assistant.")


@pytest.fixture(scope="session")
def salmonn():
    """The shipped tiny video-SALMONN 2+, fp32 on the CPU."""
    from avflow.models.video_salmonn import VideoSalmonn

    return VideoSalmonn(ROOT / "resources/tiny-salmonn", "You are a helpful assistant.")


@pytest.fixture(scope="session")
def qwen3(tmp_path_factory):
    """A tiny Qwen3-Omni with random weights, fp32 on the CPU."""
    from avflow.miniature import processor_cases

    return processor_cases.random_adapter(tmp_path_factory.mktemp("qwen3"), "qwen3_omni")


@pytest.fixture(scope="session")
def world_files(tmp_path_factory):
    """The miniature's files for six questions a task, as the rule renders them, though in this process."""
    import render_miniature

    out = tmp_path_factory.mktemp("datasets")
    tasks = {
        ("mini-video", "av_video"): ("hear", "see", "while-hear", "while-see", "hear-before", "see-before"),
        ("mini-items", "items"): ("image-to-audio", "audio-to-image", "by-aspect", "stated", "named", "repeated"),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(render_miniature, "render_all", lambda work, jobs, *_: [work(job) for job in jobs])
        for (dataset, setting), names in tasks.items():
            options = ["--dataset", dataset, "--setting", setting, "--tasks", *names, "--questions", "6", "--seed", "0"]
            patch.setattr(sys, "argv", ["render_miniature.py", *options, "--out", str(out / dataset)])
            render_miniature.main()
    return out


@pytest.fixture(scope="session")
def questions(world_files):
    """Normalised questions of both settings by id, six a task."""
    from avflow.miniature.reader import read_rows

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

    def laid_out(name):
        q = questions[name]
        return model.sequence(q, {m.media_id: encode(q, m) for m in q.media}, UNIONS[q.setting])

    return OnDemand(questions, laid_out)


@pytest.fixture(scope="session")
def cases(model, sequences, salmonn, qwen3):
    """name of tracing_cases.CASES -> (model, sequence)."""
    from examples import encoded, items_question, video_question
    from tracing_cases import HEAR, MATCH

    asked = {"clip": video_question(), "items": items_question("image-to-audio")}
    of = lambda family, q: (family, family.sequence(q, encoded(family, q), UNIONS[q.setting]))  # noqa: E731
    made = {f"{n} {kind}": of(family, q) for n, family in (("salmonn", salmonn), ("qwen3", qwen3)) for kind, q in asked.items()}
    return {"omni clip": (model, sequences[HEAR]), "omni items": (model, sequences[MATCH]), **made}


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The tracked files, and those that git would add, in a folder of their own."""
    where = tmp_path_factory.mktemp("copy")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (where / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, where / name)
    return where


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A stand-in for the hub; with neither the token nor the proxies of whoever runs the tests."""
    import huggingface_hub
    from hub_server import Hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    with Hub() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


@pytest.fixture
def pin(hub, tmp_path):
    """A pinned model of two files, config.json and 3 MB of weights."""
    from pinned import pinned

    return pinned(hub, tmp_path)


@pytest.fixture
def evaluated(tmp_path):
    """Ten answers of a model: 3 of 4 right in one task, 1 of 2 in another of the same group, 2 of 4 elsewhere, one no letter."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from table_rows import answer

    from avflow.tracing import row_schemas

    rows = [answer(i, "activity_recognition", "visual_recognition", i < 3) for i in range(4)]
    rows += [answer(4 + i, "attribute_recognition", "visual_recognition", i < 1) for i in range(2)]
    rows += [answer(6 + i, "speech_recognition", "speech_recognition", i < 2, says_letter=i < 3) for i in range(4)]
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.EVALUATE), tmp_path / "e.parquet")
    return tmp_path / "e.parquet"


def script(name, *arguments, check=True, cwd=ROOT):
    """Run one of workflow_scripts by hand, in this process: nothing heavy is loaded a second time."""
    from avflow import cli

    out, err, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.chdir(cwd)
        patch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        patch.setattr(signal, "signal", lambda *_: None)
        try:
            cli.run(importlib.import_module(name).main)
        except SystemExit as end:
            code = end.code or 0
    if check:
        assert code == 0, out.getvalue() + err.getvalue()
    return SimpleNamespace(returncode=code, stdout=out.getvalue(), stderr=err.getvalue())


def process(name, *arguments, check=True, cwd=ROOT):
    """Run one of workflow_scripts by hand, in a process of its own."""
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / f"{name}.py"), *map(str, arguments)], cwd=cwd, capture_output=True, text=True
    )
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done

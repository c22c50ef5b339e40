"""The rooms of the library: each module is tested, imports alone, and offers the names it lists. The public API works.

Also tests avflow.models.families.
"""

import ast
import importlib
import inspect
import os
import subprocess
import sys

import pytest
from conftest import ROOT, SCRIPTS, UNIONS, ours_forgotten

import avflow
from avflow.errors import InputError

LIBRARY = SCRIPTS / "avflow"
MODULES = sorted(path for path in LIBRARY.rglob("*.py") if path.stem != "__init__")
ROOMS = sorted(path.parent.name for path in LIBRARY.glob("*/__init__.py"))
HEAVY = ("torch", "numpy", "pandas", "transformers", "pyarrow", "matplotlib", "av")
PUBLIC = ("Knockout", "MediaItem", "Option", "Question", "Route", "Window", "ask", "draw", "load", "media", "naive")
PUBLIC += ("question_about", "read_questions", "sweep", "trace")


def dotted(path) -> str:
    return ".".join(path.relative_to(SCRIPTS).with_suffix("").parts)


def named_in_docstrings() -> set[str]:
    """Modules that the docstring of a test module names, such as avflow.storage.manifest."""
    found = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        words = (ast.get_docstring(ast.parse(path.read_text())) or "").replace(",", " ").split()
        found |= {word.rstrip(".;:)") for word in words if word.startswith("avflow.")}
    return found


def test_every_module_has_a_test_of_its_name_or_a_test_that_names_it():
    named = named_in_docstrings()
    own = lambda path: ROOT / "tests" / path.relative_to(LIBRARY).parent / f"test_{path.name}"  # noqa: E731
    assert [dotted(path) for path in MODULES if not own(path).is_file() and dotted(path) not in named] == []
    assert named <= set(map(dotted, MODULES)), "a docstring names a module that is gone"


def test_test_modules_stand_in_rooms_and_have_names_of_their_own():
    tests = sorted((ROOT / "tests").rglob("test_*.py"))
    assert {path.parent.name for path in tests} == {"tests", "workflow", "slurm", *ROOMS}
    names = [path.name for path in tests]
    assert [name for name in names if names.count(name) > 1] == []


def test_nothing_that_runs_snakemake_is_a_unit():
    """In fast tests nothing starts a minute of work."""
    units = [path for path in (ROOT / "tests").rglob("*.py") if not {"workflow", "slurm", "conda", "gpu"} & set(path.parts)]
    starts = '"-m", ' + '"snakemake"'
    assert [path.name for path in units if starts in path.read_text()] == ["workflow_runs.py"]


def test_the_root_holds_eight_modules_at_most():
    assert len(list(LIBRARY.glob("*.py"))) <= 8 + 1, "besides __init__"


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_offers_only_names_that_exist_and_says_what_it_is_for(room):
    package = importlib.import_module(f"avflow.{room}")
    assert len(package.__doc__) > 60
    for name in getattr(package, "__all__", ()):
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        package.no_such_name  # noqa: B018


def bare(code, *arguments):
    """What a process with the library on its path prints."""
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_module_imports_alone():
    for name in map(dotted, MODULES):
        with ours_forgotten():
            assert importlib.import_module(name).__doc__, f"{name} does not say what it is for"


@pytest.mark.parametrize("code", ["import avflow", "from avflow.questions import Question", "from avflow import Question"])
def test_the_library_and_a_question_load_nothing_heavy(code):
    loaded = bare(f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}})").split()
    assert "avflow" in loaded and not set(HEAVY) & set(loaded)


# the public API


def test_the_public_names_are_these_and_each_says_what_it_does():
    assert sorted(set(PUBLIC)) == sorted(avflow.__all__)
    assert [name for name in PUBLIC if not (inspect.getdoc(getattr(avflow, name)) or "").strip()] == []
    takes = lambda call: list(inspect.signature(call).parameters)  # noqa: E731
    assert takes(avflow.load)[:3] == ["folder_or_name", "device", "dtype"]
    assert takes(avflow.media.probe)[:2] == ["path", "kind"] and takes(avflow.media.read_audio)[:1] == ["path"]
    assert takes(avflow.media.read_frames)[:3] == ["path", "fps", "max_frames"]
    assert {"read_spread_frames", "read_image", "MediaError"} <= set(avflow.media.__all__)


@pytest.mark.parametrize("name", ["resources/tiny-omni", "tiny-salmonn"])
def test_a_question_is_read_encoded_and_cut_and_both_engines_agree(name, questions, world_files, monkeypatch):
    import torch

    from avflow import Knockout, Route, load, media, naive, read_questions, sweep
    from avflow.media import encoder_inputs
    from avflow.questions import write_questions
    from avflow.tracing import clean_run, knockout, windows

    monkeypatch.chdir(ROOT)
    folder = world_files / "mini-video"
    write_questions([q for q in questions.values() if q.question_id == "mini_video__hear_0001"], folder / "one.jsonl")
    (question,) = read_questions(folder / "one.jsonl")
    model, (clip,) = load(name, device="cpu", dtype="float32", threads=1), question.media
    assert media.probe(folder / clip.path, "video").seconds == pytest.approx(4, abs=0.1)
    spread = "salmonn" in name
    read = media.read_spread_frames(folder / clip.path, 0.1, 16, 16) if spread else media.read_frames(folder / clip.path, 2, 768)
    frames = encoder_inputs.resize_video(torch.from_numpy(read[0]), 56, 56)
    sound = torch.from_numpy(media.read_audio(folder / clip.path))
    sequence = model.sequence(question, {clip.media_id: model.encode("video", frames, sound, read[1])}, UNIONS["av_video"])

    cuts = [Knockout(Route.parse(r), w) for r in ("audio->question", "question->last") for w in windows(12, 3, stride=4)]
    edges = knockout.resolve(sequence, cuts)
    run = clean_run(model, sequence, knockout.first_row(sequence, edges))
    swept, base = sweep(model, sequence, run, cuts, edges, knockout.Plan(1000, {}))
    full, full_base = naive(model, sequence, cuts, edges)
    assert swept.shape == full.shape == (6, model.head.out_features)
    largest = full_base.abs().max()
    assert (swept - full).abs().max() < 1e-5 * largest and (base - full_base).abs().max() < 1e-5 * largest
    assert (full - full_base).abs().max() > 1e-2 * largest, "some cut matters"
    letter = question.options[[int(i) for i in sequence.letter_ids].index(int(base[0].argmax()))].label
    assert letter == question.answer


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        (
            "no-such-model",
            {},
            "no-such-model is neither a folder with a config.json nor a model of config.yaml; known: tiny-omni",
        ),
        (
            "resources/tiny-omni",
            {"family": "bert"},
            "model family 'bert' is unknown; known: qwen_omni, qwen3_omni, ",
        ),
        ("resources/tiny-omni", {"positions": "training"}, "model family qwen_omni takes no positions; leave it out"),
    ],
)
def test_what_cannot_be_loaded_is_one_line(name, options, said, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(InputError) as caught:
        avflow.load(name, device="cpu", **options)
    assert str(caught.value).startswith(said) and "\n" not in str(caught.value)


def test_a_folder_of_an_unknown_kind_is_one_line(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(InputError) as caught:
        avflow.load(tmp_path)
    assert "model_type 'bert' belongs to no known family; give family, one of qwen_omni, qwen3_omni, " in str(caught.value)
    assert "\n" not in str(caught.value)

"""A script's declared sources are exactly what it imports. Only code that can change a number changes the hash."""

import importlib
import os
import shutil
import sys

import pytest
from conftest import SCRIPTS, ours_forgotten

from avflow.models.families import FAMILIES
from avflow.storage import provenance

LOADING = {"extract_features", "evaluate", "knockout", "reliance", "attention", "sufficiency"}
ALL = sorted(p.stem for p in SCRIPTS.glob("*.py"))
LATER = {"questions.decoded_media": ["media.decoding"]}  # module -> what it imports only when it decodes


CASES = [(s, f) for s in ALL for f in (sorted(FAMILIES) if s in LOADING else [None])]


@pytest.mark.parametrize(("script", "family"), CASES)
def test_declared_sources_are_the_real_imports(script, family):
    also = [f"models.{family}"] if family else []
    declared = {str(p) for p in provenance.sources(SCRIPTS / f"{script}.py", *also)} - {str(SCRIPTS / f"{script}.py")}
    with ours_forgotten():
        importlib.import_module(script)
        if family:
            importlib.import_module(f"avflow.models.{family}")
        for name in [name for user, names in LATER.items() if f"avflow.{user}" in sys.modules for name in names]:
            importlib.import_module(f"avflow.{name}")
        real = {module.__file__ for name, module in sys.modules.items() if name.split(".")[0] == "avflow"}
    assert real <= declared, f"imported but not declared: {sorted(real - declared)}"
    assert declared <= real, f"declared but not imported: {sorted(declared - real)}"


@pytest.fixture
def copy(tmp_path, monkeypatch):
    shutil.copytree(SCRIPTS, tmp_path / "scripts")
    monkeypatch.setattr(provenance, "LIBRARY", tmp_path / "scripts" / "avflow")
    return tmp_path / "scripts"


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_comments_and_docstrings_keep_the_hash_and_code_changes_it(copy):
    script = copy / "knockout.py"
    before = provenance.code_hash(script, "models.qwen_omni")
    module = copy / "avflow/tracing/knockout.py"
    module.write_text("# a remark\n" + module.read_text())
    edit(copy / "avflow/tracing/decoder.py", '"""', '"""A new first sentence. ')
    assert provenance.code_hash(script, "models.qwen_omni") == before
    edit(module, "batch: int = 16", "batch: int = 8")
    assert provenance.code_hash(script, "models.qwen_omni") != before


def test_modules_that_cannot_change_a_number_do_not_change_the_hash(copy):
    before = provenance.code_hash(copy / "knockout.py")
    edit(copy / "avflow/cli.py", "every: float = 10.0", "every: float = 5.0")
    assert provenance.code_hash(copy / "knockout.py") == before


def test_a_change_in_the_adapter_changes_the_hash_of_the_scripts_that_load_it(copy):
    before = provenance.code_hash(copy / "evaluate.py", "models.qwen_omni")
    edit(copy / "avflow/models/qwen_omni.py", "inner + 1", "inner + 2")
    assert provenance.code_hash(copy / "evaluate.py", "models.qwen_omni") != before


def test_evaluation_does_not_depend_on_knockout_code():
    names = {p.stem for p in provenance.sources(SCRIPTS / "evaluate.py", "models.qwen_omni")}
    assert not names & {"knockout", "interventions", "route_panels", "statistics"}


def test_a_folders_state_sees_what_its_date_does_not(tmp_path):
    """Files that are overwritten, replaced by an older one or one of the same size and date, added below, or deleted."""
    folder = tmp_path / "media"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.wav", "sub/b.wav"):
        (folder / name).write_bytes(b"1234")
        os.utime(folder / name, (1000, 1000))
    states = [provenance.folder_state(folder)]

    def changed() -> bool:
        states.append(provenance.folder_state(folder))
        assert provenance.folder_state(folder) == states[-1], "it is the same as long as nothing changes"
        return states[-1] not in states[:-1]

    os.utime(folder, (5, 5))
    assert not changed(), "the folder's own date does not count"
    (folder / "a.wav").write_bytes(b"4321")
    os.utime(folder / "a.wav", (1000, 1000))
    assert changed()
    (tmp_path / "other.wav").write_bytes(b"5678")
    os.utime(tmp_path / "other.wav", (10, 10))
    os.replace(tmp_path / "other.wav", folder / "a.wav")
    assert changed()
    (tmp_path / "other.wav").write_bytes(b"5555")
    os.utime(tmp_path / "other.wav", (10, 10))
    os.replace(tmp_path / "other.wav", folder / "a.wav")
    assert changed()
    (folder / "sub/notes.txt").touch()
    assert changed()
    os.rename(folder / "sub/notes.txt", folder / "sub/words.txt")
    assert changed()
    (folder / "sub/b.wav").unlink()
    assert changed()
    (folder / "results").mkdir()
    (folder / "results/own.txt").touch()
    assert provenance.folder_state(folder, [folder / "results"]) == states[-1]


def test_a_folders_state_follows_links_and_ends_in_a_loop(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk/clip.mp4").write_bytes(b"1")
    (tmp_path / "media").mkdir()
    (tmp_path / "media/disk").symlink_to(tmp_path / "disk")
    (tmp_path / "media/again").symlink_to(tmp_path / "media")
    (tmp_path / "media/nothing").symlink_to(tmp_path / "gone")
    (tmp_path / os.fsdecode(b"media/\xff.mp4")).write_bytes(b"1")
    before = provenance.folder_state(tmp_path / "media")
    (tmp_path / "disk/clip.mp4").write_bytes(b"22")
    assert provenance.folder_state(tmp_path / "media") != before

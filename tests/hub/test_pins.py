"""A pin records what the hub reports, stays until the branch moves, and is refused when it is damaged."""

import json

import pytest
import yaml
from conftest import ROOT
from hub_server import blob_id
from pinned import BIG, CARD, FILES, OTHER, get, pinned

import pin as pin_script
from avflow.errors import InputError
from avflow.hub import fetch
from avflow.hub.pins import matches, read_pin


def test_a_pin_says_what_the_hub_says_and_nothing_else(hub, tmp_path, capsys):
    commit = hub.add("model", "owner/tiny", FILES, card=CARD, gated="manual")
    target = {"repo": "owner/tiny", "repo_type": "model", "licence": "apache-2.0"}
    pin_script.pin("tiny", target, tmp_path)
    said = json.loads((tmp_path / "tiny.json").read_text())
    assert said == {
        "repo": "owner/tiny",
        "repo_type": "model",
        "revision": commit,
        "licence": "qwen-research",
        "gated": "manual",
        "files": [
            {"path": "config.json", "size": 2, "blob": blob_id(b"{}")},
            {"path": "model.safetensors", "size": 3_000_000, "sha256": fetch.hashlib.sha256(BIG).hexdigest()},
        ],
    }
    told = capsys.readouterr().out
    assert f"owner/tiny at {commit} (new), 2 files, 3.0 MB" in told and "expects the licence 'apache-2.0'" in told
    assert "accept the terms at https://huggingface.co/owner/tiny and set HF_TOKEN" in told
    assert not hub.contents()


def test_pinning_again_changes_nothing_until_the_branch_moves(hub, pin, tmp_path, capsys):
    before = (tmp_path / "tiny.json").read_bytes()
    pin_script.pin("tiny", {"repo": "owner/tiny", "repo_type": "model"}, tmp_path)
    assert (tmp_path / "tiny.json").read_bytes() == before and "(unchanged)" in capsys.readouterr().out
    moved = hub.add("model", "owner/tiny", {**FILES, "config.json": b'{"a": 1}'})
    pin_script.pin("tiny", {"repo": "owner/tiny", "repo_type": "model"}, tmp_path)
    assert f"at {moved} (was {pin.revision}, with other files)" in capsys.readouterr().out
    hub.add("model", "owner/tiny", {**FILES, "config.json": b'{"a": 1}', "README.md": b"# new"})
    pin_script.pin("tiny", {"repo": "owner/tiny", "repo_type": "model"}, tmp_path)
    assert f"(was {moved}, with the same files)" in capsys.readouterr().out
    assert (get(pin, tmp_path) / "config.json").read_bytes() == b"{}"  # the old pin still is the old commit


def test_a_dataset_is_pinned_by_its_patterns_at_the_branch_that_config_names(hub, tmp_path):
    hub.add("dataset", "owner/clips", {"test.csv": b"old"})
    files = {"test.csv": b"a,b", "clips_1.zip": OTHER, "sounds_1.zip": OTHER, "more/clips_2.zip": OTHER}
    commit = hub.add("dataset", "owner/clips", files, branch="v2")
    target = {"repo": "owner/clips", "repo_type": "dataset", "revision": "v2", "files": ["test.csv", "clips_*.zip"]}
    pin_script.pin("clips", target, tmp_path)
    pin = read_pin(tmp_path / "clips.json")
    assert pin.revision == commit and [f.path for f in pin.files] == ["clips_1.zip", "test.csv"]
    assert matches("data/a.zip", "data/*.zip") and not matches("data/a.zip", "*.zip")
    assert (get(pin, tmp_path) / "clips_1.zip").read_bytes() == OTHER


SHARDS = {"config.json": b"{}", "model-00001-of-00003.safetensors": OTHER, "model-00003-of-00003.safetensors": BIG}


@pytest.mark.parametrize(
    ("files", "patterns", "message"),
    [
        (FILES, ["test_*.csv"], "tiny: no file matches 'test_*.csv' in revision {commit}, which holds README.md, config.json, "),
        (
            {"README.md": b"#"},
            None,
            "tiny: no file matches 'config.json' in revision {commit}, which holds README.md; correct repo",
        ),
        ({"config.json": b"{}"}, None, "tiny: no file matches '*.safetensors' in revision {commit}"),
        (SHARDS, None, "tiny: model-00002-of-00003.safetensors is missing from the repository (the other names say 3 shards)"),
        ({**FILES, "manifest.json": b"{}"}, None, "tiny: the repository holds a file named manifest.json"),
    ],
)
def test_a_repository_without_what_is_needed_is_not_pinned(hub, tmp_path, files, patterns, message):
    commit = hub.add("model", "owner/tiny", files)
    with pytest.raises(InputError) as error:
        pinned(hub, tmp_path, files, patterns=patterns)
    assert str(error.value).startswith(message.format(commit=commit)) and not (tmp_path / "tiny.json").exists()


def test_an_unpinned_or_damaged_pin_is_refused_with_the_remedy(tmp_path, pin):
    whole = json.loads((tmp_path / "tiny.json").read_text())
    broken = {
        "owner/tiny is not pinned (revision is null)": {**whole, "revision": None, "files": None},
        "revision is 'main', not a commit": {**whole, "revision": "main"},
        "config.json needs one of sha256 and blob": {**whole, "files": [{"path": "config.json", "size": 2}]},
        "'../x' would leave its folder": {**whole, "files": [{"path": "../x", "size": 2, "blob": "0" * 40}]},
        "'gated' is missing": {k: v for k, v in whole.items() if k != "gated"},
    }
    for message, content in broken.items():
        (tmp_path / "bad.json").write_text(json.dumps(content))
        with pytest.raises(InputError) as error:
            read_pin(tmp_path / "bad.json")
        assert message in str(error.value) and "run: snakemake pin --config study=paper (on a networked" in str(error.value)
    with pytest.raises(InputError, match="none.json does not exist; run: snakemake pin"):
        read_pin(tmp_path / "none.json")


def test_every_shipped_pin_belongs_to_the_repository_in_the_configuration():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    entries = {name: ("model", m["repo"]) for name, m in config["models"].items() if "repo" in m}
    entries |= {name: ("dataset", d["repo"]) for name, d in config["datasets"].items() if "repo" in d}
    pins = {p.stem: json.loads(p.read_text()) for p in (ROOT / "resources/pins").glob("*.json")}
    assert {name: (p["repo_type"], p["repo"]) for name, p in pins.items()} == entries and len(pins) == 8
    for name, said in pins.items():
        if said["revision"] is None:
            assert said["files"] is None
            with pytest.raises(InputError, match="is not pinned"):
                read_pin(ROOT / f"resources/pins/{name}.json")
        else:
            assert read_pin(ROOT / f"resources/pins/{name}.json").files

"""`make archive`: the tables of a study in one zip, with all that its reader needs. The version stands in one place."""

import csv
import hashlib
import io
import json
import re
import shutil
import subprocess
import zipfile

import pandas as pd
import pytest
import yaml
from conftest import ROOT, script

CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())
NAME = f"avflow-{CITATION['version']}-miniature"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A finished study, as the shipped tables have it, with files that do not belong in an archive."""
    where = tmp_path_factory.mktemp("results") / "miniature"
    shutil.copytree(ROOT / "figures/shipped", where)
    (where / "tables/tab1.csv").write_text("model,accuracy\ntiny-omni,99\n")
    (where / "tables/tab1.html").write_text("<p>")
    (where / "tables/evaluate.parquet.part").write_text("half")
    return where


def archived(results, out, *options):
    done = script("archive", "--results", results, "--study", "miniature", "--out", out, *options, cwd=out)
    return done, zipfile.ZipFile(out / f"{NAME}.zip")


def test_the_archive_holds_the_tables_and_says_what_they_are(results, tmp_path):
    done, packed = archived(results, tmp_path)
    names = [name.removeprefix(f"{NAME}/") for name in packed.namelist()]
    assert f"{len(names)} files" in done.stdout and packed.testzip() is None
    assert {"README.md", "COLUMNS.md", "CITATION.cff", "LICENSE", "config/config.yaml", "files.csv", "tables/tab1.csv"} <= set(
        names
    )
    assert "questions/mini-video.dropped.tsv" in names
    assert not [name for name in names if name.endswith((".html", ".part", ".jsonl", ".safetensors"))]
    read = lambda name: packed.read(f"{NAME}/{name}")
    shipped = pd.read_parquet(ROOT / "figures/shipped/tables/evaluate.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(read("tables/evaluate.parquet"))), shipped)
    listed = {row["path"]: row for row in csv.DictReader(io.StringIO(read("files.csv").decode()))}
    assert listed.keys() == set(names) - {"files.csv"}
    for name, row in listed.items():
        assert row["sha256"] == hashlib.sha256(read(name)).hexdigest() and int(row["bytes"]) == len(read(name)), name
    assert listed["tables/evaluate.parquet"]["rows"] == str(len(shipped))
    guide, columns = read("README.md").decode(), read("COLUMNS.md").decode()
    assert f"avflow {CITATION['version']}" in guide and "* mini-video" in guide and "tiny-omni" in guide
    assert columns.startswith("# Tables and their columns") and "`logp_base`" in columns


def test_the_metadata_are_what_an_upload_needs(results, tmp_path):
    archived(results, tmp_path)
    about = json.loads((tmp_path / f"{NAME}.zenodo.json").read_text())["metadata"]
    assert about["upload_type"] == "dataset" and about["version"] == CITATION["version"] and about["license"] == "apache-2.0"
    assert all(author["name"] for author in about["creators"]) and about["title"].endswith("tables of the study miniature")
    assert about["related_identifiers"][0]["identifier"].endswith("2606.10147")


def test_the_same_tables_give_the_same_bytes_and_others_do_not(results, tmp_path):
    sums = []
    for n, text in enumerate(("99", "99", "98")):
        (results / "tables/tab1.csv").write_text(f"model,accuracy\ntiny-omni,{text}\n")
        (tmp_path / str(n)).mkdir()
        archived(results, tmp_path / str(n))
        sums.append(hashlib.sha256((tmp_path / str(n) / f"{NAME}.zip").read_bytes()).hexdigest())
    assert sums[0] == sums[1] != sums[2]


def test_sources_and_licences_of_the_papers_data_are_named(results, tmp_path):
    import archive
    from avflow.places import completed

    models, datasets = archive.described(completed({}), "paper")
    assert "qwen2.5-omni-3b, huggingface.co/Qwen/Qwen2.5-Omni-3B, qwen-research" in models
    assert "* av_speakerbench, huggingface.co/datasets/plnguyen2908/AV-SpeakerBench, cc-by-nc-4.0" in datasets


def test_a_study_of_ones_own_brings_its_configuration(results, tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump({"datasets": {"mini-video": {"licence": "made-up-2.0"}}}))
    _, packed = archived(results, tmp_path, "--changes", mine)
    assert packed.read(f"{NAME}/config/1_mine.yaml") == mine.read_bytes()
    assert "* mini-video, made-up-2.0" in packed.read(f"{NAME}/README.md").decode()


@pytest.mark.parametrize(
    ("study", "said"),
    [("miniature", "tables holds no tables of a finished study; run snakemake --cores all"), ("mine", "--study mine: not in")],
)
def test_without_tables_or_study_one_line_says_what_to_do(study, said, tmp_path):
    done = script("archive", "--results", tmp_path, "--study", study, "--out", tmp_path / "out", check=False)
    assert done.returncode == 2 and said in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_the_version_stands_in_one_place_and_heads_the_changelog():
    released = re.findall(r"^## (\d\S*) - (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert released[0] == (CITATION["version"], CITATION["date-released"])
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.splitlines()
    code = [ROOT / name for name in tracked if name.endswith((".py", ".toml", ".smk", ".sh")) or name == "Makefile"]
    version = rf'^\W*(__)?version(__)?"?\W*[=:]\s*["\']?{re.escape(CITATION["version"])}\b'
    assert [path.name for path in code if re.search(version, path.read_text(), re.MULTILINE)] == []

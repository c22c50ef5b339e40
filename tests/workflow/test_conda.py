"""`--sdm conda`: what the environments hold. Snakemake makes them from a local channel and runs rules in them."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
import yaml
from conda import channel
from conftest import ROOT

ENVIRONMENTS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((ROOT / "envs").glob("*.yaml"))}
HASH = " --hash=sha256:"


def locked(name) -> dict[str, str]:
    """Package -> its line in a lock, with its hashes."""
    joined = (ROOT / name).read_text().replace(" \\\n    ", " ")
    return {line.split("==")[0]: line for line in joined.splitlines() if "==" in line}


def from_conda(name) -> dict[str, str]:
    """Package -> version of what an environment takes from conda-forge."""
    listed = (re.fullmatch(r"([a-z0-9-]+) =([0-9.]+)", d) for d in ENVIRONMENTS[name]["dependencies"] if isinstance(d, str))
    return dict(entry.groups() for entry in listed)  # fails on a version that is not exact


def wheels(name) -> dict[str, str]:
    (listed,) = (d["pip"] for d in ENVIRONMENTS[name]["dependencies"] if isinstance(d, dict))
    return {wheel.split("==")[0]: wheel for wheel in listed}


@pytest.mark.parametrize("name", ["data", "figures", "models"])
def test_every_package_has_the_version_and_the_hashes_of_the_lock(name):
    assert ENVIRONMENTS[name].keys() == {"channels", "dependencies"} and ENVIRONMENTS[name]["channels"] == ["conda-forge"]
    assert from_conda(name).keys() == {"python", "pip"} and re.fullmatch(r"3\.11\.\d+", from_conda(name)["python"])
    cuda, known = locked("cuda.lock"), {**locked("requirements.lock"), **locked("cuda.lock")}
    assert len(wheels(name)) > 40 and wheels(name) == {package: known[package] for package in wheels(name)}
    assert all(HASH in wheel for wheel in wheels(name).values()), "pip checks hashes only if every package has one"
    assert ("torch" in wheels(name)) == (name != "figures") == (cuda.keys() <= wheels(name).keys())


def test_there_are_three_environments_and_the_docs_list_each_as_pinned():
    assert sorted(ENVIRONMENTS) == ["data", "figures", "models"] and not list((ROOT / "envs").glob("*.pin.txt"))
    for page in ("README.md", "docs/environments.md"):
        rows = re.findall(r"^\| `(\w+)` \|.*\| yes \|$", (ROOT / page).read_text(), re.MULTILINE)
        assert sorted(rows) == ["data", "figures", "models"], page


# ---- with a channel in a folder, and a stand-in for the command ----

RULE = """

rule tried_{name}:
    output:
        "tried/{name}.txt",
    log:
        "tried/{name}.log",
    conda:
        "../envs/{name}.yaml"
    shell:
        "python -c 'import sys, tiny as m; print(sys.prefix, m.__version__, m.__file__)' > {{output}} 2> {{log}}"
"""
TINY = """\
channels: [conda-forge]
dependencies:
  - python ={python}
  - pip ={pip}
  - pip:
      - tiny==1.5 --hash=sha256:{digest}
"""


def write_wheel(folder, needs="", name="tiny") -> str:
    """Write version 1.5 of a package with one module. needs: a package that it requires. Returns the wheel's hash."""
    path = folder / f"{name}-1.5-py3-none-any.whl"
    required = f"Requires-Dist: {needs}\n" if needs else ""
    about = f"{name}-1.5.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", "__version__ = '1.5'\n")
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n{required}")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", f"{name}.py,,\n")
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """What the rules need, with two rules more; and a function that runs a command there with conda on the PATH."""
    where, shop = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("shop")
    for name in ("Snakefile", "config.yaml", "rules", "schemas", "workflow_scripts", "figures", "envs", "profiles"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, where / name)
    for name in ("resources", "report", "benchmarks"):
        (where / name).symlink_to(ROOT / name)
    needs = from_conda("models")
    address = channel.make(shop, **needs)
    digest = write_wheel(shop)
    for name, given in (("tiny", digest), ("damaged", f"{int(digest, 16) ^ 1:064x}")):
        (where / f"envs/{name}.yaml").write_text(TINY.format(**needs, digest=given))
    with open(where / "rules/figures.smk", "a") as rules:
        rules.write(RULE.format(name="tiny") + RULE.format(name="damaged"))
    settings = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "CONDA_", "VIRTUAL_ENV"))}
    settings |= {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(shop),
        "CONDA_CHANNEL_ALIAS": address,
        "RATTLER_CACHE_DIR": str(shop / "cache"),
    }
    settings |= {"PATH": f"{ROOT}/tests/conda/bin:/usr/bin:/bin", "CONDA_STANDIN_PYTHON": sys.executable}

    def run(*names):
        targets = [f"tried/{name}.txt" for name in names]
        command = [sys.executable, "-m", "snakemake", *targets, "--cores", "2", "--sdm", "conda"]
        return subprocess.run(command, cwd=where, env=settings, capture_output=True, text=True)

    return where, run


def test_snakemake_makes_an_environment_and_runs_a_rule_in_it(copy):
    where, run = copy
    done = run("tiny")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (done.stdout + done.stderr).count("Creating conda environment envs/tiny.yaml") == 1
    prefix, version, file = (where / "tried/tiny.txt").read_text().split()
    assert prefix.startswith(f"{where}/.snakemake/conda/") and file.startswith(prefix) and version == "1.5"


def test_a_wheel_with_another_hash_is_refused(copy):
    where, run = copy
    done = run("damaged")
    assert done.returncode != 0 and not (where / "tried/damaged.txt").exists()
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in done.stdout + done.stderr

"""Setting up: exact versions, no addresses, and a clear line where a machine lacks something."""

import ast
import functools
import json
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata

import pytest
import yaml
from conftest import ROOT
from packaging.requirements import Requirement

LOCKS = ("requirements.lock", "constraints.lock")


@pytest.mark.parametrize("name", LOCKS)
def test_every_version_is_exact_and_no_address_is_in_the_file(name):
    lines = [line for line in (ROOT / name).read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9.-]*==[0-9][0-9a-z.]*( ; python_version >= '3.12')?", line) for line in lines), name
    assert "://" not in (ROOT / name).read_text() and "+cpu" not in (ROOT / name).read_text()


def test_the_lock_holds_what_the_project_asks_for_and_no_torchvision():
    locked = dict(
        line.split(" ;")[0].split("==") for line in (ROOT / "requirements.lock").read_text().splitlines() if "==" in line
    )
    wanted = [line.partition("#")[0].strip() for line in (ROOT / "requirements.in").read_text().splitlines()]
    for asked in map(Requirement, filter(None, wanted)):
        assert asked.name in locked and asked.specifier.contains(locked[asked.name])
    assert locked["snakemake"] == "9.27.1" and locked["torch"] == "2.13.0" and locked["transformers"] == "5.17.0"
    assert "torchvision" not in locked


def test_conda_environments_are_what_the_lock_says():
    done = subprocess.run([sys.executable, ROOT / "envs/update.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    for path in (ROOT / "envs").glob("*.yaml"):
        entries = re.findall(r"^ +- (.+)$", path.read_text(), re.MULTILINE)
        assert all(re.fullmatch(r"conda-forge|pip:|[a-z0-9.-]+ =[0-9.]+|[a-z0-9.-]+==[0-9a-z.]+", e) for e in entries), path.name


distributions = functools.cache(metadata.packages_distributions)


def rules():
    """(rule, script or notebook, environment) of every rule with a shell command; a rule of many figures once for each."""
    for path in sorted((ROOT / "rules").glob("*.smk")):
        for text in re.split(r"^rule ", path.read_text(), flags=re.MULTILINE)[1:]:
            environment = re.search(r'conda:\s+"\.\./envs/(\w+)\.yaml"', text)
            for kind in ("script", "notebook"):
                found = re.search(rf'^        {kind}=(?:ancient\()?"([^"]+)"', text, re.MULTILINE)
                for source in sources(found[1].removeprefix("<repo>")) if environment and found else []:
                    yield text.split(":")[0], source, environment[1]


def sources(path):
    """The path itself, or the notebooks of all figures if the path is figures/{figure}.ipynb."""
    return [str(p.relative_to(ROOT)) for p in sorted((ROOT / "figures").glob("*.ipynb"))] if "{figure}" in path else [path]


def test_every_rule_but_those_that_only_name_targets_has_an_environment_that_exists():
    found = {rule: environment for rule, _, environment in rules()}
    for path in sorted((ROOT / "rules").glob("*.smk")):
        for text in re.split(r"^rule ", path.read_text(), flags=re.MULTILINE)[1:]:
            name, computes = text.split(":")[0], "    shell:" in text
            assert (name in found) == computes, f"{path.name}: {name} has no script, no notebook or no environment"
    assert set(found.values()) == {p.stem for p in (ROOT / "envs").glob("*.yaml")} and len(found) > 30


@pytest.mark.parametrize(("rule", "source", "environment"), list(rules()))
def test_an_environment_holds_what_its_rules_import(rule, source, environment):
    from avflow.questions import readers
    from avflow.storage import provenance

    path = ROOT / source
    if path.suffix == ".ipynb":
        cells = json.loads(path.read_text())["cells"]
        texts = ["\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")]
        texts += [p.read_text() for p in provenance.notebook_sources(path)]
    else:
        also = ["models.qwen_omni", "models.video_salmonn"] if environment == "models" else []
        also += readers.MODULES.values() if path.stem == "prepare" else []
        texts = [p.read_text() for p in provenance.sources(path, *also)]
    names = set()
    for text in texts:
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                names |= {n.name.split(".")[0] for n in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.split(".")[0])
    needed = {distributions()[n][0].lower().replace("_", "-") for n in names - {"avflow"} if n not in sys.stdlib_module_names}
    held = set(re.findall(r"- ([a-z0-9.-]+) ?=", (ROOT / f"envs/{environment}.yaml").read_text()))
    held = {"torch" if name == "pytorch-gpu" else name for name in held}
    if environment == "models":  # decord is read on request, and its absence is one line; soundfile writes the miniature
        needed -= {"decord", "soundfile"}
    assert needed <= held, f"{rule} imports {sorted(needed - held)}, which envs/{environment}.yaml lacks"


def setup(tmp_path, **environment):
    for name in ("setup.sh", *LOCKS):
        shutil.copy(ROOT / name, tmp_path)
    done = subprocess.run(["sh", "setup.sh"], cwd=tmp_path, capture_output=True, text=True, env={**os.environ, **environment})
    assert done.returncode != 0 and not (tmp_path / ".venv").exists()
    return done.stderr


def test_a_missing_or_wrong_python_is_named_with_the_remedy(tmp_path):
    assert "python9 was not found; install Python 3.11 or 3.12, or run: PYTHON=" in setup(tmp_path, PYTHON="python9")
    fake = tmp_path / "fake"
    fake.write_text("#!/bin/sh\necho 3.8\n")
    fake.chmod(0o755)
    assert "is Python 3.8, but 3.11 or 3.12 is needed; run: PYTHON=" in setup(tmp_path, PYTHON=str(fake))


def test_a_full_disk_is_noticed_before_anything_is_installed(tmp_path):
    assert re.search(
        r"\d+ MB are free here, but the environment needs about 99999999 MB",
        setup(tmp_path, PYTHON=sys.executable, NEED_MB="99999999"),
    )


def test_a_failed_installation_leaves_nothing_half_made(tmp_path):
    for name in ("setup.sh", "constraints.lock"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "requirements.lock").write_text("no-such-package-of-this-name==1.0\n")
    environment = {**os.environ, "PYTHON": sys.executable, "PIP_NO_INDEX": "1"}
    done = subprocess.run(["sh", "setup.sh"], cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode != 0 and ".venv is removed: fix the cause" in done.stderr and not (tmp_path / ".venv").exists()


def test_ci_lints_and_the_catalog_says_how_the_workflow_is_used():
    makefile, catalog = (ROOT / "Makefile").read_text(), (ROOT / ".snakemake-workflow-catalog.yml").read_text()
    for target in ("lint", "docs", "test", "test-slurm"):
        assert re.search(rf"^make.* {target}( |$)", (ROOT / ".ci/run").read_text(), re.MULTILINE), target
    linters = makefile.split("\nlint:")[1].split("\n\n")[0]
    for command in ("ruff check .", "ruff format --check .", "snakefmt --check Snakefile rules", "$(SNAKEMAKE) --lint"):
        assert f"{command}\n" in f"{linters}\n"
    usage = yaml.safe_load(catalog)["usage"]
    assert usage == {"software-stack-deployment": {"conda": True}, "report": True}
    assert 'report: "report/workflow.rst"' in (ROOT / "Snakefile").read_text()


def test_files_in_git_are_small():
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True).stdout.split("\0")
    if tracked != [""]:
        large = [f for f in tracked if f and (ROOT / f).is_file() and (ROOT / f).stat().st_size > 1 << 20]
        assert all(f.startswith(("resources/tiny-", "tests/data/", "figures/shipped/")) for f in large), large
        assert sum((ROOT / f).stat().st_size for f in tracked if f.startswith("figures/shipped/")) < 6 << 20

"""Setting up: exact versions, no addresses, and a clear line where a machine lacks something."""

import ast
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from packaging.requirements import Requirement
from test_conda import write_wheel

LOCKS = ("requirements.lock", "cuda.lock")
ENTRY = r"[a-z0-9][a-z0-9.-]*==[0-9][0-9a-z.]*( ; python_version [=>]= '3\.1[23]')?( \\\n    --hash=sha256:[0-9a-f]{64})+\n"


@pytest.mark.parametrize("name", LOCKS)
def test_every_version_is_exact_and_hashed_and_no_address_is_in_the_file(name):
    head, text = (ROOT / name).read_text().split("\n", 1)
    assert head.startswith("# ") and re.fullmatch(f"({ENTRY})+", text), name
    assert "://" not in text and "+cpu" not in text


def locked():
    return dict(re.findall(r"^([a-z0-9.-]+)==([^ ]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))


def test_the_lock_holds_what_the_project_asks_for_and_no_torchvision():
    wanted = [line.partition("#")[0].strip() for line in (ROOT / "requirements.in").read_text().splitlines()]
    for asked in map(Requirement, filter(None, wanted)):
        assert asked.name in locked() and asked.specifier.contains(locked()[asked.name])
    assert locked()["snakemake"] == "9.27.1" and locked()["torch"] == "2.13.0" and locked()["transformers"] == "5.17.0"
    assert "torchvision" not in locked()


def test_the_lock_is_whole_for_this_python():
    """pip installs the lock without looking for dependencies; what an installed package of the lock needs must be in it."""
    text = (ROOT / "requirements.lock").read_text() + (ROOT / "cuda.lock").read_text()
    held = set(re.findall(r"^([a-z0-9.-]+)==", text, re.MULTILINE))
    for name in locked():
        for needed in map(Requirement, metadata.requires(name) or [] if name in installed() else []):
            if not needed.marker or needed.marker.evaluate({"extra": ""}):
                assert re.sub(r"[-_.]+", "-", needed.name).lower() in held, f"{name} needs {needed.name}"


@functools.cache
def installed():
    return {re.sub(r"[-_.]+", "-", found.name).lower() for found in metadata.distributions()}


def test_both_builds_of_torch_have_their_hashes_for_every_python():
    from lock import PYTHONS, TORCH_CPU

    (entry,) = re.findall(r"^torch==.*\n(?:    --hash.*\n)+", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    hashes = set(re.findall(r"[0-9a-f]{64}", entry))
    assert len(hashes) == 2 * len(PYTHONS) and set(TORCH_CPU[locked()["torch"]]) < hashes


@pytest.mark.parametrize(
    ("file", "fit"),
    [
        ("a-1-py3-none-any.whl", {11, 12, 13}),
        ("a-1-py2.py3-none-any.whl", {11, 12, 13}),
        ("a-1-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", {12}),
        ("a-1-cp312-abi3-manylinux_2_17_x86_64.whl", {12, 13}),
        ("a-1-cp39-abi3-manylinux_2_17_x86_64.whl", {11, 12, 13}),
        ("a-1-py3-none-manylinux2010_x86_64.whl", {11, 12, 13}),
        ("a-1-cp313-cp313t-manylinux_2_17_x86_64.whl", set()),
        ("a-1-cp312-cp312-musllinux_1_2_x86_64.whl", set()),
        ("a-1-cp312-cp312-manylinux_2_17_aarch64.whl", set()),
        ("a-1-cp312-cp312-win_amd64.whl", set()),
        ("a-1-pp311-pypy311_pp73-manylinux_2_17_x86_64.whl", set()),
    ],
)
def test_the_lock_takes_the_wheels_that_pip_would(file, fit):
    from lock import PYTHONS, fits

    assert {minor for minor in PYTHONS if fits(file, minor)} == fit


def test_markers_of_the_lock_are_those_of_its_pythons():
    from lock import hashes, marker_of, needed_by

    assert needed_by({}) == [11, 12, 13] and marker_of([11, 12, 13]) == ""
    assert needed_by({"marker": "python_full_version >= '3.13'"}) == [13]
    assert needed_by({"marker": "python_full_version == '3.12.*'"}) == [12]
    assert needed_by({"marker": "sys_platform == 'win32'"}) == []
    assert marker_of([13]) == " ; python_version >= '3.13'" and marker_of([12]) == " ; python_version == '3.12'"
    source = {"name": "a", "version": "1", "sdist": {"hashes": {"sha256": "s"}}}
    wheel = {"url": "x/a-1-cp312-cp312-manylinux_2_17_x86_64.whl", "hashes": {"sha256": "w"}}
    assert hashes({**source, "wheels": [wheel]}, [12]) == ["w"] and hashes({**source, "wheels": [wheel]}, [12, 13]) == ["s", "w"]


def test_conda_environments_are_what_the_locks_say():
    done = subprocess.run([sys.executable, ROOT / "envs/update.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    for path in (ROOT / "envs").glob("*.yaml"):
        entries = re.findall(r"^ +- (.+)$", path.read_text(), re.MULTILINE)
        wheel = r"[a-z0-9.-]+==[0-9a-z.]+( --hash=sha256:[0-9a-f]{64})+"
        assert all(re.fullmatch(rf"conda-forge|pip:|(python|pip) =[0-9.]+|{wheel}", e) for e in entries), path.name


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
    assert needed <= held, f"{rule} imports {sorted(needed - held)}, which envs/{environment}.yaml lacks"


def setup(tmp_path, **environment):
    for name in ("setup.sh", *LOCKS):
        shutil.copy(ROOT / name, tmp_path)
    done = subprocess.run(["sh", "setup.sh"], cwd=tmp_path, capture_output=True, text=True, env={**os.environ, **environment})
    assert done.returncode != 0 and not (tmp_path / ".venv").exists()
    return done.stderr


def interpreter(folder, name, version):
    """A stand-in for an interpreter that says its version."""
    (folder / name).write_text(f"#!/bin/sh\necho {version}\n")
    (folder / name).chmod(0o755)
    return folder / name


def test_a_missing_or_wrong_python_is_named_with_those_that_will_do(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bin").mkdir()
    bare = f"{tmp_path}/empty:{tools(tmp_path)}"
    none = "setup: Python 3.11, 3.12 or 3.13 will do, and none is on the PATH; install one, or run: PYTHON=/path/to/python3.12"
    said = setup(tmp_path, PYTHON="python9", PATH=bare)
    assert "setup: python9 was not found\n" in said and none in said
    for version in ("3.10", "3.14"):
        said = setup(tmp_path, PYTHON=str(interpreter(tmp_path, "fake", version)), PATH=bare)
        assert f"fake is Python {version}\n" in said and none in said
    interpreter(tmp_path / "bin", "python3.13", "3.13")
    interpreter(tmp_path / "bin", "python3.12", "3.12")
    (tmp_path / "bin/python3.11").write_text("#!/bin/sh\nexit 127\n")  # as pyenv leaves for versions that are not chosen
    (tmp_path / "bin/python3.11").chmod(0o755)
    said = setup(tmp_path, PYTHON="python9", PATH=f"{tmp_path}/bin:{bare}")
    assert "3.13 will do, and these are here: python3.13 python3.12; run: make PYTHON=python3.12" in said
    broken = tmp_path / "bin/python3.11"
    assert "python3.11 is Python that does not run" in setup(tmp_path, PYTHON=str(broken), PATH=bare)


def tools(tmp_path):
    """A folder with the few commands that setup.sh calls, and no Python."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in ("sh", "uname", "df", "awk", "sed", "rm", "cat"):
        (folder / name).symlink_to(shutil.which(name))
    return folder


def test_a_machine_for_which_no_wheels_are_locked_is_named(tmp_path):
    (tmp_path / "bin").mkdir()
    interpreter(tmp_path / "bin", "uname", "Linux aarch64")
    said = setup(tmp_path, PYTHON=sys.executable, PATH=f"{tmp_path}/bin:{os.environ['PATH']}")
    assert "this is Linux aarch64, but the locked packages are for Linux x86_64" in said


def test_a_full_disk_is_noticed_before_anything_is_installed(tmp_path):
    assert re.search(
        r"\d+ MB are free here, but the environment needs about 99999999 MB",
        setup(tmp_path, PYTHON=sys.executable, NEED_MB="99999999"),
    )


def quick(tmp_path, packages):
    """This interpreter, but its `-m venv` takes all packages, pip too, from a folder, instead of installing pip for seconds."""
    path = tmp_path / "quick"
    path.write_text(
        f'#!/bin/sh\n[ "$1" = -m ] || exec "{sys.executable}" "$@"\n"{sys.executable}" -m venv --without-pip "$3"\n'
        f'echo "{packages}" > "$("$3/bin/python" -c "import sysconfig; print(sysconfig.get_path(\'purelib\'))")/here.pth"\n'
    )
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def shop(tmp_path):
    """A folder of wheels: torch, which is installed first, and whatever a test adds."""
    (tmp_path / "shop").mkdir()
    return tmp_path / "shop"


@pytest.fixture
def attempt(tmp_path, shop):
    """A function that runs setup.sh with another lock, and with the shop for an index; it fails and leaves nothing half made.

    lock: package -> its hash, or None.
    """
    shutil.copy(ROOT / "setup.sh", tmp_path)
    (tmp_path / "cuda.lock").write_text("# none\n")
    (tmp_path / "only").mkdir()
    (tmp_path / "only/pip").symlink_to(Path(sysconfig.get_path("purelib")) / "pip")

    def attempt(lock, **environment):
        hashed = lambda digest: f" \\\n    --hash=sha256:{digest}" if digest else ""
        lines = [f"{name}==1.5{hashed(digest)}\n" for name, digest in lock.items()]
        (tmp_path / "requirements.lock").write_text("".join(lines))
        settings = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "TORCH_"))}
        settings |= {"PYTHON": quick(tmp_path, tmp_path / "only"), "PIP_CONFIG_FILE": os.devnull}
        settings |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(shop), **environment}
        done = subprocess.run(["sh", "setup.sh"], cwd=tmp_path, capture_output=True, text=True, env=settings)
        assert done.returncode != 0 and ".venv is removed: fix the cause" in done.stderr and not (tmp_path / ".venv").exists()
        return done.stderr

    return attempt


def test_a_failed_installation_leaves_nothing_half_made(attempt, shop):
    said = attempt({"torch": write_wheel(shop, name="torch"), "no-such-package-of-this-name": "0" * 64})
    assert "No matching distribution found for no-such-package-of-this-name==1.5" in said
    assert "setup: installing failed, see above" in said


def test_a_package_without_a_hash_is_refused(attempt, shop):
    write_wheel(shop)
    said = attempt({"tiny": None, "torch": write_wheel(shop, name="torch")})
    assert "Hashes are required in --require-hashes mode" in said and "setup: installing failed" in said


def test_another_build_of_torch_is_refused_wherever_it_comes_from_and_the_remedy_named(attempt, shop):
    write_wheel(shop, name="torch")
    said = attempt({"tiny": "1" * 64, "torch": "0" * 64, "zzz": "1" * 64})
    remedy = "see above; with TORCH_HASHES=ignore, its hash is not checked"
    assert "DO NOT MATCH THE HASHES" in said and f"torch==1.5 was not installed, {remedy}" in said
    (shop / "torch").mkdir()
    wheel = (shop / "torch-1.5-py3-none-any.whl").rename(shop / "torch/torch-1.5-py3-none-any.whl")
    (shop / "torch/index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>')
    said = attempt({"torch": "0" * 64}, TORCH_INDEX=shop.as_uri(), PIP_NO_INDEX="0")
    assert "DO NOT MATCH THE HASHES" in said and f"torch==1.5 was not installed from {shop.as_uri()}, {remedy}" in said


def test_packages_that_do_not_fit_together_are_an_error(attempt, shop):
    lock = {"tiny": write_wheel(shop, needs="no-such-package-of-this-name"), "torch": write_wheel(shop, name="torch")}
    assert "tiny 1.5 requires no-such-package-of-this-name, which is not installed" in attempt(lock)


def test_the_image_is_built_from_the_locks_and_leaves_out_what_git_ignores(tmp_path):
    from update import PYTHON

    steps = [line.split(maxsplit=1) for line in (ROOT / "Dockerfile").read_text().splitlines() if line and line[0] != "#"]
    kinds = [kind for kind, _ in steps]
    assert steps[0] == ["FROM", f"python:{PYTHON}-slim-bookworm"], "the Python of the conda environments"
    copied, run = steps[kinds.index("COPY")][1].split()[:-1], steps[kinds.index("RUN")][1]
    assert set(copied) == {"setup.sh", *LOCKS} and "sh setup.sh" in run and kinds.index("RUN") > kinds.index("COPY")
    for name in copied:
        shutil.copy(ROOT / name, tmp_path / name)
    whole = quick(tmp_path, sysconfig.get_path("purelib"))  # the packages of this environment are taken for installed
    settings = {**os.environ, "PYTHON": whole, "PIP_NO_INDEX": "1", "TORCH_HASHES": "ignore"}
    done = subprocess.run(["sh", "setup.sh"], cwd=tmp_path, capture_output=True, text=True, env=settings)
    assert done.returncode == 0 and (tmp_path / ".venv/ready").exists(), f"it has all that it reads\n{done.stderr}"
    folders = {line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines() if line.startswith("/")}
    left_out = set((ROOT / ".dockerignore").read_text().splitlines())
    assert folders | {".git"} <= left_out and "ENTRYPOINT" in kinds and "USER" not in kinds


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

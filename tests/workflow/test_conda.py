"""`--sdm conda`: what the environments hold. Snakemake makes them from a local channel and runs rules in them."""

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
LOCKED = dict(re.findall(r"^([a-z0-9.-]+)==(\S+)$", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
CUDA = re.search(r'CUDA = "linux-64", "([0-9.]+)"', (ROOT / "envs/pin.py").read_text())[1]
MODULES = {"pytorch-gpu": "torch"}  # a package of conda-forge -> the module it holds, where that has another name


def forged(name) -> dict[str, str]:
    """Package -> version of what an environment takes from conda-forge."""
    listed = (re.fullmatch(r"([a-z0-9-]+) =([0-9.]+)", d) for d in ENVIRONMENTS[name]["dependencies"] if isinstance(d, str))
    return dict(entry.groups() for entry in listed)  # fails on a version that is not exact


def wheels(name) -> list[str]:
    return [wheel for d in ENVIRONMENTS[name]["dependencies"] if isinstance(d, dict) for wheel in d["pip"]]


def test_every_version_is_exact_and_the_locks():
    assert sorted(ENVIRONMENTS) == ["data", "figures", "models"]
    for name, asked in ENVIRONMENTS.items():
        assert asked.keys() == {"channels", "dependencies"} and asked["channels"] == ["conda-forge"]
        pins = {MODULES.get(package, package): version for package, version in forged(name).items()}
        assert re.fullmatch(r"3\.11\.\d+", pins.pop("python")) and ("pip" in pins) == bool(wheels(name))
        pins.pop("pip", None)
        pins |= dict(wheel.split("==") for wheel in wheels(name))
        assert len(pins) >= 6 and pins == {package: LOCKED[package] for package in pins}, name
    assert "pytorch-gpu" in forged("models") and not wheels("models")


def test_an_environment_has_a_pin_file_or_a_pip_section_and_the_docs_say_which_were_solved():
    docs = (ROOT / "docs/environments.md").read_text()
    for name in ENVIRONMENTS:
        pin = ROOT / f"envs/{name}.linux-64.pin.txt"
        assert not (wheels(name) and pin.exists()), f"{name}: Snakemake would skip its pip section"
        for package, version in forged(name).items() if pin.exists() else ():
            assert f"/{package}-{version}-" in pin.read_text(), f"{pin.name} lacks {package} {version}; make pins"
        solved = {True: "not needed", False: "yes" if pin.exists() else "not yet"}[bool(wheels(name))]
        assert re.search(rf"^\| `{name}` \|.*\| {solved} \|$", docs, re.MULTILINE), (
            f"docs/environments.md: {name} is solved: {solved}"
        )


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
        "python -c 'import sys, {module} as m; print(sys.prefix, m.__version__, m.__file__)' > {{output}} 2> {{log}}"
"""
TINY = "channels: [conda-forge]\ndependencies:\n  - python ={python}\n  - pip ={pip}\n  - pip:\n      - tiny==1.5\n"


def write_wheel(folder):
    """tiny 1.5, a wheel of one module."""
    with zipfile.ZipFile(folder / "tiny-1.5-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny.py", "__version__ = '1.5'\n")
        wheel.writestr("tiny-1.5.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.5\n")
        wheel.writestr("tiny-1.5.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("tiny-1.5.dist-info/RECORD", "tiny.py,,\n")


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """What the rules need, with two rules more; and a function that runs a command there with conda on the PATH."""
    where, shop = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("shop")
    for name in ("Snakefile", "config.yaml", "rules", "schemas", "workflow_scripts", "figures", "envs", "profiles", "Makefile"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, where / name)
    for name in ("resources", "report", "benchmarks"):
        (where / name).symlink_to(ROOT / name)
    needs = forged("models")
    stubs = {name: (version, MODULES.get(name, name).replace("-", "_")) for name, version in needs.items() if name != "python"}
    address = channel.make(shop, needs["python"], forged("data")["pip"], stubs)
    write_wheel(shop)
    (where / "envs/tiny.yaml").write_text(TINY.format(python=needs["python"], pip=forged("data")["pip"]))
    with open(where / "rules/figures.smk", "a") as rules:
        rules.write(RULE.format(name="models", module="torch") + RULE.format(name="tiny", module="tiny"))
    settings = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "CONDA_", "VIRTUAL_ENV"))}
    settings |= {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(shop),
        "CONDA_CHANNEL_ALIAS": address,
        "RATTLER_CACHE_DIR": str(shop / "cache"),
    }
    settings |= {"PATH": f"{ROOT}/tests/conda/bin:/usr/bin:/bin", "CONDA_STANDIN_PYTHON": sys.executable}

    def run(*command):
        return subprocess.run(command, cwd=where, env=settings, capture_output=True, text=True)

    return where, run


def tried(copy, *names):
    """Run the rules in their environments; returns what Snakemake said, and folder, version and file that each rule met."""
    where, run = copy
    shutil.rmtree(where / "tried", ignore_errors=True)
    done = run(sys.executable, "-m", "snakemake", *(f"tried/{name}.txt" for name in names), "--cores", "2", "--sdm", "conda")
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said, [(where / f"tried/{name}.txt").read_text().split() for name in names]


def test_snakemake_makes_the_environments_and_runs_rules_in_them(copy):
    where, _ = copy
    said, found = tried(copy, "models", "tiny")
    assert said.count("Creating conda environment envs/") == 2
    for (prefix, version, file), wanted in zip(found, (LOCKED["torch"], "1.5")):
        assert prefix.startswith(f"{where}/.snakemake/conda/") and file.startswith(prefix) and version == wanted
    assert found[0][0] != found[1][0]


def test_pins_are_made_of_what_conda_forge_alone_gives_and_taken_by_snakemake(copy):
    where, run = copy
    done = run(sys.executable, "envs/pin.py")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (where / "envs").glob("*.txt")] == ["models.linux-64.pin.txt"]
    pin = where / "envs/models.linux-64.pin.txt"
    lines = pin.read_text().splitlines()
    packages = [re.search(r"/([a-z-]+)-([0-9.]+)-0\.tar\.bz2#[0-9a-f]{32}$", line).groups() for line in lines[2:]]
    assert lines[1] == "@EXPLICIT" and dict(packages) == forged("models")

    environment = where / "envs/models.yaml"
    shipped = environment.read_text()
    try:  # what only the pin file still gives
        environment.write_text(re.sub(r"pytorch-gpu =\S+", "pytorch-gpu =0.0", shipped))
        said, ((prefix, version, _),) = tried(copy, "models")
        assert version == LOCKED["torch"] and "Failed to install" not in said and "Trying regular" not in said
        refused = run(sys.executable, "envs/pin.py")
        assert refused.returncode == 1 and "No candidates were found for pytorch-gpu 0.0" in refused.stderr
        assert pin.read_text().splitlines() == lines
    finally:
        environment.write_text(shipped)
        pin.unlink()


def test_without_conda_pinning_says_what_to_install(copy):
    where, _ = copy
    done = subprocess.run([sys.executable, "envs/pin.py"], cwd=where, env={"PATH": ""}, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "error: conda is not on the PATH; install Miniforge, or use a machine that has conda\n"


def test_the_dockerfile_makes_every_environment_for_a_gpu(copy):
    where, run = copy
    done = run("make", "--old-file", ".venv/ready", "Dockerfile", f"SNAKEMAKE={sys.executable} -m snakemake")
    assert done.returncode == 0, done.stderr
    lines = (where / "Dockerfile").read_text().splitlines()
    assert lines[0].startswith("FROM condaforge/miniforge3") and lines[1] == f"ENV CONDA_OVERRIDE_CUDA={CUDA}"
    made = dict(
        m.groups() for m in map(re.compile(r"COPY envs/(\w+)\.yaml (/conda-envs/\w{32})/environment\.yaml").match, lines) if m
    )
    assert made.keys() == {*ENVIRONMENTS, "tiny"} and not (where / "Dockerfile.part").exists()
    commands = [re.fullmatch(r"(?:RUN | +)conda env create --prefix (\S+) --file (\S+) && \\", line) for line in lines]
    assert {c[1]: c[2] for c in commands if c} == {prefix: f"{prefix}/environment.yaml" for prefix in made.values()}
    for name in ENVIRONMENTS:
        assert {f"#   {line}" for line in (ROOT / f"envs/{name}.yaml").read_text().splitlines()} <= set(lines)

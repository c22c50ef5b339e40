"""A command that is handed to a loaded process runs and ends as it would by itself."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from conftest import ROOT, SCRIPTS
from workflow_runs import loaded_process, preloaded

SCRIPT = """
import os, sys
import avflow
print("torch" in sys.modules, avflow.here, sys.argv[1:], os.getcwd(), os.environ["TOLD"], sys.stdin.read())
"""


def start(where, *command, settings=None, **pipes):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **pipes}
    settings = {**os.environ, **(settings or preloaded()), "TOLD": "so"}
    return subprocess.Popen([sys.executable, *command], cwd=where, env=settings, text=True, **pipes)


def written(where, more):
    """A script of a name that the server knows, with a package of its own."""
    (where / "workflow_scripts").mkdir()
    (where / "workflow_scripts/avflow.py").write_text("here = __file__\n")
    (where / "workflow_scripts/gather.py").write_text(SCRIPT + more)
    return "workflow_scripts/gather.py", "a", "b c"


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        ("", 0, ""),
        ("sys.exit(3)", 3, ""),
        ("sys.exit('no')", 1, "no\n"),
        ("raise OSError('lost')", 1, "OSError: lost\n"),
        ("os.kill(os.getpid(), 9)", -9, ""),
    ],
)
def test_a_script_sees_its_own_modules_arguments_folder_and_settings_and_ends_as_it_wants(tmp_path, end, code, said):
    command = written(tmp_path, "sys.stdout.flush()\n" + end)
    running = start(tmp_path, *command)
    out, error = running.communicate("given")
    assert out == f"True {tmp_path}/workflow_scripts/avflow.py ['a', 'b c'] {tmp_path} so given\n"
    assert running.returncode == code and error.endswith(said) and bool(error) == bool(said)


BUILDS = f"""
import sys
before = set(sys.modules)
sys.path[0] = {str(SCRIPTS)!r}
from avflow.media import sound
from avflow.models import families
families.load(sys.argv[1], device="cpu")
import librosa
librosa.resample
new = [name for name in set(sys.modules) - before if name.split(".")[0] in ("sympy", "librosa", "numba", "scipy")]
print("torch" in before, new)
"""


@pytest.mark.parametrize("name", ["tiny-omni", "tiny-salmonn"])
def test_a_model_and_a_decoder_find_what_they_import_late(tmp_path, name):
    script = tmp_path / written(tmp_path, "")[0]
    script.write_text(BUILDS)
    out, error = start(tmp_path, script, ROOT / "resources" / name).communicate("")
    assert out == "True []\n", error


def test_other_scripts_start_as_usual(tmp_path):
    command = written(tmp_path, "")
    (tmp_path / command[0]).rename(tmp_path / "workflow_scripts/other.py")
    running = start(tmp_path, "workflow_scripts/other.py")
    assert running.communicate("")[0].startswith("False ") and running.returncode == 0


def listening(connection: dict) -> bool:
    with socket.socket() as one:
        return one.connect_ex((connection["ip"], connection["shell_port"])) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_what_was_handed_over(tmp_path, number):
    path = tmp_path / "connection.json"
    running = start(tmp_path, "-m", "ipykernel_launcher", "-f", path, stdin=subprocess.DEVNULL)
    while not (path.is_file() and path.stat().st_size and listening(connection := json.loads(path.read_text()))):
        time.sleep(0.05)
    running.send_signal(number)
    assert running.wait(30) == -number
    end = time.monotonic() + 30
    while listening(connection) and time.monotonic() < end:
        time.sleep(0.05)
    assert not listening(connection)
    running.communicate()


def test_another_python_starts_as_usual(tmp_path):
    other = preloaded() | {"PRELOADED": "/other" + preloaded()["PRELOADED"]}
    running = start(tmp_path, *written(tmp_path, ""), settings=other)
    assert running.communicate("")[0].startswith("False ") and running.returncode == 0


@pytest.mark.parametrize("name", ["gather", "other"])
def test_ones_own_sitecustomize_is_loaded_as_well(tmp_path, name):
    written(tmp_path, "print(sys.own)\n")
    (tmp_path / "workflow_scripts/gather.py").rename(tmp_path / f"workflow_scripts/{name}.py")
    (tmp_path / "own").mkdir()
    (tmp_path / "own/sitecustomize.py").write_text("import sys\nsys.own = 'loaded', sys.orig_argv[1:]\n")
    settings = preloaded() | {"PYTHONPATH": f"{preloaded()['PYTHONPATH']}{os.pathsep}{tmp_path / 'own'}"}
    running = start(tmp_path, f"workflow_scripts/{name}.py", settings=settings)
    out, _ = running.communicate("")
    assert out.startswith(f"{name == 'gather'} ") and out.endswith(f"('loaded', ['workflow_scripts/{name}.py'])\n")


WAITS = """
sys.stdout.flush()
while not os.path.exists("go"):
    __import__("time").sleep(0.05)
print("went")
"""


def test_what_runs_goes_on_if_snakemake_is_gone_but_not_without_the_server(tmp_path):
    command = written(tmp_path, WAITS)
    server, settings = loaded_process()
    running = start(tmp_path, *command, settings=settings)
    running.stdin.close()
    assert running.stdout.readline().startswith("True ")
    server.stdin.close()
    (tmp_path / "go").touch()
    assert running.stdout.read() == "went\n" and running.wait(30) == 0 and server.wait(30) == 0
    (tmp_path / "go").unlink()
    server, settings = loaded_process()
    running = start(tmp_path, *command, settings=settings)
    running.stdin.close()
    assert running.stdout.readline().startswith("True ")
    server.kill()
    assert running.wait(30) == 1
    (tmp_path / "go").touch()
    assert running.stdout.read() == ""


class Asked:
    """What rules/preloaded.smk asks of Snakemake and the study."""

    local_exec, deployment_settings, models = True, SimpleNamespace(deployment_method=set()), ["one"]

    def __init__(self, jobs=8, gpus=0, **others):
        self.dag = SimpleNamespace(needrun_jobs=lambda: range(jobs))
        self.gpus = gpus
        vars(self).update(others)

    def model(self, name):
        return {"gpus": self.gpus}


def rule(asked: Asked) -> dict:
    made = {"workflow": asked, "study": asked, "places": SimpleNamespace(REPOSITORY=ROOT), "os": os, "sys": sys}
    exec((ROOT / "rules/preloaded.smk").read_text(), made)
    return made


CONDA = SimpleNamespace(deployment_method={"conda"})


@pytest.mark.parametrize(
    ("asked", "settings", "worth"),
    [
        ({}, {}, True),
        ({"jobs": 7}, {}, False),
        ({"gpus": 1}, {}, False),
        ({"local_exec": False}, {}, False),
        ({"deployment_settings": CONDA}, {}, False),
        ({}, {"AVFLOW_PRELOAD": "no"}, False),
        ({}, {"PRELOADED": "already"}, False),
    ],
)
def test_packages_are_loaded_once_for_many_jobs_on_this_machine(monkeypatch, asked, settings, worth):
    for name in ("AVFLOW_PRELOAD", "PRELOADED"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert rule(Asked(**asked))["worth_preloading"]() is worth


@pytest.mark.parametrize("loaded", [True, False])
def test_a_run_starts_the_process_and_ends_it(tmp_path, loaded):
    """Also if the run ends before the process has loaded."""
    own = {**os.environ, "PYTHONPATH": f"{ROOT / 'tests'}{os.pathsep}{ROOT / 'tests/workflow'}"}
    command = written(tmp_path, "")
    code = f"""
import os, subprocess, sys, time
from test_preloaded import Asked, rule
rule(Asked())["preload"]()
socket = os.environ["PRELOADED"].partition(":")[2]
print(os.path.dirname(socket), flush=True)
while {loaded} and not os.path.exists(socket):
    time.sleep(0.05)
told = {{**os.environ, "TOLD": "so"}}
sys.exit(subprocess.run([sys.executable, {command[0]!r}], env=told, stdin=subprocess.DEVNULL).returncode)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=own, capture_output=True, text=True)
    folder, said = done.stdout.splitlines()
    assert said.startswith(f"{loaded} ") and done.returncode == 0, done.stderr
    assert not os.path.exists(folder)

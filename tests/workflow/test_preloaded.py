"""A command that is handed to a loaded process runs and ends as it would by itself."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from workflow_runs import preloaded

SCRIPT = """
import os, sys
import avflow
print("torch" in sys.modules, avflow.here, sys.argv[1:], os.getcwd(), os.environ["TOLD"], sys.stdin.read())
"""


def start(where, *command, **pipes):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **pipes}
    settings = {**os.environ, **preloaded(), "TOLD": "so"}
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

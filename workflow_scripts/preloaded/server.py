"""A Python that has loaded what the workflow's scripts import, and runs every command that it is told in a fork of itself.

    python workflow_scripts/preloaded/server.py SOCKET [MODULE ..] < PIPE

A job of a small study computes for some seconds, and would import for two. sitecustomize.py hands commands over. Our own modules
are forgotten again, so every fork loads those of its own copy of the repository. MODULE: more to load. Once PIPE is closed, takes
no more commands, waits for those that still run, ends, and removes the folder of SOCKET. If it is killed, so are its forks, and
Snakemake tries their jobs again.
"""

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import selectors
import shutil
import signal
import socket
import sys
import threading
from pathlib import Path

import sitecustomize
from sitecustomize import SCRIPTS

SOURCES = Path(__file__).resolve().parents[1]
FAMILIES = ("avflow.models.qwen_omni", "avflow.models.video_salmonn")
NOTEBOOKS = ("ipykernel.kernelapp", "matplotlib.pyplot", "matplotlib.backends.backend_pdf", "fontTools.subset")
# What packages import only when a model is built, sound is resampled, or a table is read in parts.
LATER = ("torch.fx.experimental.symbolic_shapes", "librosa.core.audio", "pyarrow.dataset")
PR_SET_PDEATHSIG = 1  # of Linux: the signal that a process gets when its parent ends


def load(modules: list[str]) -> None:
    """Import the scripts, so that the packages which they need are there, and what notebooks need, and `modules`."""
    sys.path.insert(0, str(SOURCES))
    for name in (*SCRIPTS, *FAMILIES, *NOTEBOOKS, *LATER, *modules):
        importlib.import_module(name)
    importlib.import_module("transformers.conversion_mapping").get_checkpoint_conversion_mapping("")  # it lists all once
    sys.path.remove(str(SOURCES))
    for name in [*sys.modules]:
        if name in SCRIPTS or name.split(".")[0] == "avflow":
            del sys.modules[name]
    gc.collect()
    gc.freeze()


class Server:
    """Forks for every client, and tells it how its child ended."""

    def __init__(self, path: str):
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(path)
        self.listening.listen(64)
        print("ready", flush=True)
        self.woken, self.wake = os.pipe()
        os.set_blocking(self.wake, False)
        signal.set_wakeup_fd(self.wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.events = selectors.DefaultSelector()
        for source in (0, self.woken, self.listening):
            self.events.register(source, selectors.EVENT_READ)
        self.clients = {}  # child -> its client's connection

    def next_command(self) -> dict | None:
        """What a client asks for, in the fork that is to run it. None in the server, once stdin is closed and all forks ended."""
        while self.listening or self.clients:
            for key, _ in self.events.select():
                if key.fileobj == 0:
                    self.stop_listening()
                elif key.fileobj == self.woken:
                    os.read(self.woken, 4096)
                    self.tell_how_children_ended()
                elif key.fileobj is self.listening:
                    if told := self.fork():
                        return told
                else:
                    self.kill_whose_client_is_gone(key.fileobj)
        return None

    def stop_listening(self) -> None:
        for source in (0, self.listening):
            self.events.unregister(source)
        self.listening.close()
        self.listening = None

    def fork(self) -> dict | None:
        client, _ = self.listening.accept()
        text, files, *_ = socket.recv_fds(client, 1 << 16, 3)
        while not text.endswith(b"\n"):
            text += client.recv(1 << 16)
        if child := os.fork():
            self.clients[child] = client
            self.events.register(client, selectors.EVENT_READ)
            client.sendall(b"%d\n" % child)
            for file in files:
                os.close(file)
            return None
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.events.close()
        for connection in (self.listening, client, *self.clients.values()):
            connection.close()
        os.close(self.woken)
        os.close(self.wake)
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        return json.loads(text)

    def tell_how_children_ended(self) -> None:
        """Exit codes, negative for signals."""
        while self.clients:
            child, status = os.waitpid(-1, os.WNOHANG)
            if not child:
                return
            client = self.clients.pop(child)
            with contextlib.suppress(KeyError):  # it is gone
                self.events.unregister(client)
            with contextlib.suppress(OSError):
                client.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
            client.close()

    def kill_whose_client_is_gone(self, client: socket.socket) -> None:
        for child in [child for child, other in self.clients.items() if other is client]:  # none if it ended just before
            self.events.unregister(client)
            os.kill(child, signal.SIGKILL)


def run(told: dict) -> int:
    """Run a command as Python would. Returns its exit code."""
    os.chdir(told["folder"])
    os.environ.clear()
    os.environ.update(told["environment"])
    sys.orig_argv, command = told["command"], told["command"][1:]
    module = command[0] == "-m"
    sys.argv = command[module:]
    sys.path = [told["folder"] if module else str(Path(command[0]).resolve().parent), *told["path"]]
    sitecustomize.load_the_next()
    try:
        if module:
            runpy.run_module(command[1], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(command[0], run_name="__main__")
    except SystemExit as end:
        if end.code is not None and not isinstance(end.code, int):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else end.code is not None
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for Snakemake, which then ends its jobs
    load(sys.argv[2:])
    told = Server(sys.argv[1]).next_command()
    if told is None:
        shutil.rmtree(Path(sys.argv[1]).parent)
    else:
        code = run(told)
        threading._shutdown()  # what Python does at its end, without taking thousands of modules apart
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

"""Let a starting Python hand its command to server.py, which has loaded what it would import.

Python loads a module of this name at its start if PYTHONPATH has its folder. Only commands that the server knows are handed over,
only by the Python that the server runs in, and only while PRELOADED names its socket. All others start as usual, and so do all if
the server cannot be reached.
"""

import os
import sys

SCRIPTS = ("attention", "claims", "discard_layers", "discard_sweep", "evaluate", "explorer", "extract_features", "gather")
SCRIPTS += ("knockout", "prepare", "preprocess_media", "pruning", "reliance", "render_miniature", "resample", "run_notebook")
SCRIPTS += ("sufficiency", "tab1", "tab4", "table_page", "task_table")
MODULES = ("snakemake", "ipykernel_launcher")


def known(command: list[str]) -> bool:
    """Whether the server can run what stands behind `python`."""
    if command[:1] == ["-m"]:
        return command[1] in MODULES
    folder, name = os.path.split(command[0] if command else "")
    return os.path.basename(folder) == "workflow_scripts" and name.removesuffix(".py") in SCRIPTS


def hand_over(path: str) -> None:
    """Have the command run with this process's files, folder and settings, and end as it does. Returns if there is no server."""
    import json
    import socket

    server = socket.socket(socket.AF_UNIX)
    try:
        server.connect(path)
    except OSError:
        return
    told = {"command": sys.orig_argv, "folder": os.getcwd(), "environment": dict(os.environ), "path": sys.path}
    socket.send_fds(server, [json.dumps(told).encode() + b"\n"], [0, 1, 2])
    try:
        end_as(server.makefile())
    finally:
        os._exit(1)  # the server is gone; the command must not run twice


def end_as(answers) -> None:
    """Pass signals on to the process of which the server tells, and end with its exit code, or by its signal."""
    import signal

    child = int(answers.readline())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: os.kill(child, number))
    code = int(answers.readline())
    if code >= 0:
        os._exit(code)
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)


def load_the_next() -> None:
    """Load the module of this name that Python would have loaded without this one, if there is one."""
    from importlib.machinery import PathFinder

    here = os.path.dirname(os.path.abspath(__file__))
    found = PathFinder.find_spec("sitecustomize", [folder for folder in sys.path if os.path.abspath(folder) != here])
    if found:
        from importlib.util import module_from_spec

        found.loader.exec_module(module_from_spec(found))


if __name__ == "sitecustomize":
    prefix, _, socket_path = os.environ.get("PRELOADED", "").partition(":")
    if socket_path and prefix == sys.prefix and known(sys.orig_argv[1:]):
        hand_over(socket_path)
    load_the_next()

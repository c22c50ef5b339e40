"""Let a study's jobs on this machine start as forks of one process that has loaded their packages.

Importing takes a job two seconds, and many a job of the miniature takes no longer for the rest. The process loads while the first
jobs run, which start as usual, and ends with the run. See workflow_scripts/preloaded. AVFLOW_PRELOAD=no does without, and so does
a run of few jobs, on a cluster, under conda or a container, or of a model on a GPU.
"""

import atexit
import itertools
import shutil
import subprocess
import tempfile

ENOUGH = 8  # jobs from which on loading pays


def worth_preloading() -> bool:
    """Whether the run has enough jobs that start here, in this Python, without a GPU."""
    jobs = itertools.islice(workflow.dag.needrun_jobs(), ENOUGH)
    here = sys.platform == "linux" and workflow.local_exec and not workflow.deployment_settings.deployment_method
    wanted = os.environ.get("AVFLOW_PRELOAD") != "no" and "PRELOADED" not in os.environ
    return wanted and here and len(list(jobs)) == ENOUGH and not any(study.model(name)["gpus"] for name in study.models)


def preload():
    """Start the process, and tell jobs by their environment how to reach it."""
    folder = places.REPOSITORY / "workflow_scripts" / "preloaded"
    socket = f"{tempfile.mkdtemp(prefix='preloaded')}/socket"
    own = os.environ.get("PYTHONPATH")
    os.environ.update(PYTHONPATH=f"{folder}{os.pathsep}{own}" if own else str(folder))
    # A fork loses its parent's threads, so the process starts none.
    settings = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    command = [sys.executable, folder / "server.py", socket]
    server = subprocess.Popen(command, env=settings, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    os.environ.update(PRELOADED=f"{sys.prefix}:{socket}")

    def end():
        if not os.path.exists(socket):  # still loading, so no job depends on it
            server.kill()
        server.communicate()
        shutil.rmtree(os.path.dirname(socket), ignore_errors=True)

    atexit.register(end)

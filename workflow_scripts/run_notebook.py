"""Run a figure's notebook with papermill. The executed copy is kept as a log, even if a cell fails.

    python workflow_scripts/run_notebook.py figures/fig4.ipynb logs/miniature/fig4.ipynb -o pdf fig4.pdf -o png fig4.png

Notebooks run in the repository, whatever the working directory is. Takes about three seconds. Equal inputs give equal files: no
dates are written, and the backend is not interactive.
"""

import argparse
import json
import os
from pathlib import Path

import papermill
from papermill.exceptions import PapermillExecutionError

from avflow import cli
from avflow.errors import InputError

REPOSITORY = Path(__file__).resolve().parents[1]


def parameter(text: str):
    """The value of the text as JSON, or the text itself if it is not JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebook")
    parser.add_argument("executed", help="path of the executed copy")
    parser.add_argument("-p", dest="parameters", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    parser.add_argument(
        "-o", dest="files", nargs=2, action="append", default=[], metavar=("NAME", "FILE"), help="a file to write"
    )
    parser.add_argument("--stamp", default="", help="a line at the head of the figure")
    arguments = parser.parse_args()
    # Use this environment's kernel even if the user has another python3 kernel; open no windows; write no dates into pdfs.
    os.environ.update(JUPYTER_PREFER_ENV_PATH="1", MPLBACKEND="Agg", SOURCE_DATE_EPOCH="0", AVFLOW_STAMP=arguments.stamp)
    parameters = {name: parameter(value) for name, value in arguments.parameters}
    elsewhere = Path.cwd() != REPOSITORY
    parameters |= {name: str(Path(path).absolute()) if elsewhere else path for name, path in arguments.files}
    try:
        papermill.execute_notebook(
            arguments.notebook,
            arguments.executed,
            parameters,
            kernel_name="python3",
            progress_bar=False,
            log_output=False,
            cwd=str(REPOSITORY),
        )
    except PapermillExecutionError as error:
        where = f"{arguments.notebook}, cell {error.exec_count}"
        raise InputError(f"{where}: {error.ename}: {error.evalue}; the executed copy is {arguments.executed}") from None


if __name__ == "__main__":
    cli.run(main)

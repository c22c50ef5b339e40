"""Run a figure's notebook with papermill; the executed copy is a log, kept also when a cell fails.

    python workflow_scripts/run_notebook.py figures/fig4.ipynb logs/miniature/fig4.ipynb -p pdf fig4.pdf -p png fig4.png

About three seconds. Equal inputs give equal files: no dates are written, and no interactive backend is used.
"""

import argparse
import json
import os

import papermill
from papermill.exceptions import PapermillExecutionError

from avflow import cli
from avflow.errors import InputError


def parameter(text: str):
    """A number, a list or a mapping where the text is one in JSON, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebook")
    parser.add_argument("executed", help="where the executed copy goes")
    parser.add_argument("-p", dest="parameters", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    arguments = parser.parse_args()
    # This environment's kernel, also where the user has another python3 kernel; a backend without windows; no dates in pdfs.
    os.environ.update(JUPYTER_PREFER_ENV_PATH="1", MPLBACKEND="Agg", SOURCE_DATE_EPOCH="0")
    parameters = {name: parameter(value) for name, value in arguments.parameters}
    try:
        papermill.execute_notebook(
            arguments.notebook, arguments.executed, parameters, kernel_name="python3", progress_bar=False, log_output=False
        )
    except PapermillExecutionError as error:
        where = f"{arguments.notebook}, cell {error.exec_count}"
        raise InputError(f"{where}: {error.ename}: {error.evalue}; the executed copy is {arguments.executed}") from None


if __name__ == "__main__":
    cli.run(main)

"""Where the repository lies, and its configuration. The working directory may be another one, or the rules a module's.

A rule writes `<repo>` before each of its files of the repository.
"""

import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

LIBRARY = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent / "workflow_scripts"
if not LIBRARY.is_dir():  # a module straight from a web address
    raise WorkflowError(f"{LIBRARY}: the rules need the whole repository; clone it, and name the clone's Snakefile")
sys.path.insert(0, str(LIBRARY))
from avflow import places
from avflow.errors import InputError


def one_line(function, *arguments):
    """Call a function of avflow. Its InputError becomes a one-line error of Snakemake."""
    try:
        return function(*arguments)
    except InputError as error:
        raise WorkflowError(str(error)) from None


# In another working directory, a config.yaml there wins over the repository's. A module's config is a change of the repository's.
if workflow.modifier.namespace:
    if workflow.modifier.path_modifier.prefix:
        raise WorkflowError(
            "the rules of avflow take no prefix; set pathvars in the module's config to move results and logs"
        )
    config = one_line(places.completed, config)
elif not places.is_repository(".") and Path("config.yaml").is_file():

    configfile: "config.yaml"


pathvars:
    repo=places.own("", "."),  # nothing if the working directory is the repository, else its folder and a slash


os.environ.update(places.caches(".snakemake/caches"))

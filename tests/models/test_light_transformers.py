"""transformers loads without packages that it would only need for what is not used here, and nothing else notices."""

import gc
import json
import os
import subprocess
import sys

import pytest
from conftest import SCRIPTS

from avflow.models import light_transformers

SAY = "import json; print(json.dumps([gc.isenabled(), gc.get_freeze_count(), [n for n in UNUSED if n in sys.modules]]))"


def process(code: str) -> list:
    """What a fresh process prints after `code`: [whether the collector runs, frozen objects, loaded packages of UNUSED]."""
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS), "HF_HUB_OFFLINE": "1"}
    start = f"import gc, sys; UNUSED = {light_transformers.UNUSED}; "
    done = subprocess.run([sys.executable, "-c", f"{start}{code}\n{SAY}"], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_model_job_loads_none_of_the_packages_collects_again_and_can_import_them_afterwards():
    models = "from avflow.tracing import knockout, shard_job\nfrom avflow.models import QwenOmni, SalmonnPort"
    looked_for = "assert not any(n in sys.modules for n in UNUSED)\nfrom scipy.special import ndtr; assert ndtr(0) == 0.5"
    assert process(f"{models}\n{looked_for}") == [True, 0, ["scipy"]]


def test_a_package_that_is_already_loaded_stays():
    assert (
        "scipy" in process("import scipy\nfrom avflow.models import light_transformers\nassert sys.modules['scipy'] is scipy")[2]
    )


def test_a_failed_import_leaves_nothing_hidden_and_the_collector_as_it_was(monkeypatch):
    monkeypatch.setattr(light_transformers, "UNUSED", ("a_package_that_is_not_there",))
    for collecting in (True, False):
        (gc.enable if collecting else gc.disable)()
        try:
            with pytest.raises(ImportError, match="no good"), light_transformers.lightly():
                assert sys.modules["a_package_that_is_not_there"] is None and not gc.isenabled()
                raise ImportError("no good")
            assert gc.isenabled() == collecting and "a_package_that_is_not_there" not in sys.modules
        finally:
            gc.enable()


def test_a_script_leaves_what_it_loaded_out_of_every_later_collection():
    assert process("from avflow import cli\nfrom avflow.tracing import knockout\ncli.run(lambda: None)")[1] > 100_000


def test_decoding_media_needs_no_transformers():
    assert process("from avflow.media import decoding, log_mel\nassert 'transformers' not in sys.modules")[2] == []

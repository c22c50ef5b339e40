"""transformers loads without packages that it would only need for what is not used here, and nothing else notices."""

import gc
import importlib.metadata
import json
import os
import subprocess
import sys

import pytest
import torch
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


def test_torchs_compiler_and_its_distributed_part_stay_away_until_they_are_asked_for():
    code = """
from avflow.models import light_transformers, QwenOmni
import torch
assert not {"torch._dynamo", "torch.distributed.tensor"} & set(sys.modules)
assert torch.distributed.is_available()
doubled = torch.compile(lambda x: 2 * x, backend="eager", fullgraph=True)
assert doubled(torch.ones(2)).tolist() == [2, 2]
assert sys.modules["torch._dynamo"].__file__.endswith("__init__.py"), "the real one"
import torch.distributed.tensor
"""
    assert process(code)[0]


def test_a_network_is_built_without_the_compiler():
    code = """
from avflow.models import light_transformers, QwenOmni
import torch
from transformers import Qwen2Config, Qwen2Model
with light_transformers.without_compiler(), torch.device("meta"):
    Qwen2Model(Qwen2Config(num_hidden_layers=1))
assert "torch._dynamo" not in sys.modules
"""
    assert process(code)[0]


def test_a_compiler_that_is_already_loaded_stays():
    code = (
        "import torch._dynamo as real\nfrom avflow.models import light_transformers\nassert sys.modules['torch._dynamo'] is real"
    )
    assert process(code)[0]


def test_a_package_that_is_already_loaded_stays():
    assert (
        "scipy" in process("import scipy\nfrom avflow.models import light_transformers\nassert sys.modules['scipy'] is scipy")[2]
    )


def test_the_folder_of_models_is_read_once_and_offers_what_it_did():
    code = """
read = []
sys.addaudithook(lambda event, found: read.append(found[0]) if event == "open" else None)
from avflow.models import light_transformers
import transformers, transformers.models, transformers.utils
from transformers.utils import import_utils
assert transformers.utils is sys.modules["transformers.utils"] and transformers.LlavaForConditionalGeneration
folder = transformers.models.__path__[0]
assert sum(str(path).startswith(f"{folder}/whisper/modeling_whisper.py") for path in read) == 1
seen, remembering = len(read), import_utils.create_import_structure_from_path
reading = next(cell.cell_contents for cell in remembering.__closure__ if callable(cell.cell_contents))
reading.cache_clear()
import_utils.create_import_structure_from_path = reading
plain = import_utils.define_import_structure(folder)
assert sum(str(path).startswith(folder) for path in read[seen:]) > 1000
names = {name for modules in plain.values() for offered in modules.values() for name in offered}
assert len(names) > 2000 and names <= set(transformers.models._class_to_module) and names <= set(dir(transformers))
"""
    assert process(code)[0]


def test_packages_are_found_as_python_finds_them(monkeypatch):
    real = importlib.metadata.packages_distributions()
    assert importlib.metadata.packages_distributions is light_transformers.Packages.tell
    packages = light_transformers.Packages()
    assert packages.get("numpy") == real["numpy"] == ["numpy"] and "every" not in vars(packages), "nothing else is read"
    assert packages.get("PIL") == real["PIL"] == ["pillow"] and packages.get("no_such_module", []) == []
    assert dict(packages) == {**real, **{name: packages[name] for name in real if "_" not in name}}
    monkeypatch.setattr(light_transformers.Packages, "tell", staticmethod(lambda: {"flash_attn": ["flash-attn", "4"]}))
    assert light_transformers.Packages()["flash_attn"] == ["flash-attn", "4"]


def test_a_failed_import_leaves_nothing_hidden_and_the_collector_as_it_was(monkeypatch):
    monkeypatch.setattr(light_transformers, "UNUSED", ("a_package_that_is_not_there",))
    for collecting in (True, False):
        (gc.enable if collecting else gc.disable)()
        try:
            with pytest.raises(ImportError, match="no good"), light_transformers.lightly():
                assert sys.modules["a_package_that_is_not_there"] is None and not gc.isenabled()
                raise ImportError("no good")
            assert gc.isenabled() == collecting and "a_package_that_is_not_there" not in sys.modules
            assert torch.distributed.is_available() and isinstance(torch._dynamo.__file__, str), "the real ones"
        finally:
            gc.enable()


def test_a_script_leaves_what_it_loaded_out_of_every_later_collection():
    assert process("from avflow import cli\nfrom avflow.tracing import knockout\ncli.run(lambda: None)")[1] > 100_000


def test_decoding_media_needs_no_transformers():
    assert process("from avflow.media import decoding, log_mel\nassert 'transformers' not in sys.modules")[2] == []

"""A downloaded file that is gone or short is named, with the rule that fetches it."""

import json
import shlex

import pytest

from avflow.errors import InputError
from avflow.storage import manifest


def test_a_downloaded_file_that_has_gone_names_the_rule_that_fetches_it(tmp_path):
    from avflow.models.checkpoint import read_config
    from avflow.questions import preparation

    for name, content in {"config.json": b"{}", "clips_2.zip": b"zip"}.items():
        (tmp_path / name).write_bytes(content)
    listed = [{"path": p.name, "size": p.stat().st_size} for p in sorted(tmp_path.iterdir())]
    (tmp_path / "manifest.json").write_text(json.dumps({"files": listed}))
    options = [
        *shlex.split("--type av_speakerbench --dataset d --setting av_video --root r --questions q --media m --dropped d"),
        "--folder",
        str(tmp_path),
    ]
    arguments = preparation.parser("").parse_args(options)
    manifest.check(tmp_path, "download_dataset")
    assert read_config(tmp_path, "any") == {} and preparation.Intake(arguments).questions == []

    (tmp_path / "clips_2.zip").write_bytes(b"zi")
    fetched = (
        rf"{tmp_path}/clips_2.zip {{}}; the rule {{}} fetches it: delete {tmp_path}/manifest.json and, on a networked machine,"
    )
    with pytest.raises(InputError, match=fetched.format("has 2 bytes, but 3 were downloaded", "download_dataset")):
        preparation.Intake(arguments)
    (tmp_path / "clips_2.zip").unlink()
    with pytest.raises(InputError, match=fetched.format("was downloaded but no longer exists", "download_weights")):
        read_config(tmp_path, "any")

"""Run prepare.py in this process on small files, and read what it writes."""

import csv
import json
import re
from pathlib import Path

from conftest import ROOT

from avflow.questions import preparation, readers
from avflow.questions.question import read_questions


def options_of(name, folder, out, **options) -> list[str]:
    """The command line of prepare.py."""
    setting = "items" if name == "av_odyssey" else "av_video"
    given = {
        "type": name,
        "dataset": name,
        "setting": setting,
        "folder": folder,
        "root": out,
        "instruction": "Choose.",
        "threads": 2,
    }
    given |= {"questions": out / "q.jsonl", "media": out / "m.tsv", "dropped": out / "d.tsv"}
    given |= {k: json.dumps(v) if isinstance(v, (list, dict)) else v for k, v in options.items()}
    return [part for key, value in given.items() for part in (f"--{key.replace('_', '-')}", str(value))]


def prepare(name, folder, out, **options):
    """Run the work of prepare.py; returns its questions by id and its dropped rows."""
    out.mkdir(exist_ok=True)
    intake = preparation.Intake(preparation.parser("").parse_args(options_of(name, folder, out, **options)))
    readers.collect(name, intake)
    preparation.finish(intake)
    return {q.question_id: q for q in read_questions(out / "q.jsonl")}, table(out / "d.tsv")


def table(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def reasons(dropped):
    return {row["question_id"]: row["reason"] for row in dropped}


DOCUMENT = (ROOT / "docs/adding_a_dataset.md").read_text()


def written_as_documented(where: Path) -> list[str]:
    """Write the files that the document shows; returns the commands of its first block."""
    (where / "mine").mkdir()
    for name, content in re.findall(r"`(mine/[\w.]+)`:\n\n```\w+\n(.*?)```", DOCUMENT, re.DOTALL):
        (where / name).write_text(content)
    return re.search(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL)[1].splitlines()

"""Dropped questions, each with its reason. Every benchmark has some. They are listed, since hidden drops make counts wrong."""

import csv
from dataclasses import astuple, dataclass, fields

from ..storage import whole


@dataclass(frozen=True)
class Dropped:
    """A question that was left out. `reason` is one word; `detail` is a sentence that names the file or the value."""

    question_id: str
    task: str
    reason: str
    detail: str


def write_drops(dropped: list[Dropped], path) -> None:
    """Write a tsv, sorted by question. It is written even if nothing was dropped, so that an empty list is explicit."""
    with whole(path) as part, open(part, "w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow([f.name for f in fields(Dropped)])
        for one in sorted(dropped, key=astuple):
            writer.writerow([" ".join(str(value).split()) for value in astuple(one)])

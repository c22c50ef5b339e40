"""What lies on the disk when it is fullest: downloads, media in use, frames and features, and rows.

Frames and features that are not kept count with one shard, the largest, because a GPU finishes a shard before it begins another.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

from . import costs
from .study_costs import StudyCosts


@dataclass(frozen=True)
class Part:
    """Something on the disk: its name, bytes (NaN if unknown), and how that is known. download: whether the network brings it."""

    name: str
    bytes: float
    how: str
    download: bool = False

    @property
    def least(self) -> bool:
        """Whether it may take more than `bytes`."""
        return math.isnan(self.bytes) or self.how == "at least"


def pinned(folder: Path, name: str) -> float:
    """Bytes of a pinned download; NaN if it is not pinned."""
    path = folder / f"{name}.json"
    files = json.loads(path.read_text())["files"] if path.exists() else None
    return sum(f["size"] for f in files) if files else math.nan


def total(parts: list[Part]) -> float:
    """Bytes of all parts. An unknown size counts as nothing."""
    return sum(part.bytes for part in parts if not math.isnan(part.bytes))


def on_disk(study: StudyCosts, pins: Path) -> list[Part]:
    """Everything that the study's results and downloads hold at their fullest, with one GPU. pins: the folder of the pins."""
    settings, facts, found, media = study.settings, study.facts, [], []
    for model, shape in study.shapes.items():
        if model in settings["models"]:
            size = pinned(pins, model)
            known = not math.isnan(size)
            found.append(
                Part(f"download {model}", size if known else 2 * shape.parameters, "pinned" if known else "at least", True)
            )
    for dataset in settings["datasets"]:
        size = pinned(pins, dataset)
        known = not math.isnan(size)
        size = size if known else 1e9 * facts[dataset].gigabytes
        found.append(Part(f"download {dataset}", size, "pinned" if known else "published", True))
        used = facts[dataset].in_use
        media.append(Part(f"media of {dataset}", used * size, f"unpacked: {used:.0%} are in use"))
    found += media
    if settings["keep_frames"]:
        frames = {(s["sampling"], d): study.frames(m, d) for m, s in settings["models"].items() for d in settings["datasets"]}
        for name in sorted({sampling for sampling, _ in frames}):
            found.append(Part(f"frames {name}", sum(v for (of, _), v in frames.items() if of == name), "kept"))
    if settings["keep_features"]:
        for model in settings["models"]:
            found.append(Part(f"features {model}", sum(study.features(model, d) for d in settings["datasets"]), "kept"))
    else:
        model = max(settings["models"], key=study.largest_shard)
        how = "the largest; once for each GPU at work"
        found.append(Part(f"features, one shard of {model}", study.largest_shard(model), how))
    cuts = [(m, d, b[d]) for m in settings["models"] for d in settings["datasets"] for b in settings["cuts"].values() if d in b]
    return [*found, Part("rows of knockouts", costs.ROW_BYTES * sum(study.cuts(*cut)[1] for cut in cuts), "kept")]

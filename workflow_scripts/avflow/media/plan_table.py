"""How the media of a dataset were really sampled: one row per medium, and a summary with one row per dataset and sampling."""

import csv
from collections.abc import Iterable

from ..errors import InputError
from ..storage import whole
from .frame_plan import Plan, Sampling
from .sampling import SAMPLE_RATE

COLUMNS = ("media_id", "kind", "frames", "fps", "height", "width", "video_tokens", "audio_tokens", "room", "divisor", "shrunk")
COLUMNS += ("fits", "unheard")
COUNTS = ("media", "videos", "fewer_frames", "fewer_pixels", "may_not_fit", "sound_cut", "most_tokens")


def row(media_id: str, kind: str, how: Sampling, planned: Plan | None, samples: int) -> dict:
    """One medium's row. planned: its plan, or None for a sound. samples: of its sound at 16 kHz.

    room: tokens that the medium may take, empty without a budget. audio_tokens: empty if the sampling does not say how many a
    second of sound has. divisor: that of fps. shrunk, fits: 0 or 1, as in `Plan`. unheard: seconds of sound beyond what the model
    hears.
    """
    seconds, audio = samples / SAMPLE_RATE, how.sound_tokens(samples) if how.audio_per_second else ""
    found = dict(media_id=media_id, kind=kind, frames=0, fps="", height=0, width=0, video_tokens=0, audio_tokens=audio)
    found |= dict(room="", divisor=1, shrunk=0, fits=1, unheard=round(max(0.0, seconds - how.audio_seconds), 2))
    if planned:
        found |= dict(frames=planned.count, height=planned.height, width=planned.width, video_tokens=planned.visual)
    if planned and kind == "video":
        found |= dict(fps=f"{planned.fps:.6g}", divisor=planned.divisor, shrunk=int(planned.shrunk), fits=int(planned.fits))
        found["room"] = "" if how.max_tokens is None else int(planned.room)
    return found


def write(path, rows: Iterable[dict]) -> None:
    """Write rows as tsv."""
    with whole(path) as part, open(part, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read(path) -> list[dict]:
    """Rows of a table, all values as text. Raises InputError if its columns are others."""
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file, delimiter="\t")
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise InputError(f"{path}: its columns are not those of a table of sampled media; delete it and run again")
        return list(reader)


def summary(rows: list[dict]) -> dict:
    """Counts over the media of one dataset in one sampling.

    fewer_frames, fewer_pixels: videos that are sampled more coarsely to fit; a video can be both. may_not_fit: videos that do not
    fit even so if each byte of text is a token. sound_cut: media of whose sound the model does not hear the end. most_tokens: of
    one medium.
    """
    videos = [r for r in rows if r["kind"] == "video"]
    tokens = [int(r["video_tokens"]) + int(r["audio_tokens"] or 0) for r in rows]
    return {
        "media": len(rows),
        "videos": len(videos),
        "fewer_frames": sum(int(r["divisor"]) > 1 for r in videos),
        "fewer_pixels": sum(int(r["shrunk"]) for r in videos),
        "may_not_fit": sum(not int(r["fits"]) for r in videos),
        "sound_cut": sum(float(r["unheard"]) > 0 for r in rows),
        "most_tokens": max(tokens, default=0),
    }


def notes(rows: list[dict], how: Sampling) -> list[str]:
    """What a reader of the log should know of media: clips that were reduced to fit, and those that may not fit even so."""
    videos = [r for r in rows if r["kind"] == "video"]
    reduced = sum(int(r["divisor"]) > 1 or bool(int(r["shrunk"])) for r in videos)
    tight = sum(not int(r["fits"]) for r in videos)
    found = [f"{reduced} of {len(videos)} videos have fewer frames or pixels, to fit into {how.max_tokens} tokens"] * (
        reduced > 0
    )
    return found + [f"{tight} of {len(videos)} videos fit only if their questions have few tokens"] * (tight > 0)

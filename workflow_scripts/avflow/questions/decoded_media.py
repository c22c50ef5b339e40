"""The media of one shard as frames and sound: decoded a few files ahead of the reader, and checked to be what was probed.

preprocess_media.py writes them to a file. Scripts that encode read them from that file, or, if a study keeps no frames, decode
them here while the encoders run: `--decode` takes the options of preprocess_media.py as one text. The readers are imported only
then, because a GPU machine that gets decoded shards may lack them.
"""

import argparse
import json
import shlex
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import torch

from ..errors import InputError
from ..media import Sampling, plan_table
from ..storage import provenance
from . import shard_lists
from .question import read_questions

AHEAD = 2  # media in memory per thread: decoding may outrun its reader


def options(parser) -> None:
    """Add the options that say which media to decode, and how."""
    from ..media import decoding_arguments

    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--media", type=Path, help="the shard's list of media, JSON Lines")
    source.add_argument("--questions", type=Path, help="questions whose media are decoded, JSON Lines")
    parser.add_argument("--shard", type=int, default=0, help="with --questions: the number of the shard")
    parser.add_argument("--shards", type=int, default=1, help="with --questions: the number of shards")
    parser.add_argument("--media-root", type=Path, required=True)
    parser.add_argument("--remedy", default="run the prepare rule of its dataset again", help="what to do about a changed file")
    sampling_arguments(parser)
    decoding_arguments(parser)
    parser.add_argument("--threads", type=int, default=1, help="files decoded at once")


def sampling_arguments(parser) -> None:
    """Add an option for every setting of `Sampling`."""
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--fps", type=float, help="frames per second")
    kind.add_argument("--interval", type=float, help="instead of --fps: seconds per frame, spread evenly from first to last")
    parser.add_argument(
        "--frames", choices=["exact", "official"], help="with --fps: at exactly t = k / fps (the default), or as qwen-omni-utils"
    )
    rates = ["sampled", "nominal"]
    parser.add_argument("--rate", choices=rates, help="with official frames: positions follow the rate of the frames, or --fps")
    parser.add_argument("--min-frames", type=int, help="with --interval or official frames: fewest frames per video")
    parser.add_argument("--max-frames", type=int, required=True)
    parser.add_argument("--multiple", type=int, required=True, help="sides are multiples of this: patch size times merge size")
    parser.add_argument("--min-pixels", type=int, required=True, help="fewest pixels per frame")
    parser.add_argument(
        "--max-pixels", type=int, required=True, help="most pixels per frame; with --interval, for a video of max-frames frames"
    )
    parser.add_argument("--total-pixels", type=int, help="with --fps: most pixels of all temporal grids of a video together")
    parser.add_argument("--max-tokens", type=int, help="with --fps: most tokens of a prompt; a longer clip gets fewer frames")
    parser.add_argument("--min-fps", type=float, help="with --max-tokens: below this, frames lose pixels instead")
    parser.add_argument("--audio-per-second", type=float, help="with --max-tokens: tokens of a second of sound")
    parser.add_argument("--audio-seconds", type=float, help="with --max-tokens: the model hears no more of a sound")


class DecodedMedia:
    """The media of a list, or of a shard of questions. arguments: those of `options`.

    identity: a digest of all that decides the arrays besides the code: the files' bytes, their prompts and the sampling.
    """

    def __init__(self, arguments):
        if arguments.media:
            listed, self.name = shard_lists.read_list(arguments.media), arguments.media.stem
        else:
            listed = shard_lists.listed(read_questions(arguments.questions, arguments.shard, arguments.shards))
            self.name = str(arguments.shard)
        self.path, self.items = arguments.media or arguments.questions, {m.media_id: m for m in listed}
        self.root, self.remedy, self.how, self.threads = (
            arguments.media_root,
            arguments.remedy,
            Sampling.of(arguments),
            arguments.threads,
        )
        self.limits = dict(reader=arguments.reader, largest=arguments.max_picture_pixels)
        told = [asdict(self.items[name]) for name in sorted(self.items)], asdict(self.how), self.limits
        self.identity = provenance.text_hash(json.dumps(told, sort_keys=True))
        self.found, self.pool, self.order, self.running = {}, None, [], {}

    @classmethod
    def of_options(cls, text: str) -> "DecodedMedia":
        """Options of preprocess_media.py as one text, an argparse type."""
        parser = argparse.ArgumentParser(prog="--decode")
        options(parser)
        return cls(parser.parse_args(shlex.split(text)))

    @property
    def kinds(self) -> dict[str, str]:
        """media_id -> "video", "image" or "audio", sorted."""
        return {name: self.items[name].kind for name in sorted(self.items)}

    def table(self) -> list[dict]:
        """How every decoded medium was sampled: the rows of `plan_table`, sorted."""
        return [self.found[name] for name in sorted(self.found)]

    def decode(self, media_id: str) -> dict[str, torch.Tensor]:
        """Those of frames, fps and audio that a medium has. Raises InputError with the remedy if its file is not as probed."""
        from ..media import MediaError
        from ..media.decoding import decode

        medium = self.items[media_id]
        work = lambda path: decode(path, medium.kind, self.how, medium.text, medium.media, **self.limits)  # noqa: E731
        try:
            arrays, planned = unchanged(Path(self.root) / medium.path, medium, self.remedy, work)
        except MediaError as error:
            raise InputError(f"{error}; it was readable when probed: {self.remedy}") from None
        self.found[media_id] = plan_table.row(media_id, medium.kind, self.how, planned, len(arrays.get("audio", ())))
        return {name: torch.as_tensor(array) for name, array in arrays.items()}

    def each(self):
        """Yield (media_id, arrays) of every medium, sorted by media_id."""
        with ThreadPoolExecutor(self.threads) as pool:
            waiting = deque()
            try:
                for media_id in self.kinds:
                    waiting.append((media_id, pool.submit(self.decode, media_id)))
                    if len(waiting) == AHEAD * self.threads:
                        yield _first(waiting)
                while waiting:
                    yield _first(waiting)
            finally:
                pool.shutdown(cancel_futures=True)

    def follow(self, questions) -> None:
        """Say in which order `of` will be asked, so that media are decoded ahead."""
        self.order = list(dict.fromkeys(m.media_id for q in questions for m in q.media))

    def of(self, question) -> dict[str, dict]:
        """media_id -> arrays of every medium of a `Question`. Raises InputError if the shard lacks one."""
        wanted = [m.media_id for m in question.media]
        missing = [name for name in wanted if name not in self.items]
        if missing:
            raise InputError(f"{self.path}: made for other questions, it lacks {missing[0]}; delete it and run again")
        self.pool = self.pool or ThreadPoolExecutor(self.threads)
        after = max((self.order.index(name) for name in wanted if name in self.order), default=-1) + 1
        window = dict.fromkeys([*wanted, *self.order[after : after + AHEAD * self.threads]])
        self.running = {name: self.running.get(name) or self.pool.submit(self.decode, name) for name in window}
        return {name: self.running[name].result() for name in wanted}


def _first(waiting) -> tuple[str, dict]:
    media_id, decoded = waiting.popleft()
    return media_id, decoded.result()


def unchanged(path: Path, medium, remedy: str, work):
    """`work(path)`, with the file as it was probed. Raises InputError with the remedy if its bytes are others, or change."""
    try:
        before = provenance.file_state(path)
        if medium.sha256 in ("", provenance.file_hash(path)):
            done = work(path)
            if provenance.file_state(path) == before:
                return done
    except FileNotFoundError:
        raise InputError(f"{path}: the file is gone since it was probed; {remedy}") from None
    raise InputError(f"{path}: the file has changed since it was probed; {remedy}")

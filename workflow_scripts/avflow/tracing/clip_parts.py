"""When and where in a clip: its times and places as sources of routes.

    audio.time_3        the sound in one slice of time
    video.time_2        the pictures in one slice of time
    video.tile_0_1      one tile of the picture, by row and column, at all times
    video.cell_2_0_1    one tile in one slice of time

    audio.time_3.rest   all else of the part's sense, here of the sound

A target that does not see a part may find the same in others. A target that does not see its rest shows whether the part alone
is enough.

A source is cut from the question, the last token or the reply as any other span is. All sources of a kind share the rows that a
sweep recomputes, so a map costs little more per part than one window of a route. Slices are made of whole temporal grids, or of
whole tokens of sound, and tiles of whole tokens. Where there are more of them than the map may have parts, neighbours share one.
"""

import math
from dataclasses import dataclass, replace

import torch

from ..models import Sequence

SENSES, REST = ("audio", "video"), ".rest"
SOURCES = ("audio.time", "video.time", "video.tile", "video.cell")


@dataclass(frozen=True)
class Part:
    """A source: tokens (n,) of a sequence, heard or shown from `start` to `stop` seconds.

    box: left, top, right and bottom of a tile, as shares of the picture; None for sound, and for whole pictures.
    """

    source: str
    name: str
    tokens: torch.Tensor
    start: float
    stop: float
    box: tuple[float, float, float, float] | None = None

    @property
    def sense(self) -> str:
        return self.source.partition(".")[0]

    @property
    def columns(self) -> dict:
        """What a table says about it."""
        sides = dict(zip(("left", "top", "right", "bottom"), self.box or (None,) * 4))
        return {"source": self.source, "part": self.name, "start": self.start, "stop": self.stop, **sides}


@dataclass(frozen=True)
class Clip:
    """Where a clip's tokens lie. frames (t, h, w): the pictures' tokens; sound (n,): those of the sound, without padding.

    seconds: how long a temporal grid, and a token of sound, lasts. Either may be empty.
    """

    frames: torch.Tensor
    sound: torch.Tensor
    seconds: tuple[float, float]

    @classmethod
    def of(cls, model, sequence: Sequence, features: dict) -> "Clip":
        """The clip of a question that has one medium. features: media_id -> outputs of `Adapter.encode`."""
        encoded, spans = features[sequence.question.media[0].media_id], sequence.spans
        frames, sound = torch.empty(0, 0, 0, dtype=torch.int64), spans["audio"]
        if "vision" in encoded:
            _, h, w = encoded["grid"].tolist()
            frames = spans["video"].view(-1, h // model.layout.merge, w // model.layout.merge)
        if "audio_padding" in spans:
            sound = sound[~torch.isin(sound, spans["audio_padding"])]
        grid = float(encoded.get("seconds_per_grid", math.nan))
        return cls(frames, sound, (grid, 1 / model.layout.sounds_per_second))

    def parts(self, times: int, tiles: int, cells: int) -> list[Part]:
        """All sources, in the order of SOURCES. times, tiles, cells: how many of a kind there are at most."""
        found, t = [], len(self.frames)
        for i, (a, b) in enumerate(slices(len(self.sound), times)):
            found.append(Part("audio.time", f"audio.time_{i}", self.sound[a:b], a * self.seconds[1], b * self.seconds[1]))
        if not t:
            return found
        when = slices(t, times)
        for i, (a, b) in enumerate(when):
            found.append(Part("video.time", f"video.time_{i}", self.frames[a:b].flatten(), *self._seconds(a, b)))
        for row, column, place, box in self._tiles(tiles):
            here = self.frames[(slice(None), *place)].flatten()
            found.append(Part("video.tile", f"video.tile_{row}_{column}", here, *self._seconds(0, t), box))
        when = slices(t, min(times, cells))
        for i, (a, b) in enumerate(when):
            for row, column, place, box in self._tiles(cells // len(when)):
                here = self.frames[(slice(a, b), *place)].flatten()
                found.append(Part("video.cell", f"video.cell_{i}_{row}_{column}", here, *self._seconds(a, b), box))
        return found

    def _seconds(self, start: int, stop: int) -> tuple[float, float]:
        """From when to when grids are shown. A picture without a clock counts as one second."""
        each = 1.0 if math.isnan(self.seconds[0]) else self.seconds[0]
        return start * each, stop * each

    def _tiles(self, most: int):
        """Row, column, index into a grid (h, w) and box of at most `most` tiles, in the proportions of the picture."""
        _, h, w = self.frames.shape
        share = min(1.0, math.sqrt(most / (h * w)))
        rows = max(1, int(h * share))
        for row, (a, b) in enumerate(slices(h, rows)):
            for column, (c, d) in enumerate(slices(w, max(1, min(int(w * share), most // rows)))):
                yield row, column, (slice(a, b), slice(c, d)), (c / w, a / h, d / w, b / h)


def slices(count: int, most: int) -> list[tuple[int, int]]:
    """`count` things in at most `most` runs of nearly equal length: [(start, stop)]."""
    number = min(count, most)
    return [(i * count // number, (i + 1) * count // number) for i in range(number)]


def named(sequence: Sequence, parts: list[Part]) -> Sequence:
    """The sequence, whose spans also name the parts and the rest of each."""
    none = torch.empty(0, dtype=torch.int64)
    senses = {sense: torch.cat([none, *(p.tokens for p in parts if p.source == f"{sense}.time")]) for sense in SENSES}
    found = {part.name: part.tokens for part in parts}
    for part in parts:
        whole = senses[part.sense]
        found[part.name + REST] = whole[~torch.isin(whole, part.tokens)].sort().values
    return replace(sequence, spans=sequence.spans.with_parts(found))

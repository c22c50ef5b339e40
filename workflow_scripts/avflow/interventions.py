"""What can be cut: a route between two spans, in a window of layers. Pure data, and the edges that it touches.

A cut edge (query, key) is masked in every head of the window's layers (paper, section 2.1). Routes are written as
    source->target      keys of `source` hidden from queries of `target`
    source<->target     both directions at once
    cross_frame, cross_audio_segment, cross_candidate
                        queries of one part cannot see any earlier other part of the same modality
Masking acts on what is visible: pairs that the causal mask hides already are not counted, and a query always keeps its own
key, except in last->last, which cuts exactly that.
"""

import re
from dataclasses import dataclass

import torch

from .errors import InputError
from .spans import Spans

STYLES = ("centred", "inverse", "top_down", "bottom_up")
ROUTE = re.compile(r"([A-Za-z0-9_.]+)(<->|->)([A-Za-z0-9_.]+)")
CROSS = {"cross_frame": "frame", "cross_audio_segment": "audio_segment", "cross_candidate": "candidate"}


@dataclass(frozen=True)
class Route:
    """Keys of span `source` hidden from queries of span `target`; `across` names the parts of a within-modality route."""

    source: str
    target: str
    across: str | None = None
    both: bool = False

    @classmethod
    def parse(cls, text: str) -> "Route":
        """Read a route as it is written in config.yaml. Raises InputError on any other form."""
        if text in CROSS:
            across = CROSS[text]
            modality = {"frame": "video", "audio_segment": "audio", "candidate": "candidates"}[across]
            return cls(modality, modality, across)
        found = ROUTE.fullmatch(text.replace(" ", ""))
        if not found:
            forms = f"'source->target', 'source<->target', {', '.join(CROSS)}"
            raise InputError(f"route {text!r} is not understood; write {forms}")
        return cls(found[1], found[3], both=found[2] == "<->")

    def __str__(self):
        if self.across:
            return next(name for name, across in CROSS.items() if across == self.across)
        return f"{self.source}{'<->' if self.both else '->'}{self.target}"

    def edges(self, spans: Spans) -> "Edges":
        """The visible pairs that this route cuts in a sequence. Raises InputError when it names a span that does not exist."""
        if self.across:
            parts = spans.group(self.across)
            blocks = [(part, torch.cat(parts[:i])) for i, part in enumerate(parts) if i]
        else:
            try:
                blocks = [(spans[self.target], spans[self.source])]
                if self.both:
                    blocks.append((spans[self.source], spans[self.target]))
            except InputError as error:
                raise InputError(f"route {self}: {error}") from None
        own = not self.across and self.source == self.target and len(spans[self.source]) == 1
        return Edges.visible(blocks, spans.length, own)


@dataclass(frozen=True)
class Edges:
    """Cut pairs as blocks of (queries (q,), keys (k,)); `count` visible pairs, `own` if a query's own key is cut too."""

    blocks: tuple
    own: bool
    count: int

    @classmethod
    def visible(cls, blocks, length, own=False):
        blocks = tuple((q, k) for q, k in blocks if len(q) and len(k))
        edges = cls(blocks, own, 0)
        count = sum(int(edges.cut(q, length).sum()) for q in [edges.queries()] if len(q))
        return cls(blocks, own, count)

    def queries(self) -> torch.Tensor:
        """All queries that a block names, sorted (n,)."""
        return torch.cat([q for q, _ in self.blocks]).unique() if self.blocks else torch.empty(0, dtype=torch.int64)

    def cut(self, rows: torch.Tensor, length: int) -> torch.Tensor:
        """Which keys are cut for the query positions `rows` (r,): bool (r, length), visible pairs only."""
        cut = torch.zeros(len(rows), length, dtype=torch.bool)
        for queries, keys in self.blocks:
            named = torch.zeros(length, dtype=torch.bool)
            named[keys] = True
            cut |= torch.isin(rows, queries)[:, None] & named
        position = torch.arange(length)
        return cut & (position <= rows[:, None] if self.own else position < rows[:, None])


@dataclass(frozen=True)
class Window:
    """Layers start..stop-1 in which a route is cut, or all others (style inverse); `centre` is where a figure plots it."""

    start: int
    stop: int
    centre: int
    style: str
    width: int

    def covers(self, layer: int) -> bool:
        return (self.start <= layer < self.stop) != (self.style == "inverse")


def windows(layers: int, width: int, style: str = "centred", stride: int = 1) -> list[Window]:
    """One window a centre 0, stride, .. of a model with `layers` layers.

    centred: max(0, c - width // 2) .. min(layers - 1, c + width // 2), clipped at the ends (paper, section 2.1); inverse: all
    layers but those; top_down: c .. layers - 1; bottom_up: 0 .. c. Raises InputError on an unknown style or a bad width.
    """
    if style not in STYLES:
        raise InputError(f"window style {style!r} is unknown; known: {', '.join(STYLES)}")
    if not 1 <= width <= layers or width % 2 == 0:
        raise InputError(f"window width {width} must be odd and between 1 and the model's {layers} layers")
    half = width // 2
    found = []
    for c in range(0, layers, stride):
        start = {"top_down": c, "bottom_up": 0}.get(style, max(0, c - half))
        stop = {"top_down": layers, "bottom_up": c + 1}.get(style, min(layers, c + half + 1))
        found.append(Window(start, stop, c, style, width))
    return found


@dataclass(frozen=True)
class Knockout:
    """One intervention: `route` cut in the layers of `window`; `cut`, `control` and `draw` as in the row columns."""

    route: Route
    window: Window
    cut: str = "mask"
    control: str = "none"
    draw: int = 0

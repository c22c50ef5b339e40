"""What can be cut: a route between two spans, in a window of layers. Pure data, and the edges that it touches.

A cut edge (query, key) is masked in every head of the window's layers (paper, section 2.1). Routes are written as
    source->target      keys of `source` hidden from queries of `target`
    source<->target     both directions at once
    cross_frame, cross_audio_segment, cross_candidate
                        queries of one part cannot see any earlier other part of the same modality
Masking acts on what is visible: pairs that the causal mask hides already are not counted, and a query always keeps its own
key, except in last->last, which cuts exactly that.
"""

import random
import re
from dataclasses import dataclass
from functools import cached_property

import torch

from ..errors import InputError
from ..models import Spans

CONTROLS = ("random_same", "random_other")
CHOICE = 1.5  # other keys to draw from, for each key that a control hides: to take nearly all there are is no random choice
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
    length: int

    @classmethod
    def visible(cls, blocks, length, own=False):
        return cls(tuple((q, k) for q, k in blocks if len(q) and len(k)), own, length)

    @cached_property
    def classes(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Queries grouped by the keys that they lose: (queries (q,), keys (k,)) sorted, queries that see no cut key left out.

        Keys count as lost also where the causal mask hides them already.
        """
        if not self.blocks:
            return []
        member = torch.zeros(len(self.blocks), self.length, dtype=torch.bool)
        for row, (queries, _) in zip(member, self.blocks):
            row[queries] = True
        found = []
        for signature in member.unique(dim=1).T:
            if signature.any():
                queries = (member == signature[:, None]).all(0).nonzero()[:, 0]
                keys = torch.cat([k for (_, k), here in zip(self.blocks, signature) if here]).unique()
                queries = queries[self._lost(queries, keys) > 0]
                if len(queries):
                    found.append((queries, keys))
        return found

    def _lost(self, queries, keys) -> torch.Tensor:
        """How many of the keys each query sees and loses (q,)."""
        return torch.searchsorted(keys, queries, right=self.own)

    @cached_property
    def count(self) -> int:
        """Number of visible pairs that are cut."""
        return sum(int(self._lost(queries, keys).sum()) for queries, keys in self.classes)

    def blind(self) -> torch.Tensor:
        """Queries that would keep no key to attend to (n,)."""
        found = [queries[self._lost(queries, keys) == queries + 1] for queries, keys in self.classes]
        return torch.cat(found) if found else torch.empty(0, dtype=torch.int64)

    def queries(self) -> torch.Tensor:
        """All queries that lose a key, sorted (n,)."""
        found = [queries for queries, _ in self.classes]
        return torch.cat(found).sort().values if found else torch.empty(0, dtype=torch.int64)

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
    """One intervention: `route` cut in the layers of `window`; `cut`, `control` and `draw` as in the row columns.

    cut: "mask" hides keys before the softmax, so that the others gain their weight; "value_zero" leaves the weights as they are
    and drops the cut keys' values, so that nothing is renormalised. control: "none" cuts the route itself; "random_same" and
    "random_other" cut as many random keys instead, of the source's modality but not the source, or of anything else.
    """

    route: Route
    window: Window
    cut: str = "mask"
    control: str = "none"
    draw: int = 0

    @property
    def target(self) -> tuple:
        """What decides the edges, whatever the window."""
        return self.route, self.control, self.draw

    @property
    def columns(self) -> dict:
        """What a row of a table says of it; no other knockout of a prompt has the same."""
        window = self.window
        return {
            "route": str(self.route),
            "style": window.style,
            "width": window.width,
            "window_start": window.start,
            "window_stop": window.stop,
            "centre": window.centre,
            "cut": self.cut,
            "control": self.control,
            "draw": self.draw,
        }

    def edges(self, sequence, seed: int) -> Edges:
        """The visible pairs that it cuts in a Sequence; for a control, random keys as `instead` draws them."""
        if self.control == "none":
            return self.route.edges(sequence.spans)
        rng = random.Random(f"{seed}/{sequence.question.question_id}/{self.route}/{self.control}/{self.draw}")
        return instead(self.route, sequence.spans, modalities(sequence), self.control, rng)


def instead(route: Route, spans: Spans, kinds: list[str], control: str, rng: random.Random) -> Edges:
    """A size-matched control of a route: it hides as many other keys from every query as the route does.

    kinds: what every token is made of, as `modalities` says it; control: which of the others, as in Knockout. Never the first
    token, which is an attention sink. Nothing is cut where fewer than CHOICE times as many others stand before a query.
    """
    real, blocks = route.edges(spans), []
    names = sorted(set(kinds))
    made_of = torch.tensor([names.index(kind) for kind in kinds])
    for queries, keys in real.blocks:
        others = torch.isin(made_of, made_of[keys]) == (control == "random_same")
        others[keys], others[0] = False, False
        lost = torch.searchsorted(keys.sort().values, queries)  # how many each query sees of them
        for count in lost.unique().tolist():
            if count:
                alike = queries[lost == count]
                pool = others[: alike.min()].nonzero()[:, 0].tolist()
                if len(pool) < CHOICE * count:
                    return Edges((), False, real.length)
                blocks.append((alike, torch.tensor(sorted(rng.sample(pool, count)), dtype=torch.int64)))
    return Edges.visible(blocks, real.length)


def modalities(sequence) -> list[str]:
    """What every token of a Sequence is made of: "video" and "image" are "vision"; "audio"; all else is "text"."""
    kinds = {"video": "vision", "image": "vision", "audio": "audio"}
    atoms = {"video": "vision", "audio": "audio"}
    for item in sequence.question.media:
        if item.role != "video":
            atoms[f"candidate_{item.index}" if item.role == "candidate" else item.role] = kinds[item.kind]
    found = ["text"] * len(sequence)
    for atom, kind in atoms.items():
        for index in sequence.spans.atoms.get(atom, torch.empty(0)).tolist():
            found[int(index)] = kind
    return found

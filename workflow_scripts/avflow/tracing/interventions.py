"""What can be cut: a route between two spans, in a window of layers. Plain data, and the edges that it stands for.

An edge is a pair of tokens (query, key). A cut edge is masked in every head of the window's layers (paper, section 2.1), or only
in the heads that a `Knockout` names. Routes are written as
    source->target      keys of `source` are hidden from queries of `target`
    source<->target     both directions at once
    cross_frame, cross_audio_segment, cross_candidate
                        queries of one part cannot see any earlier part of the same modality
    video_sinks->target the tokens of a span, here video, that are attention sinks in a layer of the window; see `sink_spans`
Only visible edges count as cut, not those that the causal mask hides anyway. A query always keeps its own key. The exception is
a route from one token to itself, such as last->last, which cuts exactly that key.

A size-matched random control (`instead`) cuts the same number of randomly chosen keys before each query, instead of the route's.
"""

import math
import random
import re
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from ..errors import InputError
from ..models import Spans

CONTROLS = ("random_same", "random_other")
CHOICE = 1.5  # a control needs at least this many other keys per key that it cuts; taking nearly all of them is no random choice
STYLES = ("centred", "inverse", "top_down", "bottom_up")
ROUTE = re.compile(r"([A-Za-z0-9_.]+)(<->|->)([A-Za-z0-9_.]+)")
SINKS = "_sinks"  # ends the name of a source that holds a span's sinks
CROSS = {"cross_frame": "frame", "cross_audio_segment": "audio_segment", "cross_candidate": "candidate"}


@dataclass(frozen=True)
class Route:
    """Keys of span `source` are hidden from queries of span `target`; `both` also hides the reverse direction.

    across: "frame", "audio_segment" or "candidate" for a route between the parts of one modality, else None.
    """

    source: str
    target: str
    across: str | None = None
    both: bool = False

    @classmethod
    def parse(cls, text: str) -> "Route":
        """Read a route as config.yaml writes it. Raises InputError for any other form."""
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
        """The visible edges that this route cuts. Raises InputError if it names a span that the sequence does not have."""
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
    """Cut edges of a sequence of `length` tokens, as blocks of (queries (q,), keys (k,)). own: a query's own key is cut, too."""

    blocks: tuple
    own: bool
    length: int

    @classmethod
    def visible(cls, blocks, length, own=False):
        return cls(tuple((q, k) for q, k in blocks if len(q) and len(k)), own, length)

    @cached_property
    def classes(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Queries grouped by the keys that they lose: [(queries (q,), keys (k,))], both sorted.

        Queries that see none of their cut keys are left out. `keys` also hold those that the causal mask hides anyway.
        """
        if not self.blocks:
            return []
        member = np.zeros((self.length, len(self.blocks)), bool)
        for number, (queries, _) in enumerate(self.blocks):
            member[queries.numpy(), number] = True
        inside = np.flatnonzero(member.any(1))
        signatures = np.packbits(member[inside], 1)  # the bytes of a token say in which blocks it is a query
        names, own = np.unique(signatures.view(f"V{signatures.shape[1]}")[:, 0], return_inverse=True)
        found = []
        for number in range(len(names)):
            queries = torch.from_numpy(inside[own == number])
            here = [k for (_, k), named in zip(self.blocks, member[int(queries[0])]) if named]
            keys = torch.cat(here).unique()
            queries = queries[self._lost(queries, keys) > 0]
            if len(queries):
                found.append((queries, keys))
        return found

    def _lost(self, queries, keys) -> torch.Tensor:
        """How many of the cut `keys` each query would see (q,)."""
        return torch.searchsorted(keys, queries, right=self.own)

    @cached_property
    def count(self) -> int:
        """Number of visible edges that are cut."""
        return sum(int(self._lost(queries, keys).sum()) for queries, keys in self.classes)

    def blind(self) -> torch.Tensor:
        """Queries that would be left without any key (n,)."""
        found = [queries[self._lost(queries, keys) == queries + 1] for queries, keys in self.classes]
        return torch.cat(found) if found else torch.empty(0, dtype=torch.int64)

    def queries(self) -> torch.Tensor:
        """All queries that lose at least one key, sorted (n,)."""
        found = [queries for queries, _ in self.classes]
        return torch.cat(found).sort().values if found else torch.empty(0, dtype=torch.int64)

    def cut(self, rows: torch.Tensor, length: int) -> torch.Tensor:
        """Which keys are cut for the query positions `rows` (r,): bool (r, length). Only visible edges are True."""
        cut = torch.zeros(len(rows), length, dtype=torch.bool)
        for queries, keys in self.blocks:
            named = torch.zeros(length, dtype=torch.bool)
            named[keys] = True
            cut |= torch.isin(rows, queries)[:, None] & named
        position = torch.arange(length)
        return cut & (position <= rows[:, None] if self.own else position < rows[:, None])


@dataclass(frozen=True)
class Window:
    """The layers start..stop-1, in which a route is cut. Style inverse cuts it in all other layers.

    centre: the layer at which a figure plots the window.
    """

    start: int
    stop: int
    centre: int
    style: str
    width: int

    def covers(self, layer: int) -> bool:
        return (self.start <= layer < self.stop) != (self.style == "inverse")


def windows(layers: int, width: int, style: str = "centred", stride: int = 1) -> list[Window]:
    """One window for each centre c = 0, stride, 2 stride, .. of a model with `layers` layers.

    centred: layers max(0, c - width // 2) .. min(layers - 1, c + width // 2), clipped at the first and last layer (paper,
    section 2.1). inverse: all layers but those. top_down: c .. layers - 1. bottom_up: 0 .. c. Raises InputError for an unknown
    style, and for a width that is even or outside 1 .. layers.
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
    """One intervention: `route` is cut in the layers of `window`.

    cut: "mask" hides keys before the softmax, so the remaining keys gain their weight. "value_zero" keeps the weights and drops
    the values of the cut keys, so nothing is renormalised. "resample" puts the keys and values of the same tokens in another
    clip's clean run in their place (see `resampling`), so nothing is renormalised either. control: "none" cuts the route itself.
    "random_same" and "random_other" are size-matched random controls: random_same draws keys of the source's modality outside the
    source, random_other draws keys of other modalities. Any other control, such as random heads, cuts the route's own keys. draw:
    the number of the control's random draw. heads: the (layer, head) pairs in which the route is cut; empty for all heads of the
    window's layers.
    """

    route: Route
    window: Window
    cut: str = "mask"
    control: str = "none"
    draw: int = 0
    heads: tuple[tuple[int, int], ...] = ()

    @property
    def resolved(self) -> Route:
        """Its route, as it names the tokens. A source of sinks also has the window in its name: other layers have other sinks."""
        if not self.route.source.endswith(SINKS):
            return self.route
        layers = f"{self.window.style}.{self.window.start}.{self.window.stop}"
        return replace(self.route, source=f"{self.route.source}.{layers}")

    @property
    def target(self) -> tuple:
        """What determines the edges. Knockouts that differ only in window, cut or heads share it, unless they cut sinks."""
        return (self.resolved, self.control, self.draw) if self.control in CONTROLS else (self.resolved, "none", 0)

    @property
    def columns(self) -> dict:
        """The columns that identify this knockout in a table. No other knockout of the same prompt has the same values."""
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
            "heads": self._named_heads(),
        }

    def _named_heads(self) -> str:
        """The heads as text: all; "0,2" for these in every layer of the window; or "4:0,2 5:1" for others in layers 4 and 5."""
        layers = dict.fromkeys(sorted(layer for layer, _ in self.heads))
        named = {layer: ",".join(str(head) for at, head in sorted(self.heads) if at == layer) for layer in layers}
        if list(layers) == list(range(self.window.start, self.window.stop)) and len(set(named.values())) == 1:
            return named[self.window.start]
        return " ".join(f"{layer}:{heads}" for layer, heads in named.items()) or "all"

    def heads_in(self, layer: int) -> list[int]:
        """The heads that it names in a layer of its window."""
        return [head for at, head in self.heads if at == layer] if self.window.covers(layer) else []

    def covers(self, layer: int) -> bool:
        """Whether it cuts anything in a layer."""
        return bool(self.heads_in(layer)) if self.heads else self.window.covers(layer)

    def mean_share(self, shares: list) -> float:
        """The mean of shares of attention, by layer or by layer and head, over what it cuts. NaN if it cuts in no layer."""
        found = []
        for layer in filter(self.covers, range(len(shares))):
            by_head = shares[layer] if isinstance(shares[layer], list) else [shares[layer]]
            some = [by_head[head] for head in self.heads_in(layer)] or by_head
            found.append(sum(some) / len(some))
        return sum(found) / len(found) if found else math.nan

    def cut_heads(self, layers: int, heads: int) -> tuple[tuple[bool, ...], ...]:
        """For each layer, which of a model's heads are cut (layers, heads); empty if all are. InputError for an unknown head."""
        unknown = [pair for pair in self.heads if not (0 <= pair[0] < layers and 0 <= pair[1] < heads)]
        if unknown:
            raise InputError(
                f"layer {unknown[0][0]}, head {unknown[0][1]}: the model has {layers} layers with {heads} heads each"
            )
        named = [self.heads_in(layer) for layer in range(layers)] if self.heads else []
        return tuple(tuple(head in some for head in range(heads)) for some in named)

    def edges(self, sequence, seed: int) -> Edges:
        """The visible edges that it cuts in a Sequence. For a control, `instead` draws them; `seed` decides the draws."""
        if self.control not in CONTROLS:
            return self.resolved.edges(sequence.spans)
        rng = random.Random(f"{seed}/{sequence.question.question_id}/{self.route}/{self.control}/{self.draw}")
        return instead(self.resolved, sequence.spans, modalities(sequence), self.control, rng)


def instead(route: Route, spans: Spans, kinds: list[str], control: str, rng: random.Random) -> Edges:
    """A size-matched random control of a route: from every query it hides the same number of keys, drawn outside the source.

    kinds: every token's modality, from `modalities`. control: which keys may be drawn, as in `Knockout`. The first token is
    never drawn, because it is an attention sink. Queries that lose equally many keys get the same draw, from the keys before the
    first of them. The control cuts nothing at all if, for any of them, fewer than CHOICE times as many keys can be drawn.
    """
    real, blocks = route.edges(spans), []
    names = sorted(set(kinds))
    made_of = torch.tensor([names.index(kind) for kind in kinds])
    for queries, keys in real.blocks:
        others = torch.isin(made_of, made_of[keys]) == (control == "random_same")
        others[keys], others[0] = False, False
        lost = torch.searchsorted(keys.sort().values, queries)  # how many of them each query sees
        for count in lost.unique().tolist():
            if count:
                alike = queries[lost == count]
                pool = others[: alike.min()].nonzero()[:, 0].tolist()
                if len(pool) < CHOICE * count:
                    return Edges((), False, real.length)
                blocks.append((alike, torch.tensor(sorted(rng.sample(pool, count)), dtype=torch.int64)))
    return Edges.visible(blocks, real.length)


def modalities(sequence) -> list[str]:
    """The modality of every token of a Sequence: "vision" (video and images), "audio" or "text" (all else)."""
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

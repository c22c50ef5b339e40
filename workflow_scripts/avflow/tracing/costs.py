"""Count what tracing costs before it starts: tokens from the sampling of media, and rows and operations from tokens.

`rates` makes seconds of them. `ideal` is the number of rows that must be computed, in units of clean forwards.
"""

import csv
import math
import random
from dataclasses import dataclass
from types import SimpleNamespace

import torch

from ..errors import InputError
from ..media import SAMPLE_RATE, Clip, Sampling, plan
from ..media.frame_plan import grids
from ..media.sampling import resized_shape
from ..models import Spans
from .interventions import SINKS, Route, instead, windows

TEXT = {"system": 40, "instruction": 30, "question_text": 30, "option": 15, "tail": 4}  # tokens, about as in the benchmarks
AUDIO_PER_SECOND = {"qwen_omni": 25, "qwen3_omni": 13, "video_salmonn": 2}
FPS = 30  # pictures per second of a typical clip
CHUNK_SECONDS = 30  # video-SALMONN 2+ pads every sound to whole chunks of this length
ROW_BYTES = 39  # bytes per knockout row in a parquet file, measured in the miniature


@dataclass(frozen=True)
class Shape:
    """A decoder's size, from resources/published/models.csv.

    head: numbers per head. intermediate: width of the MLP, or of all experts together that a token goes through. experts: how
    many a router chooses from, and chosen: how many it chooses; 0 without one. levels: of DeepStack's features.
    """

    size: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head: int
    intermediate: int
    experts: int
    chosen: int
    levels: int
    parameters: int


@dataclass(frozen=True)
class Medium:
    """One clip, picture or sound: frames, temporal grids, tokens per grid, audio tokens, and pixels per frame."""

    frames: int
    grids: int
    per_grid: int
    audio: int
    pixels: int

    @property
    def tokens(self) -> int:
        return self.grids * self.per_grid + self.audio


def layer_flops(shape: Shape, rows: int, pairs: float | None = None) -> float:
    """Floating-point operations of one decoder layer on `rows` tokens: projections, SwiGLU and attention.

    A multiply-add counts as two. Query and output projections have hidden x heads x head_dim weights each, key and value
    projections hidden x kv heads x head_dim each (grouped queries), and SwiGLU 3 x hidden x intermediate. pairs: the number of
    (query, key) pairs that attend, by default the causal rows x (rows + 1) / 2. A router has hidden x experts weights.
    """
    weights = 2 * shape.head * (shape.heads + shape.kv_heads) + 3 * shape.intermediate + shape.experts
    pairs = rows * (rows + 1) / 2 if pairs is None else pairs
    return 2 * rows * shape.hidden * weights + 4 * pairs * shape.heads * shape.head


def flops(shape: Shape, tokens: int) -> float:
    """Floating-point operations of one forward through all decoder layers, without the head."""
    return shape.layers * layer_flops(shape, tokens)


def prefill_flops(shape: Shape, rows, vocabulary: int) -> float:
    """Floating-point operations of a prompt with `rows` tokens, one number per layer, and of the head on the last token."""
    return sum(layer_flops(shape, n) for n in rows) + 2 * shape.hidden * vocabulary


def kv_bytes(shape: Shape, rows, item_bytes: int) -> int:
    """Bytes of the keys and values of a prompt with `rows` tokens, one number per layer; item_bytes per number."""
    return 2 * sum(rows) * shape.kv_heads * shape.head * item_bytes


def shape_of(config, size: str = "") -> Shape:
    """The Shape of a Hugging Face text config. Its `levels` and `parameters` stay 0."""
    layers, hidden, heads, kv_heads = (
        getattr(config, name) for name in ("num_hidden_layers", "hidden_size", "num_attention_heads", "num_key_value_heads")
    )
    head = getattr(config, "head_dim", None) or hidden // heads
    chosen = getattr(config, "num_experts_per_tok", 0)
    wide, experts = (chosen * config.moe_intermediate_size, config.num_experts) if chosen else (config.intermediate_size, 0)
    return Shape(size, layers, hidden, heads, kv_heads, head, wide, experts, chosen, 0, 0)


def audio_tokens(family: str, seconds: float) -> int:
    """Tokens of a sound, padding included. Raises InputError for a family without an entry in AUDIO_PER_SECOND."""
    if family not in AUDIO_PER_SECOND:
        raise InputError(f"audio tokens per second of the family {family!r} are not known; add them to costs.AUDIO_PER_SECOND")
    if family == "video_salmonn":
        seconds = math.ceil(max(seconds, 1) / CHUNK_SECONDS) * CHUNK_SECONDS
    return round(AUDIO_PER_SECOND[family] * seconds)


def medium(family: str, sampling: dict, kind: str, seconds: float, width: int, height: int) -> Medium:
    """The Medium that a file becomes. kind: "video" (with sound), "image" or "audio"; width and height in pixels."""
    how = Sampling.of(sampling)
    audio = 0 if kind == "image" else audio_tokens(family, min(seconds, how.audio_seconds))
    if kind == "audio":
        return Medium(0, 0, 0, audio, 0)
    if kind == "image":
        h, w = resized_shape(height, width, how.multiple, how.min_pixels, how.max_pixels)
        return Medium(1, 1, h * w // how.multiple**2, audio, h * w)
    clip = Clip(round(FPS * seconds), seconds, FPS, height, width, round(SAMPLE_RATE * seconds), sum(TEXT.values()))
    found = plan(clip, how)
    return Medium(found.count, grids(found.count), found.visual // grids(found.count), audio, found.height * found.width)


def skeleton(setting: str, video: Medium | None, candidate: Medium | None, reference: Medium | None, unions: dict) -> Spans:
    """The spans of a typical question with media of the given sizes, in the layout of Eq. 1 (av_video) or Eq. 3 (items).

    The first token of a frame, a segment of sound or any other part counts as a sink.
    """
    labels, parts = ["system"] * TEXT["system"], {}

    def add(label, count, part=None):
        if part:
            parts[part] = list(range(len(labels), len(labels) + count))
        labels.extend([label] * count)

    if setting == "av_video":
        for grid in range(video.grids):
            add("video", video.per_grid, f"frame_{grid}")
            upto = [video.audio * g // video.grids for g in (grid, grid + 1)]
            add("audio", upto[1] - upto[0], f"audio_segment_{grid}")
        add("instruction", TEXT["instruction"])
    else:
        for number in range(1, 5):
            add(f"candidate_{number}", candidate.tokens)
    add("question_text", TEXT["question_text"])
    if setting == "items":
        add("reference", reference.tokens)
    for letter in "ABCD":
        add(f"option_{letter}", TEXT["option"])
    if setting == "items":
        add("instruction", TEXT["instruction"])
    add("tail", TEXT["tail"])
    add("last", 1)
    right = {"correct_option": ["option_A"], "incorrect_options": ["option_B", "option_C", "option_D"]}
    right |= {"correct_candidate": ["candidate_1"], "incorrect_candidates": [f"candidate_{n}" for n in (2, 3, 4)]}
    spans = Spans(labels, {name: at for name, at in parts.items() if at}, unions, right)
    first = torch.cat([at[:1] for at in [*spans.atoms.values(), *spans.group("frame"), *spans.group("audio_segment")]])
    sinks = {f"{name}{SINKS}": spans[name][torch.isin(spans[name], first)] for name in spans.names()}
    return spans.with_parts(sinks)


def sweep(spans: Spans, layers: int, budgets: list[dict], width: int, heads: tuple = (1, 1)) -> tuple[float, int]:
    """Cost of one question's knockouts: `ideal` clean forwards, including the clean run, and the number of knockouts.

    Controls that do not apply are not counted. In items, candidates count as pictures and the reference as a sound.
    heads: numbers of query heads and of key-value heads.
    """
    rows = count = 0
    kinds = ["text"] * spans.length
    for name, kind in {"video": "vision", "candidates": "vision", "audio": "audio", "reference": "audio"}.items():
        for token in spans[name].tolist() if name in spans else ():
            kinds[token] = kind
    for budget, route, first, starts, _ in _cuts(spans, layers, budgets, width):
        controls = {name: draws for name, draws in budget.get("controls", {}).items() if draws}
        draws = sum(n for name, n in controls.items() if instead(route, spans, kinds, name, random.Random(0)).count)
        apart = {"each": heads[0], "groups": heads[1]}.get(budget.get("heads"), 0)  # cuts in single heads, for each cut in all
        if strongest := budget.get("strongest"):
            apart = len(strongest["shares"]) * (1 + strongest["draws"])
        copies = (1 + draws + bool(budget.get("value_zero")) + apart) * orders_of(budget)
        copies *= budget.get("parts", {}).get(route.source, 1)  # a source that is cut part by part
        rows += copies * (spans.length - first) * sum(layers - start for start in starts)
        count += copies * len(starts)
    sinks = any(Route.parse(route).source.endswith(SINKS) for budget in budgets for route in budget["routes"])
    return 1 + sinks + rows / (spans.length * layers), count  # sinks are found in a clean run of their own


def once_per_clip(spans: Spans, layers: int, budgets: list[dict], width: int) -> tuple[float, int]:
    """The part of `sweep` that further questions about the same clip do not repeat (see `packs`).

    It is the clean run up to the question, and the knockouts whose tokens all stand before it. Random controls differ between
    questions, and so do other orders of a prompt.
    """
    shared, rows, count = shared_tokens(spans), 0, 0
    for budget, _, first, starts, last in _cuts(spans, layers, budgets, width):
        if last < shared:
            copies = 1 + bool(budget.get("value_zero"))
            rows += copies * (shared - first) * sum(layers - start for start in starts)
            count += copies * len(starts)
    return (shared * layers + rows) / (spans.length * layers), count


def shared_tokens(spans: Spans) -> int:
    """How many first tokens a question has in common with others about the same clip; 0 for items."""
    return int(spans["question_text"].min()) if "video" in spans else 0


def _cuts(spans, layers, budgets, width):
    """Yield for every budget and route that cuts something: both, the first row, the windows' first layers, the last token."""
    for budget in budgets:
        widths = [w for w in budget.get("widths", [width]) if w <= layers]
        shapes = [(style, w) for style in budget.get("styles", ["centred"]) for w in widths]
        cut = [w for style, k in shapes for w in windows(layers, k, style, budget.get("stride", 1))]
        if budget.get("strongest"):
            cut = windows(layers, width, "top_down", layers)  # one window of all layers
        if budget.get("parts"):
            cut += windows(layers, width, "top_down", layers)
        for route in map(Route.parse, budget["routes"]):
            losing = [(queries[queries > keys.min()], keys) for queries, keys in route.edges(spans).blocks]
            losing = [pair for pair in losing if len(pair[0])]
            if losing:
                first = min(int(queries.min()) for queries, _ in losing)
                last = max(int(x.max()) for pair in losing for x in pair)
                yield budget, route, first, [0 if w.style == "inverse" else w.start for w in cut], last


def orders_of(budget: dict) -> int:
    """In how many orders a budget asks a question. Its own comes once, though it is called default and either original or eq3."""
    names = set(budget.get("layouts", ["default"]))
    return len(names) - ({"default", "original", "eq3"} <= names)


def discards(spans: Spans, layers: int, kinds: list[str], draws: int, stride: int) -> tuple[float, int]:
    """Cost of one question's discards: `ideal` clean forwards, including the clean run, and the number of discards.

    Every span of `kinds` is discarded alone, and all of them together, after every layer but the last, in steps of `stride`.
    Each has `draws` random controls of the same size.
    """
    after, rows, count = range(0, layers - 1, stride), 0, 0
    remaining = sum(layers - 1 - layer for layer in after)
    for tokens in [*(spans[kind] for kind in kinds), torch.cat([spans[kind] for kind in kinds])]:
        if len(tokens):
            rows += (spans.length - len(tokens) - int(tokens.min())) * remaining
            rows += draws * (spans.length - len(tokens)) * remaining  # random tokens begin near the start
            count += (1 + draws) * len(after)
    return 1 + rows / (spans.length * layers), count


def shapes_of(rows) -> dict[str, Shape]:
    """Model -> Shape, from the rows of resources/published/models.csv."""
    names = ("layers", "hidden", "heads", "kv_heads", "head", "intermediate", "experts", "chosen", "levels", "parameters")
    return {r["model"]: Shape(r["size"], *(int(r[n]) for n in names)) for r in map(dict, rows)}


def rows_of(path) -> list[dict]:
    """The rows of a csv file, such as resources/published/models.csv."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def facts_of(rows) -> dict[str, SimpleNamespace]:
    """Dataset -> its published facts, from the rows of resources/published/datasets.csv. An unknown number is NaN."""
    number = lambda text: float(text) if text else math.nan
    keys = lambda row: {k: v if k in ("dataset", "source") else number(v) for k, v in row.items()}
    return {row["dataset"]: SimpleNamespace(**keys(row)) for row in rows}

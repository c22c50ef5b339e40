"""Discarding tokens: once the information in a kind of token has moved on, its rows are removed (paper, section 6, Table 4).

After layer L, the rows of discarded tokens are removed from the residual stream. The surviving tokens keep their order and their
position ids. Later layers compute and cache fewer keys and values. Decoding goes on from these caches, which are full up to
layer L and shorter above. No mask is needed, because the causal rule still says what a survivor sees.

    generate         removes the rows while it runs the prompt (`prefill`), then decodes
    prefill_all      the prompt under many settings, which share the layers up to where they differ
    masked_generate  the reference: nothing is removed, but above layer L neither survivors nor generated tokens attend to
                     discarded tokens
    sweep            the answers of `prefill` for many L, computed from one clean run

A discard after layer L changes nothing up to layer L, and nothing in the rows before the first discarded token. So for each L the
sweep starts from the clean run's states after layer L, and recomputes only the survivors behind the first discarded token.
"""

import random
from dataclasses import dataclass

import torch

from ..errors import InputError
from ..models import Sequence, following
from .decoder import CleanRun, causal_mask, entered, last_logits, last_row_attention, masked_run, ready, rotary
from .generation import Cache, decode
from .interventions import modalities
from .kept_keys import Block, Cut
from .row_attention import Rows, together
from .segments import Packed, put

VISION = "vision"  # a name beside those of spans: all tokens of videos and images


@dataclass(frozen=True)
class Discard:
    """Remove the tokens of a span, or of "vision", after a layer, counted from 0.

    keep: the share of them that stays. These are the tokens that the last token attends to most in that layer, as a mean over
    heads (FastV, arXiv 2403.06764, section 4.1). 0 removes all of them.
    """

    tokens: str
    layer: int
    keep: float = 0.0


@dataclass(frozen=True)
class Drop:
    """What is removed after one layer: of `tokens` (n,), sorted positions in the sequence, all but the `kept` most attended."""

    tokens: torch.Tensor
    kept: int = 0

    @property
    def count(self) -> int:
        return len(self.tokens) - self.kept


def tokens_of(sequence: Sequence, name: str) -> torch.Tensor:
    """Positions (n,) of a span, or of "vision". Raises InputError for a span that the sequence does not have."""
    if name == VISION:
        return torch.tensor([i for i, kind in enumerate(modalities(sequence)) if kind == "vision"], dtype=torch.int64)
    return sequence.spans[name]


def resolve(sequence: Sequence, discards: list[Discard], layers: int) -> dict[int, Drop]:
    """What is removed after which layer: {layer: Drop}. A token that is named twice is removed at its first layer.

    Raises InputError for an unknown span, a layer outside the model, a `keep` below 0 or not below 1, the last token, a discard
    with `keep` that shares its layer with another, and a first survivor that would see no key but its own.
    """
    question, last = sequence.question.question_id, len(sequence) - 1
    found, gone = {}, torch.zeros(len(sequence), dtype=torch.bool)
    for discard in sorted(discards, key=lambda d: d.layer):
        where = f"discard of {discard.tokens} after layer {discard.layer} in question {question}"
        if not 0 <= discard.layer < layers:
            raise InputError(f"{where}: the model has layers 0 to {layers - 1}; name one of them")
        if not 0 <= discard.keep < 1:
            raise InputError(f"{where}: keep is {discard.keep}; it must be from 0 to below 1")
        try:
            tokens = tokens_of(sequence, discard.tokens)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        if (tokens == last).any():
            raise InputError(f"{where}: the last token gives the answer and must stay; name spans without it")
        tokens = tokens[~gone[tokens]]
        kept = round(discard.keep * len(tokens))
        if discard.layer in found and (kept or found[discard.layer].kept):
            raise InputError(f"{where}: a discard with keep cannot share its layer with another; use another layer")
        before = found[discard.layer].tokens if discard.layer in found else tokens[:0]
        found[discard.layer] = Drop(torch.cat([before, tokens]).sort().values, kept)
        if not kept:
            gone[tokens] = True
    alive = (~gone).nonzero()[:, 0]
    if len(alive) and alive[0] > 0:
        raise InputError(
            f"question {question}: token {int(alive[0])} would keep no key but its own; keep tokens before it, such as system"
        )
    return {layer: drop for layer, drop in found.items() if drop.count}


def random_drops(sequence: Sequence, drops: dict[int, Drop], seed: int, draw: int) -> dict[int, Drop]:
    """The size-matched random control: after each layer, the same number of random tokens is removed.

    They may be of any kind. The first token, an attention sink, and the last are never drawn.
    """
    rng = random.Random(f"{seed}/{sequence.question.question_id}/discard/{sorted(drops)}/{draw}")
    pool = list(range(1, len(sequence) - 1))
    rng.shuffle(pool)
    found = {}
    for layer in sorted(drops):
        chosen, pool = pool[: drops[layer].count], pool[drops[layer].count :]
        found[layer] = Drop(torch.tensor(sorted(chosen), dtype=torch.int64))
    return found


@dataclass(frozen=True)
class Prefilled:
    """The state after the prompt: the last token's logits (V,) fp32, the cache, and how many rows each layer computed."""

    logits: torch.Tensor
    cache: Cache
    rows: tuple[int, ...]


@dataclass(frozen=True)
class Step:
    """What `prefill` does after a layer: the rows that stay, the ranked rows, and how many of these stay.

    Rows are numbered among those still present, on the device. key: equal for steps that do the same.
    """

    stay: torch.Tensor
    ranked: torch.Tensor
    kept: int
    key: tuple


def schedule(drops: dict[int, Drop], length: int, device) -> dict[int, Step]:
    """The step after each layer that has one. All of it is planned in advance, so that the CPU never waits for the GPU.

    Raises InputError if ranked tokens are followed by a later discard.
    """
    alive, steps = torch.arange(length), {}
    for layer in sorted(drops):
        here = torch.isin(alive, drops[layer].tokens)
        stay, ranked = (some.nonzero()[:, 0] for some in (~here, here))
        key = stay.numpy().tobytes(), drops[layer].kept
        steps[layer] = Step(put(stay, device), put(ranked, device), drops[layer].kept, key)
        alive = alive[~here]
        if drops[layer].kept and layer != max(drops):
            raise InputError("a discard with keep must be the last; discard other tokens after earlier layers")
    return steps


def prefill(model, sequence: Sequence, drops: dict[int, Drop], steps: dict | None = None) -> Prefilled:
    """Run the prompt and remove rows as `drops` says; without drops it is the clean run.

    steps: the drops' `schedule`, which is computed here if it is None.
    """
    steps = schedule(drops, len(sequence), sequence.embeds.device) if steps is None else steps
    return next(state for _, state in _prefilled(model, sequence, [steps]))


def prefill_all(model, sequence: Sequence, settings: list[dict[int, Drop]], work) -> list:
    """work(Prefilled) of each setting, as `prefill` gives it. Layers that settings have in common are computed once.

    Only one path of layers is held at a time, so `work` should keep no cache.
    """
    found, device = [None] * len(settings), sequence.embeds.device
    for number, state in _prefilled(model, sequence, [schedule(drops, len(sequence), device) for drops in settings]):
        found[number] = work(state)
    return found


@torch.inference_mode()
def _prefilled(model, sequence: Sequence, steps: list[dict]):
    """The number and the state of each setting, as soon as it is known."""
    ready(model)
    layers, x = model.decoder.layers, sequence.embeds[None]  # (1, S, D)
    cos, sin = rotary(model, sequence.positions[:, None], x)
    waiting = [(0, x, cos, sin, sequence.deepstack, Cache(), (), list(range(len(steps))))]
    while waiting:
        number, x, cos, sin, deepstack, cache, rows, members = waiting.pop()
        rows, states = (*rows, x.shape[1]), x
        x = layers[number](x, attention_mask=None, position_embeddings=(cos, sin), past_key_values=cache)
        x = entered(x, deepstack, number)
        if number + 1 == len(layers):
            logits = last_logits(model, x[:, -1])[0]
            yield from ((m, Prefilled(logits, cache, rows)) for m in members)
            continue
        alike = {}  # settings that remove the same rows here
        for m in members:
            step = steps[m].get(number)
            alike.setdefault(step and step.key, (step, []))[1].append(m)
        for step, some in alike.values():
            kept = (x, cos, sin, deepstack)
            if step:
                stay = step.stay
                if step.kept:
                    weights = last_row_attention(model, number, states[:, -1], cache.layers[number][0], cos, sin).mean(
                        0
                    )  # (rows,)
                    stay = torch.cat([stay, step.ranked[weights[step.ranked].topk(step.kept).indices]]).sort().values
                kept = [t.index_select(1, stay) for t in kept]
            waiting.append((number + 1, *kept, cache.copy() if len(alike) > 1 else cache, rows, some))


def generate(model, sequence: Sequence, drops: dict[int, Drop], tokens: int) -> tuple[list[int], torch.Tensor]:
    """Greedy decoding after discarding: `tokens` token ids, and the logits (tokens, V) fp32 from which each was chosen."""
    state, position = prefill(model, sequence, drops), following(sequence)
    ids, logits = [], [state.logits]
    for step in range(tokens):
        ids.append(logits[-1].argmax())
        if step + 1 < tokens:
            logits.append(decode(model, state.cache, ids[-1][None], position + step))
    return torch.stack(ids).tolist(), torch.stack(logits)


def masks(drops: dict[int, Drop], length: int, device):
    """A function from a layer's number to a mask (1, length, length) bool that hides removed tokens from surviving ones.

    Raises InputError for ranked tokens, because only a run decides which of them stay.
    """
    if any(drop.kept for drop in drops.values()):
        raise InputError("a discard with keep has no mask, because only the run decides which tokens stay; use keep 0")
    after, made = torch.full((length,), 1 << 30), {}
    for layer in sorted(drops, reverse=True):
        after[drops[layer].tokens] = layer

    def of(number: int) -> torch.Tensor:
        gone = after < number
        key = int(gone.sum())
        if key not in made:
            made[key] = (causal_mask(length) & ~(gone & ~gone[:, None]))[None].to(device)
        return made[key]

    return of


@torch.inference_mode()
def masked_generate(model, sequence: Sequence, drops: dict[int, Drop], tokens: int) -> tuple[list[int], torch.Tensor]:
    """The same result as `generate`, by masks alone: one full forward over prompt and answer for every generated token."""
    ids, logits, position = [], [], following(sequence)
    for step in range(tokens):
        logits.append(masked_run(model, sequence, masks(drops, len(sequence), sequence.embeds.device))[0])
        ids.append(logits[-1].argmax())
        sequence = sequence.continued(model.decoder.get_input_embeddings()(ids[-1][None]), position + step)
    return torch.stack(ids).tolist(), torch.stack(logits)


@torch.inference_mode()
def sweep(model, run: CleanRun, tokens: torch.Tensor, after: list[int], most_rows: int) -> torch.Tensor:
    """Discard `tokens` (n,), sorted, after each of the layers `after`: the last token's logits (len(after), V) fp32, exact.

    run: from `clean_run`, which must keep the rows from the first discarded token on. most_rows: rows per pass, from
    `knockout.plan`.
    """
    last = len(run.inputs) - 1
    unchanged = last_logits(model, run.final[-1:])
    if not len(tokens):
        return unchanged.expand(len(after), -1)
    stays = torch.ones(run.cos.shape[1], dtype=torch.bool)
    stays[tokens] = False
    first = int(tokens[0])
    rows = stays.nonzero()[:, 0][first:]  # only survivors behind the first discarded token change
    early = sorted(set(after) - {last})
    found = dict(zip(early, continued(model, run, rows, first, early, most_rows))) if early else {}
    return torch.stack([unchanged[0] if layer == last else found[layer] for layer in after])


@torch.inference_mode()
def continued(model, run: CleanRun, rows: torch.Tensor, before: int, after: list[int], most_rows: int) -> torch.Tensor:
    """Run only `rows` (r,), sorted, after each of the layers `after`, sorted: the last row's logits (len(after), V) fp32.

    The rows start from the clean run's states after that layer; layer -1 stands for the embeddings. They attend to themselves
    and to the clean keys and values of the first `before` tokens. All variants go through the decoder as one stack, and each
    joins after its layer.
    """
    layers, found = len(run.inputs), []
    at, place, length = put(rows - run.first, run.device), put(rows, run.device), before + len(rows)
    rotated, deepstack = [table[:, place] for table in (run.cos, run.sin)], run.deepstack[:, place]
    cut, packed = Cut(None, before, length), Packed()
    many = max(1, most_rows // len(rows))
    attention = {n: together([Block([cut] * n)], packed) for n in range(1, min(many, len(after)) + 1)}
    packed.put(run.device)
    for start in range(0, len(after), many):
        batch = after[start : start + many]
        x = None  # (variants, R, D)
        for number in range(batch[0] + 1, layers):
            if number - 1 in batch:
                joining = run.inputs[number].to(run.device, non_blocking=True)[at][None]
                x = joining if x is None else torch.cat([x, joining])
            n = len(x)
            clean = (kept[number][:length].to(run.device, non_blocking=True) for kept in (run.keys, run.values))
            mask = Rows(attention[n], *clean)
            tables = tuple(table.expand(n, -1, -1).flatten(0, 1)[None] for table in rotated)
            x = model.decoder.layers[number](x.flatten(0, 1)[None], attention_mask=mask, position_embeddings=tables)[0]
            x = entered(x.unflatten(0, (n, -1)), deepstack, number)
        found.append(last_logits(model, x[:, -1]))
    return torch.cat(found)

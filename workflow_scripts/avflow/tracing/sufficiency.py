"""Are the routes that were found sufficient? Keep only those open, in the layers where they matter, and close all others.

    1. The tested edges are those of all routes that an analysis of knockouts cut.
    2. A route is found in a layer if cutting it in the window centred there lowers the answer's probability by at least a
       threshold (in %), as a mean over the questions of at least one group of tasks (`effects`).
    3. In each layer, the tested edges of the routes found there stay open. All other tested edges are closed (`Tested.found`).
       Edges that no route tests, such as those within the question or within a frame, always stay open.
    4. The control keeps the same number of tested edges, drawn at random and spread evenly over the layers (`Tested.random`).

A lower threshold keeps more edges. This is the effective-pathway analysis of "Map the Flow" (ICLR 2026), with seeded draws.
"""

import math
import random

import numpy as np
import pyarrow.parquet as pq
import torch

from ..errors import InputError
from ..models import Sequence, halving
from ..questions import layouts
from . import readout
from .decoder import causal_mask, masked_run
from .interventions import Route

MASK_ELEMENTS = 2**28  # booleans held at once for one layer's masks: 256 MiB


def effects(paths, model: str, dataset: str, width: int, layers: int) -> dict[str, np.ndarray]:
    """Each route's change of the answer's probability by layer (L,), in %: the lowest of the groups' means.

    paths: parquet tables of knockouts. Only centred windows, mask cuts and the default order of the prompt count, and only
    questions with options that the model answers correctly with nothing cut. A layer without a centre takes the value of the
    nearest one.
    Raises InputError if the tables hold no such cut of the model in the dataset.
    """
    columns = ["route", "group", "centre", "logp_base", "p_base_clean", "reply_tokens"]
    keep = [
        ("model", "=", model),
        ("dataset", "=", dataset),
        ("control", "=", "none"),
        ("cut", "=", "mask"),
        ("width", "=", width),
    ]
    keep += [("style", "=", "centred"), ("applicable", "=", True), ("correct_clean", "=", True)]
    keep += [("layout", "not in", layouts.NAMES)]
    changes = {}
    for path in paths:
        for row in pq.read_table(path, columns=columns, filters=keep).to_pylist():
            if row["reply_tokens"] is not None:
                continue
            change = 100 * (math.exp(row["logp_base"]) / row["p_base_clean"] - 1)
            changes.setdefault(row["route"], {}).setdefault(row["group"], {}).setdefault(row["centre"], []).append(change)
    if not changes:
        raise InputError(
            f"{', '.join(map(str, paths))}: no cut of {model} in {dataset} in windows of {width} layers;"
            " give knockout/cuts an analysis of that dataset"
        )
    found = {}
    for route, groups in changes.items():
        lowest = np.full(layers, np.inf)
        for centres in groups.values():
            at = sorted(centres)
            nearest = [min(at, key=lambda c, layer=layer: abs(c - layer)) for layer in range(layers)]
            lowest = np.minimum(lowest, [np.mean(centres[c]) for c in nearest])
        found[route] = lowest
    return found


class Tested:
    """The tested edges of a sequence, and which of them a variant keeps."""

    def __init__(self, sequence: Sequence, changes: dict[str, np.ndarray], device):
        """changes: from `effects`, one entry per tested route."""
        length, self.changes, self.device = len(sequence), changes, device
        rows = torch.arange(length)
        self.routes = {r: Route.parse(r).edges(sequence.spans).cut(rows, length).to(device) for r in changes}
        self.open = causal_mask(length, device)
        self.all = torch.stack(list(self.routes.values())).any(0)  # (S, S)
        self.places = self.all.flatten().nonzero()[:, 0]
        self.count, self.layers = len(self.places), len(next(iter(changes.values())))

    def found(self, threshold: float):
        """A function from a layer to the tested edges kept there (S, S) bool: those of routes that lose `threshold` % or more."""

        def kept(layer):
            chosen = [edges for route, edges in self.routes.items() if self.changes[route][layer] <= -threshold]
            return torch.stack(chosen).any(0) if chosen else torch.zeros_like(self.all)

        return kept

    def random(self, count: int, seed: int):
        """A function from a layer to the tested edges kept there (S, S) bool: `count` in all layers together, drawn at random.

        Every layer keeps equally many, give or take one. The same seed draws other edges on a GPU than on a CPU.
        """
        each, rest = divmod(count, self.layers)

        def kept(layer):
            generator = torch.Generator(self.device).manual_seed(seed * self.layers + layer)
            drawn = torch.randperm(self.count, generator=generator, device=self.device)[: each + (layer < rest)]
            chosen = torch.zeros_like(self.all).flatten()
            chosen[self.places[drawn]] = True
            return chosen.view_as(self.all)

        return kept

    def visible(self, kept, layer: int) -> torch.Tensor:
        """A variant's mask in a layer: all edges are open except tested ones that it does not keep."""
        return self.open & ~(self.all & ~kept(layer))


def keep_only(model, sequence: Sequence, changes: dict, thresholds: list[float], draws: int, seed: int) -> list[dict]:
    """One row per variant: kind, threshold, draw, number and share of tested edges kept, and the answer.

    kind: "all" keeps every tested edge and "none" keeps none; "found" keeps those of the routes found; "random" keeps the same
    number of random ones. logp_base: the variant's log-probability of the token that the uncut model gives. kept: whether the
    variant still gives that token. Every batch holds the uncut run as its base, under the same kind of mask.
    """
    device = sequence.embeds.device
    tested = Tested(sequence, changes, device)
    nothing = torch.zeros_like(tested.all)
    variants = [("all", [0.0], 0, tested.count * tested.layers, lambda _: tested.all), ("none", [0.0], 0, 0, lambda _: nothing)]
    alike = {}  # edges kept -> thresholds; a higher threshold keeps a subset, so equal counts are equal edges
    for threshold in thresholds:
        kept = tested.found(threshold)
        alike.setdefault(sum(int(kept(layer).sum()) for layer in range(tested.layers)), []).append(threshold)
    for count, some in alike.items():
        variants.append(("found", some, 0, count, tested.found(some[0])))
        for draw in range(draws):
            rng = random.Random(f"{seed}/{sequence.question.question_id}/{count}/{draw}")
            variants.append(("random", some, draw, count, tested.random(count, rng.getrandbits(40))))

    def run(some):
        rows = []
        logits = masked_run(
            model,
            sequence,
            lambda layer: torch.stack([tested.open, *(tested.visible(kept, layer) for *_, kept in some)]),
        )
        compared = readout.compare(sequence, logits, logits[:1].expand(len(logits), -1))
        for (kind, alike, draw, count, _), one, i in zip(some, logits[1:], range(1, len(logits))):
            row = {"kind": kind, "draw": draw, "n_kept_edges": count}
            row["share"] = count / (tested.count * tested.layers)
            row["kept"] = int(one.argmax()) == compared["base_token"][0]
            row |= {name: compared[name][i] for name in ("answer", "logp_base", "p_base_clean", "correct_clean")}
            rows += [{**row, "threshold": threshold} for threshold in alike]
        return rows

    size = max(1, MASK_ELEMENTS // len(sequence) ** 2 - 1)
    batches = (variants[start : start + size] for start in range(0, len(variants), size))
    return [row for some in batches for row in halving(run, some)]

"""Attention knockout: cut a route in a window of layers and see what the answer loses (paper, section 2.1).

`sweep` is exact and incremental. With keys hidden from queries in layers [a, b), nothing changes before layer a, and nothing
ever changes in rows before the first of these queries. So one clean run serves all interventions: each starts at its first
cut layer from the clean run's states, and recomputes only the rows from its first query on, which attend to the clean keys
and values of the rows before. Interventions with the same first query are stacked and go through the layers together, each
joining when its window opens: one row for X->last, the question and what follows for X->question.

`naive` is the reference: one full masked forward for every route and window.

In both, every batch carries a null row, nothing cut, and that row is the base its variants are compared with.
"""

import math

import torch

from .decoder import CleanRun, causal_mask, cut_mass, last_logits, masked_run, rows_layer
from .errors import InputError
from .interventions import Knockout
from .readout import compare
from .sequence import Sequence


def _refuse_blind_rows(route, edges, length):
    """A row that keeps no key has no defined attention: kernels disagree (zeros, or the mean of all keys, future included)."""
    rows = edges.queries()
    blind = rows[(edges.cut(rows, length).sum(1) == rows + 1).nonzero()[:, 0]]
    if len(blind):
        raise InputError(f"route {route}: token {int(blind[0])} would keep no key to attend to; choose spans that leave it one")


def _checked_edges(sequence: Sequence, knockouts):
    """route -> its edges; refuses routes with nothing to cut and rows left without keys."""
    edges = {}
    for route in dict.fromkeys(k.route for k in knockouts):
        edges[route] = route.edges(sequence.spans)
        if not edges[route].count:
            raise InputError(f"route {route}: no visible edge to cut in question {sequence.question.question_id}")
        _refuse_blind_rows(route, edges[route], len(sequence))
    return edges


def naive(model, sequence: Sequence, knockouts: list[Knockout], batch: int = 16):
    """Logits of the last token for every knockout (n, V), and of the null row of its batch (n, V), both fp32 on the CPU.

    Raises InputError for a route with no visible edge (leave those out: they are not applicable) or a row left without keys.
    """
    length, device = len(sequence), sequence.embeds.device
    open_mask = causal_mask(length, device)
    edges = _checked_edges(sequence, knockouts)
    masks = {r: open_mask & ~e.cut(torch.arange(length), length).to(device) for r, e in edges.items()}

    found, bases = [], []
    for start in range(0, len(knockouts), batch):
        stack = knockouts[start : start + batch]

        def layer_masks(number, stack=stack):
            inside = [k.window.covers(number) for k in stack]
            return torch.stack([open_mask, *(masks[k.route] if cut else open_mask for k, cut in zip(stack, inside))])

        logits = masked_run(model, sequence, layer_masks).cpu()  # (1 + n, V), the null row first
        found.append(logits[1:])
        bases.append(logits[:1].expand(len(stack), -1))
    return torch.cat(found), torch.cat(bases)


def sweep(model, sequence: Sequence, run: CleanRun, knockouts: list[Knockout], rows_at_once: int = 4096):
    """The same as `naive`, incrementally: (n, V) and (n, V), fp32 on the CPU. run: the clean run of this sequence.

    rows_at_once: recomputed rows in one batch at most; equal batches give equal bits.
    """
    edges = _checked_edges(sequence, knockouts)
    layers = range(len(run.inputs))
    jobs: dict[tuple, list[int]] = {}  # equal work is done once
    for i, k in enumerate(knockouts):
        covered = tuple(layer for layer in layers if k.window.covers(layer))
        jobs.setdefault((k.route, covered), []).append(i)
    groups: dict[int, list[tuple]] = {}
    for route, covered in jobs:
        groups.setdefault(int(edges[route].queries()[0]), []).append((route, covered))

    found = [None] * len(knockouts)
    for first, group in groups.items():
        group.sort(key=lambda job: job[1][0])
        size = max(1, rows_at_once // (len(sequence) - first) - 1)
        for start in range(0, len(group), size):
            batch = group[start : start + size]
            logits = _run_from(model, len(sequence), run, first, [(edges[r], covered) for r, covered in batch]).cpu()
            for job, cut in zip(batch, logits[1:]):
                for i in jobs[job]:
                    found[i] = (cut, logits[0])
    return torch.stack([cut for cut, _ in found]), torch.stack([base for _, base in found])


def _run_from(model, length: int, run: CleanRun, first: int, jobs) -> torch.Tensor:
    """Logits (1 + n, V) of the null row and of n jobs (edges, covered layers), sorted by first layer; rows `first`.. only."""
    device = run.final.device
    rows = torch.arange(first, length)
    open_mask = causal_mask(length, device)[first:]  # (R, S)
    closed = {id(e): open_mask & ~e.cut(rows, length).to(device) for e, _ in jobs}
    begin = jobs[0][1][0]
    states = run.inputs[begin][first:][None]  # (1, R, D), the null row
    for number in range(begin, len(run.inputs)):
        joining = sum(covered[0] == number for _, covered in jobs)
        states = torch.cat([states, run.inputs[number][first:].expand(joining, -1, -1)])
        active = jobs[: len(states) - 1]
        masks = [open_mask, *(closed[id(e)] if number in covered else open_mask for e, covered in active)]
        states = rows_layer(model, run, number, first, states, torch.stack(masks))
    return last_logits(model, states[:, -1])


def rows(model, sequence: Sequence, run: CleanRun, knockouts: list[Knockout], engine=sweep) -> list[dict]:
    """One question's table rows: the null row first, then every knockout; those that do not apply keep a row with NaN.

    engine: `sweep` or `naive`. removed_mass is the share of the cut queries' clean attention that the cut takes away, meaned
    over heads and window layers.
    """
    edges = {k.route: k.route.edges(sequence.spans) for k in knockouts}
    mass = {route: cut_mass(model, run, e) for route, e in edges.items()}
    layers = range(len(run.inputs))
    applicable = [k for k in knockouts if edges[k.route].count]
    null = causal_mask(len(sequence), sequence.embeds.device)[None]
    logits = base = masked_run(model, sequence, lambda _: null).cpu()
    if applicable:
        cut, bases = sweep(model, sequence, run, applicable) if engine is sweep else naive(model, sequence, applicable)
        logits, base = torch.cat([logits, cut]), torch.cat([base, bases])
    compared = compare(sequence, logits, base)
    values = iter([dict(zip(compared, row)) for row in zip(*compared.values())])

    uncut = next(values)
    nothing = dict(route="none", style="centred", width=0, window_start=0, window_stop=0, centre=-1, cut="mask")
    table = [{**nothing, "control": "null", "draw": 0, "n_blocked_edges": 0, "removed_mass": 0.0, **uncut, "applicable": True}]
    not_applicable = {name: math.nan if isinstance(value, float) else value for name, value in uncut.items()}
    for k in knockouts:
        window, count = k.window, edges[k.route].count
        covered = [float(mass[k.route][layer]) for layer in layers if window.covers(layer)]
        table.append(
            {
                "route": str(k.route),
                "style": window.style,
                "width": window.width,
                "window_start": window.start,
                "window_stop": window.stop,
                "centre": window.centre,
                "cut": k.cut,
                "control": k.control,
                "draw": k.draw,
                "n_blocked_edges": count,
                "removed_mass": sum(covered) / len(covered) if count else math.nan,
                **(next(values) if count else not_applicable),
                "applicable": count > 0,
            }
        )
    return table

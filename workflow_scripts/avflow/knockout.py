"""Attention knockout: cut a route in a window of layers and see what the answer loses (paper, section 2.1).

`naive` is the reference: one full masked forward for every route and window. Variants are stacked into batches only to keep
the processor busy; every batch carries a null row, nothing cut, and that row is the base its variants are compared with.
"""

import math

import torch

from .decoder import CleanRun, causal_mask, cut_mass, masked_run
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


def naive(model, sequence: Sequence, knockouts: list[Knockout], batch: int = 16):
    """Logits of the last token for every knockout (n, V), and of the null row of its batch (n, V), both fp32 on the CPU.

    Raises InputError for a route with no visible edge (leave those out: they are not applicable) or a row left without keys.
    """
    length, device = len(sequence), sequence.embeds.device
    open_mask = causal_mask(length, device)
    masks = {}
    for knockout in knockouts:
        if knockout.route in masks:
            continue
        edges = knockout.route.edges(sequence.spans)
        if not edges.count:
            raise InputError(f"route {knockout.route}: no visible edge to cut in question {sequence.question.question_id}")
        _refuse_blind_rows(knockout.route, edges, length)
        masks[knockout.route] = open_mask & ~edges.cut(torch.arange(length), length).to(device)

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


def rows(model, sequence: Sequence, run: CleanRun, knockouts: list[Knockout], batch: int = 16) -> list[dict]:
    """One question's table rows: the null row first, then every knockout; those that do not apply keep a row with NaN.

    removed_mass is the share of the cut queries' clean attention that the cut takes away, meaned over heads and window layers.
    """
    edges = {k.route: k.route.edges(sequence.spans) for k in knockouts}
    mass = {route: cut_mass(model, run, e) for route, e in edges.items()}
    layers = range(len(run.inputs))
    applicable = [k for k in knockouts if edges[k.route].count]
    null = causal_mask(len(sequence), sequence.embeds.device)[None]
    logits = base = masked_run(model, sequence, lambda _: null).cpu()
    if applicable:
        cut, bases = naive(model, sequence, applicable, batch)
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

"""Attention knockout: cut a route in a window of layers and see what the answer loses (paper, section 2.1).

`sweep` is exact and incremental. With keys hidden from queries in layers [a, b), nothing changes before layer a, and nothing
ever changes in rows before the first of these queries. So one clean run serves all interventions: each starts at its first
cut layer from the clean run's states, and recomputes only the rows from its first query on, which attend to the clean keys and
values of the rows before. The rows of all interventions go through the layers as one stack, each joining when its window opens;
interventions that have been cut alike so far, such as windows of several widths with one start, are one row set until they part.

`naive` is the reference: one full masked forward for every route and window.

In both, every batch carries a null row, nothing cut, and that row is the base its variants are compared with.
"""

import math
from dataclasses import asdict, dataclass

import torch

from ..errors import InputError
from ..models import Sequence, halving
from .decoder import CleanRun, causal_mask, clean_run, last_logits, masked_run, removed_mass
from .interventions import Edges, Knockout
from .readout import compare
from .row_attention import Cut, Rows, ValueZero, arrange, put

CPU_ROWS = 8192  # rows of one pass on a CPU: more gain nothing there
NULL = dict(  # what the null row has in the place of Knockout.columns
    route="none", style="centred", width=0, window_start=0, window_stop=0, centre=-1, cut="mask", control="null", draw=0
)


def resolve(sequence: Sequence, knockouts: list[Knockout], seed: int = 0) -> dict:
    """What every distinct target of the knockouts cuts in a sequence: {target: Edges}; seed: of random controls."""
    return {target: k.edges(sequence, seed) for target, k in {k.target: k for k in knockouts}.items()}


def first_row(sequence: Sequence, edges: dict) -> int:
    """The first row that any of the resolved edges changes; the last row if none changes any."""
    queries = [e.queries() for e in edges.values()]
    return min((int(q[0]) for q in queries if len(q)), default=len(sequence) - 1)


def _check(sequence: Sequence, knockouts, edges: dict) -> None:
    """Refuse what cuts nothing, and rows that would keep no key.

    A row without keys has no defined attention: kernels disagree (zeros, or the mean of all keys, future ones included).
    """
    for route, control, draw in dict.fromkeys(k.target for k in knockouts):
        here = edges[route, control, draw]
        if not here.count:
            raise InputError(f"route {route}: no visible edge to cut in question {sequence.question.question_id}")
        if len(blind := here.blind()):
            raise InputError(
                f"route {route}: token {int(blind[0])} would keep no key to attend to; choose spans that leave it one"
            )


def naive(model, sequence: Sequence, knockouts: list[Knockout], edges: dict, batch: int = 16):
    """Logits of the last token for every knockout (n, V), and of the null row of its batch (n, V), both fp32.

    edges: from `resolve`; batch: knockouts at once, halved where they do not fit. Raises InputError for a route with no visible
    edge (leave those out: they are not applicable) or a row left without keys.
    """
    length, device = len(sequence), sequence.embeds.device
    open_mask = causal_mask(length, device)
    _check(sequence, knockouts, edges)
    found, bases = [None] * len(knockouts), [None] * len(knockouts)

    def run(stack):
        here = [knockouts[i] for i in stack]
        closed = {t: open_mask & ~edges[t].cut(torch.arange(length), length).to(device) for t in {k.target for k in here}}

        def layer_masks(number):
            masks = torch.stack([open_mask, *(closed[k.target] if k.window.covers(number) else open_mask for k in here)])
            return ValueZero(open_mask, masks[:, None]) if here[0].cut == "value_zero" else masks

        logits = masked_run(model, sequence, layer_masks)  # (1 + n, V), the null row first
        return [(one, logits[0]) for one in logits[1:]]

    for kind in {k.cut for k in knockouts}:
        mine = [i for i, k in enumerate(knockouts) if k.cut == kind]
        for start in range(0, len(mine), batch):
            stack = mine[start : start + batch]
            for i, (one, base) in zip(stack, halving(run, stack)):
                found[i], bases[i] = one, base
    return torch.stack(found), torch.stack(bases)


@dataclass
class Plan:
    """How many rows go through a layer at once. `made`: from what it was measured; `halved`: how often memory ran out since."""

    rows: int
    made: dict
    halved: int = 0

    def as_dict(self) -> dict:
        return asdict(self)

    def home(self, model, length: int, first: int) -> str | None:
        """Where a clean run is kept: "cpu" where it would take more than three tenths of the GPU's free memory."""
        config = model.decoder.config
        kept = 2 * length * config.num_key_value_heads * model.decoder.layers[0].self_attn.head_dim
        kept += (length - first) * config.hidden_size
        too_much = kept * config.num_hidden_layers * model.dtype.itemsize > 0.3 * self.made.get("free_bytes", math.inf)
        return "cpu" if too_much else None


@torch.inference_mode()
def plan(model) -> Plan:
    """Measure what a row costs in a layer, and give rows six tenths of the memory that is free; three are the clean run's."""
    if model.device.type != "cuda":
        return Plan(CPU_ROWS, {"device": "cpu"})
    config, probe = model.decoder.config, 4096
    x = torch.zeros(1, probe, config.hidden_size, device=model.device, dtype=model.dtype)
    rotated = model.decoder.rotary_emb(x, torch.zeros(3, 1, probe, dtype=torch.int64, device=model.device))
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    model.decoder.layers[0](x, attention_mask=None, position_embeddings=tuple(rotated))
    # Besides what a layer needs, a row's queries, keys and values are collected, and its state is held while it is replaced.
    bytes_per_row = 1.25 * (torch.cuda.max_memory_allocated() - before) / probe + 4 * x.element_size() * config.hidden_size
    free = torch.cuda.mem_get_info()[0]
    indexable = 2**31 // config.intermediate_size  # more elements in one tensor take slow kernels
    rows = max(1, min(int(0.6 * free / bytes_per_row), indexable))
    return Plan(rows, {"bytes_per_row": int(bytes_per_row), "free_bytes": free})


@dataclass(frozen=True)
class _Job:
    """One distinct intervention: rows `first`.. with `edges` cut in the layers where `covered` says so; None cuts nothing.

    Its rows are computed from layer `begin` on, where that is given, else from the first covered one.
    """

    first: int
    edges: Edges | None
    zero: bool
    covered: tuple
    begin: int | None = None

    @property
    def start(self) -> int:
        return self.begin if self.begin is not None else self.covered.index(True) if any(self.covered) else 0

    def cuts(self, layer: int):
        """What it cuts in a layer, to be compared with others; None where that is nothing, as in a null row."""
        return (id(self.edges), self.zero) if self.edges is not None and self.covered[layer] else None


def sweep(model, sequence: Sequence, run: CleanRun, knockouts: list[Knockout], edges: dict, batches: Plan):
    """The same as `naive`, incrementally. run: from `clean_run`, with the rows from `first_row` on.

    batches: from `plan`; a batch that does not fit into memory halves it and is tried again. Raises InputError as `naive` does,
    and where one intervention alone does not fit.
    """
    _check(sequence, knockouts, edges)
    length, layers = len(sequence), range(len(run.inputs))
    order = {target: number for number, target in enumerate(edges)}
    firsts = {target: int(e.queries()[0]) for target, e in edges.items() if e.count}
    # Where most rows are recomputed anyway, all start at the same row and share one null row.
    many = min((f for f in firsts.values() if 2 * f <= length), default=0)
    asked, found = {}, [None] * len(knockouts)
    for i, k in enumerate(knockouts):
        first = many if 2 * firsts[k.target] <= length else firsts[k.target]
        job = _Job(first, edges[k.target], k.cut == "value_zero", tuple(k.window.covers(layer) for layer in layers))
        asked.setdefault((first, job.start, order[k.target], job.zero, job.covered), (job, []))[1].append(i)
    waiting = [asked[key] for key in sorted(asked)]
    cuts = {}
    while waiting:
        batch, rows, seen = [], 0, set()
        for job, members in waiting:
            rows += (length - job.first) * (1 if job.first in seen else 2)  # and its null row
            seen.add(job.first)
            if batch and rows > batches.rows:
                break
            batch.append((job, members))
        try:
            logits, nulls = _pass(model, length, run, [job for job, _ in batch], cuts)
        except torch.cuda.OutOfMemoryError:
            if len(batch) == 1:
                raise InputError(
                    f"question {sequence.question.question_id}: one knockout of {length - batch[0][0].first} rows does not fit"
                    " into the GPU's memory; use a larger GPU or leave out its route"
                ) from None
            torch.cuda.empty_cache()
            batches.rows, batches.halved = max(1, min(rows, batches.rows) // 2), batches.halved + 1
            continue
        for (job, members), cut in zip(batch, logits):
            for i in members:
                found[i] = (cut, nulls[job.first])
        waiting = waiting[len(batch) :]
    return torch.stack([cut for cut, _ in found]), torch.stack([base for _, base in found])


def _schedule(members: list[_Job], length: int, device, cuts: dict) -> tuple[list, dict]:
    """What happens in every layer, known beforehand so that a GPU is never waited for.

    Returns [(layer, {first: (copies or None, how many join, Block, variants)})], and where each member's rows end up:
    {member: (first, number)}. copies: which of the rows' sets so far go on, in which order.
    """

    def cut(job, now):
        key = job.first, id(job.edges) if now else None
        if key not in cuts:
            cuts[key] = Cut(job.edges if now else None, job.first, length, device)
        return cuts[key]

    layers, nodes, steps, starting = len(members[0].covered), {}, [], {}
    for m, job in enumerate(members):
        starting.setdefault((job.first, job.start), []).append(m)
    for layer in range(min(start for _, start in starting), layers):
        step = {}
        for first in sorted({m.first for m in members}):
            parted, copies, joining = [], [], {}
            for number, node in enumerate(nodes.get(first, [])):
                alike = {}
                for m in node:
                    alike.setdefault(members[m].cuts(layer), []).append(m)
                parted += alike.values()
                copies += [number] * len(alike)
            for m in starting.get((first, layer), []):
                joining.setdefault(members[m].cuts(layer), []).append(m)
            if not parted and not joining:
                continue
            same = copies == list(range(len(nodes.get(first, []))))
            nodes[first] = [*parted, *joining.values()]
            jobs = [members[node[0]] for node in nodes[first]]
            now = [job.cuts(layer) is not None for job in jobs]
            zero = [job.zero and here for job, here in zip(jobs, now)]
            block = arrange([cut(job, here) for job, here in zip(jobs, now)], length, device, zero)
            copied = None if same else put(torch.tensor(copies), device)
            step[first] = copied, len(joining), block, len(jobs)
        steps.append((layer, step))
    return steps, {m: (first, number) for first, found in nodes.items() for number, node in enumerate(found) for m in node}


@torch.inference_mode()
def _pass(model, length: int, run: CleanRun, jobs: list[_Job], cuts: dict):
    """Logits (n, V) fp32 of n jobs, and of the null row of every first row, {first: (V,)}.

    cuts: how rows attend, by first row and edges; filled as needed.
    """
    begin = {f: min(j.start for j in jobs if j.first == f) for f in sorted({j.first for j in jobs})}
    nulls = [_Job(f, None, False, (False,) * len(run.inputs), start) for f, start in begin.items()]
    steps, ends = _schedule([*nulls, *jobs], length, run.device, cuts)
    states = {}  # first row -> (variants, R, D)
    for layer, step in steps:
        for first, (copies, joining, _, _) in step.items():
            parts = [states[first] if copies is None else states[first][copies]] if first in states else []
            if joining:
                parts.append(run.states(layer, first).expand(joining, -1, -1))
            states[first] = torch.cat(parts) if len(parts) > 1 else parts[0]
        states = {first: states[first] for first in step}  # in the order of the schedule
        stacked = [x.flatten(0, 1) for x in states.values()]
        shapes = [x.shape[:2] for x in states.values()]
        rotated = [
            torch.cat([table[0, first:].expand(shape[0], -1, -1).flatten(0, 1) for first, shape in zip(states, shapes)])[None]
            for table in (run.cos, run.sin)
        ]
        clean = (x[layer].to(run.device, non_blocking=True) for x in (run.keys, run.values))
        mask = Rows(*clean, [(block, variants) for _, _, block, variants in step.values()])
        x = torch.cat(stacked)[None] if len(stacked) > 1 else stacked[0][None]
        states.clear()  # so that no layer's input outlives it
        x = model.decoder.layers[layer](x, attention_mask=mask, position_embeddings=tuple(rotated))[0]
        parts = x.split([variants * rows for variants, rows in shapes])
        states = {first: part.unflatten(0, shape) for first, part, shape in zip(step, parts, shapes)}
    logits = {first: last_logits(model, x[:, -1]) for first, x in states.items()}
    of = lambda m: logits[ends[m][0]][ends[m][1]]  # noqa: E731
    null_rows = {job.first: of(m) for m, job in enumerate(nulls)}
    return torch.stack([of(len(nulls) + j) for j in range(len(jobs))]), null_rows


def rows(model, sequence: Sequence, knockouts: list[Knockout], batches: Plan | None, seed: int = 0) -> list[dict]:
    """One question's table rows: the null row first, then every knockout; those that do not apply keep a row with NaN.

    The null row is the clean run itself, so it does not depend on the knockouts; the base of a row (`p_base_clean`,
    `margin_clean`) is the null row of its own batch, which differs from the clean run by rounding.
    batches: the plan of `sweep`; None takes `naive`. removed_mass is the share of the cut queries' clean attention that the cut
    takes away, meaned over heads and window layers.
    """
    edges = resolve(sequence, knockouts, seed)
    first = first_row(sequence, edges)
    run = clean_run(model, sequence, first, batches and batches.home(model, len(sequence), first))
    mass = dict(zip(edges, removed_mass(model, run, list(edges.values()))))
    applicable = [k for k in knockouts if edges[k.target].count]
    logits = base = last_logits(model, run.final[-1:])
    if applicable:
        if batches is None:
            cut, bases = naive(model, sequence, applicable, edges)
        else:
            cut, bases = sweep(model, sequence, run, applicable, edges, batches)
        logits, base = torch.cat([logits, cut]), torch.cat([base, bases])
    compared = compare(sequence, logits, base)
    values = iter([dict(zip(compared, row)) for row in zip(*compared.values())])

    uncut = next(values)
    table = [{**NULL, "n_blocked_edges": 0, "removed_mass": 0.0, **uncut, "applicable": True}]
    not_applicable = {name: math.nan if isinstance(value, float) else value for name, value in uncut.items()}
    for k in knockouts:
        count = edges[k.target].count
        covered = [float(m) for layer, m in enumerate(mass[k.target]) if k.window.covers(layer)]
        table.append(
            {
                **k.columns,
                "n_blocked_edges": count,
                "removed_mass": sum(covered) / len(covered) if count and covered else math.nan,
                **(next(values) if count else not_applicable),
                "applicable": count > 0,
            }
        )
    return table

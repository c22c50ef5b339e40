"""Attention knockout: cut a route in a window of layers and measure how much the answer suffers (paper, section 2.1).

`naive` is the reference: one full masked forward for every route and window.

`sweep` gives the same result from fewer rows. A cut hides keys from queries in layers [a, b). It changes nothing before layer
a, and nothing in the rows before its first query. So the sweep works in four steps:
    1. One clean run keeps the keys and values of every layer, and the input states of the rows that any cut can change.
    2. Each knockout starts at its first cut layer, from the clean run's states.
    3. It recomputes only the rows from its first query on. They attend to the clean keys and values of earlier rows.
    4. The rows of all knockouts go through a layer as one stack. A knockout joins the stack when its window opens.
Knockouts that have been cut alike so far share one set of rows, for example windows of two widths that open at the same layer.
The set is copied at the layer where they first differ.

In both, every batch holds a null row, in which nothing is cut. A knockout is compared with the null row of its own batch.
"""

import math
from dataclasses import replace

import torch

from ..errors import InputError
from ..models import Sequence, halving
from . import resampling
from .batch_plan import Plan
from .batch_plan import plan as plan  # callers sweep with it
from .decoder import CleanRun, answer_logits, causal_mask, clean_run, entered, last_layer, last_logits, masked_run
from .interventions import Edges, Knockout
from .packs import Pack, alike
from .readout import compare, unknown
from .row_attention import Rows, ValueZero
from .schedule import Job, schedule
from .segments import put, rows_of

MOST_LOGITS = 2**28  # logits that a question holds at once: 1 GiB in fp32
NULL = dict(  # the null row's values for Knockout.columns
    route="none",
    style="centred",
    width=0,
    window_start=0,
    window_stop=0,
    centre=-1,
    cut="mask",
    control="null",
    draw=0,
    heads="all",
)


def resolve(sequence: Sequence, knockouts: list[Knockout], seed: int = 0) -> dict:
    """The edges that each distinct target of the knockouts cuts in a sequence: {target: Edges}. `seed` is for random controls."""
    return {target: k.edges(sequence, seed) for target, k in {k.target: k for k in knockouts}.items()}


def first_row(sequence: Sequence, edges: dict) -> int:
    """The first row that any of the resolved edges changes, but at most the first that predicts the answer."""
    queries = [e.queries() for e in edges.values()]
    return min([sequence.answered_at, *(int(q[0]) for q in queries if len(q))])


def _check(question: str, knockouts, edges: dict) -> None:
    """Raise InputError for a knockout that cuts nothing, and for a cut that would leave a row without any key.

    Attention without keys is undefined, and kernels disagree: some give zeros, others the mean of all values, even of later rows.
    """
    for k in knockouts:
        if k.cut == "resample":
            resampling.check_edges(k.route, edges[k.target])
    for route, control, draw in dict.fromkeys(k.target for k in knockouts):
        here = edges[route, control, draw]
        if not here.count:
            raise InputError(f"route {route}: no visible edge to cut in question {question}")
        if len(blind := here.blind()):
            raise InputError(
                f"route {route}: token {int(blind[0])} would keep no key to attend to; choose spans that leave it one"
            )


def naive(model, sequence: Sequence, knockouts: list[Knockout], edges: dict, batch: int = 16, other: Sequence | None = None):
    """The answer's logits for every knockout (n, V), and for the null row of its batch (n, V), both fp32.

    For a reply of R tokens both are (n, R, V); see `decoder.answer_logits`.

    edges: from `resolve`. batch: how many knockouts run at once; a batch that does not fit into memory is halved. other: another
    clip's sequence, for `resample`. Raises InputError for a route with no visible edge (it is not applicable, so leave it out),
    for a row left without any key, and if the other clip is missing or has other tokens.
    """
    length, device = len(sequence), sequence.embeds.device
    open_mask, layers, heads = causal_mask(length, device), len(model.decoder.layers), model.decoder.config.num_attention_heads
    _check(sequence.question.question_id, knockouts, edges)
    found, bases = [None] * len(knockouts), [None] * len(knockouts)

    def run(stack):
        here = [knockouts[i] for i in stack]
        if here[0].cut == "resample":
            resampling.check(sequence, other)
            base, *found = resampling.patched_run(model, sequence, other, here, edges)
            return [(one, base) for one in found]
        closed = {t: open_mask & ~edges[t].cut(torch.arange(length), length).to(device) for t in {k.target for k in here}}

        cut_heads = [torch.tensor(k.cut_heads(layers, heads), device=device) for k in here]

        def mask(k, some, number):  # (S, S), or (heads, S, S) for cuts in some heads
            if not k.heads:
                return closed[k.target] if k.covers(number) else open_mask
            return torch.where(some[number, :, None, None], closed[k.target], open_mask)

        def layer_masks(number):
            masks = [mask(k, some, number) for k, some in zip(here, cut_heads)]
            masks = torch.stack([open_mask.expand_as(masks[0]), *masks])  # (1 + n, S, S), or (1 + n, heads, S, S)
            masks = masks if here[0].heads else masks[:, None]
            return ValueZero(open_mask, masks) if here[0].cut == "value_zero" else masks

        logits = masked_run(model, sequence, layer_masks)  # (1 + n, V), the null row first
        return [(one, logits[0]) for one in logits[1:]]

    for kind in {(k.cut, bool(k.heads)) for k in knockouts}:
        mine = [i for i, k in enumerate(knockouts) if (k.cut, bool(k.heads)) == kind]
        for start in range(0, len(mine), batch):
            stack = mine[start : start + batch]
            for i, (one, base) in zip(stack, halving(run, stack)):
                found[i], bases[i] = one, base
    return torch.stack(found), torch.stack(bases)


def sweep(model, sequence: Sequence, run: CleanRun, knockouts: list[Knockout], edges: dict, batches: Plan):
    """The same result as `naive`, computed incrementally from a clean run.

    run: from `clean_run`, which must keep the rows from `first_row` on; for `resample`, its `other` is another clip's run.
    batches: from `plan`. If a batch does not fit into memory, `batches.rows` is halved and the batch is tried again. Raises
    InputError as `naive` does, and if one intervention alone does not fit.
    """
    pack = Pack.of([sequence])
    return [x[:, pack.answers[0]] for x in sweep_pack(model, pack, run, knockouts, edges, batches)]


def sweep_pack(model, pack: Pack, run: CleanRun, knockouts: list[Knockout], edges: dict, batches: Plan):
    """The same for all sequences of a pack at once: logits (n, rows, V) at the rows `Pack.read`, and those of the null rows.

    run: of the pack. edges: in the pack, and all among its shared tokens. Rows that predict an answer are always recomputed.
    """
    parts, read = pack.parts if len(pack.sequences) > 1 else (len(pack),), pack.read
    question = pack.sequences[0].question.question_id
    _check(question, knockouts, edges)
    if run.other is None and any(k.cut == "resample" for k in knockouts):
        resampling.check(pack.sequences[0], None)
    length, layers, heads = len(pack), range(len(run.inputs)), model.decoder.config.num_attention_heads
    order = {target: number for number, target in enumerate(edges)}
    # A patch with keys and values that are this run's own changes nothing, so it shares the null row.
    patched = {k.target for k in knockouts if k.cut == "resample"}
    same = {t for t in patched if not run.differs(torch.cat([keys for _, keys in edges[t].classes]).unique())}
    firsts = {target: min(read[0], int(e.queries()[0])) for target, e in edges.items() if e.count}
    # Interventions that recompute at least half of the rows all start at the same row, so that they share one null row.
    many = min((f for f in firsts.values() if 2 * f <= length), default=0)
    asked, found = {}, [None] * len(knockouts)
    for i, k in enumerate(knockouts):
        first = many if 2 * firsts[k.target] <= length else firsts[k.target]
        covered, cut_heads = tuple(k.covers(layer) for layer in layers), k.cut_heads(len(layers), heads)
        if k.cut == "resample" and k.target in same:
            covered = (False,) * len(layers)
        job = Job(first, edges[k.target], k.cut == "value_zero", covered, heads=cut_heads, patched=k.cut == "resample")
        key = first, job.start, order[k.target], job.zero, job.patched, job.covered, job.heads
        asked.setdefault(key, (job, []))[1].append(i)
    waiting = [asked[key] for key in sorted(asked)]
    cuts = {}
    while waiting:
        batch, rows, seen = [], 0, set()
        for job, members in waiting:
            rows += (length - job.first) * (1 if job.first in seen else 2)  # a new first row adds its null row
            seen.add(job.first)
            if batch and rows > batches.rows:
                break
            batch.append((job, members))
        try:
            logits, nulls = _pass(model, parts, run, [job for job, _ in batch], cuts, read)
        except torch.cuda.OutOfMemoryError:
            if len(batch) == 1:
                raise InputError(
                    f"question {question}: one knockout of {length - batch[0][0].first} rows does not fit"
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


@torch.inference_mode()
def _pass(model, parts: tuple, run: CleanRun, jobs: list[Job], cuts: dict, read: list[int]):
    """Run n jobs as one stack: their logits (n, rows, V) fp32 at the rows `read`, and {first row: its null row's (rows, V)}.

    parts: see `Cut`. cuts: the `Cut` of each first row and edges, kept between passes. It is filled here.
    """
    begin = {f: min(j.start for j in jobs if j.first == f) for f in sorted({j.first for j in jobs})}
    nulls = [Job(f, None, False, (False,) * len(run.inputs), start) for f, start in begin.items()]
    steps, ends = schedule([*nulls, *jobs], parts, run.device, cuts, read)
    x = torch.empty(0)  # (N, D)
    for step in steps:
        if step.joins is not None:
            joining = run.states(step.layer, step.joins)
            x = torch.cat([x, joining]) if len(x) else joining
        x = rows_of(x, step.source)[None]
        rotated = tuple(rows_of(table[0], step.positions)[None] for table in (run.cos, run.sin))
        attention = Rows(step.attention, *run.keys_and_values(step.layer))
        layer = model.decoder.layers[step.layer]
        if step is steps[-1]:
            x = last_layer(layer, x, put(torch.tensor(ends), run.device), attention, rotated)  # of text, so nothing enters
        else:
            x = layer(x, attention_mask=attention, position_embeddings=rotated)[0]
            x = entered(x, run.deepstack, step.layer, step.positions)
    logits = last_logits(model, x)
    return logits[len(nulls) :], dict(zip(begin, logits))


def rows(
    model, sequence: Sequence, knockouts: list[Knockout], batches: Plan | None, seed: int = 0, other: Sequence | None = None
) -> list[dict]:
    """One question's table rows: the null row, then one row per knockout. Knockouts that are not applicable hold NaN.

    The table's null row is the clean run itself, so it does not depend on the knockouts. The base of a row (`p_base_clean`,
    `margin_clean`) is the null row of its own batch, which differs from the clean run by rounding. removed_mass: the share of
    the cut queries' clean attention that the cut removes, as a mean over queries, cut heads and window layers. batches: the plan
    for `sweep`; None runs `naive` instead. other: another clip's sequence, for `resample`.
    """
    return rows_of_pack(model, [sequence], [knockouts], batches, seed, other)[0]


def rows_of_questions(model, sequences, knockouts, batches: Plan | None, seed: int = 0) -> list[list[dict]]:
    """The rows of several questions, with the knockouts of each. Prompts that begin alike are packed (see `packs`)."""
    found = [None] * len(sequences)
    for members in alike(sequences) if batches else [[i] for i in range(len(sequences))]:
        tables = rows_of_pack(model, [sequences[i] for i in members], [knockouts[i] for i in members], batches, seed)
        for i, table in zip(members, tables):
            found[i] = table
    return found


def rows_of_pack(
    model, sequences: list[Sequence], knockouts: list[list], batches: Plan | None, seed: int = 0, other: Sequence | None = None
) -> list[list]:
    """The rows of questions whose prompts begin alike, with the knockouts of each. What they share is computed once.

    That is the clean run up to where they part, and the cuts among the shared tokens that all of them ask for. other: another
    clip's sequence, for `resample` in a single question.
    """
    pack, edges = Pack.of(sequences), [resolve(s, ks, seed) for s, ks in zip(sequences, knockouts)]
    single = len(sequences) == 1
    in_pack = edges if single else [{t: _moved(pack, i, e) for t, e in some.items()} for i, some in enumerate(edges)]
    firsts = [torch.tensor([first_row(s, some)]) for s, some in zip(sequences, edges)]
    first = int(min(pack.places(i, at) for i, at in enumerate(firsts)))
    every = [e for some in in_pack for e in some.values()]
    home, by_head = batches and batches.home(model, len(pack), first), any(k.heads for ks in knockouts for k in ks)
    run = clean_run(model, sequences[0] if single else pack, first, home, every, by_head)
    if other is not None:
        resampling.check(sequences[0], other)
        run = replace(run, other=clean_run(model, other, len(other) - 1, home))
    of_all = set() if single else set.intersection(*map(set, knockouts))
    together = [k for k in knockouts[0] if k in of_all and _shared(k, edges, pack.shared)]
    known = [{} for _ in sequences]
    for some in _pieces(together, model, len(pack.read)):
        cuts = {k.target: in_pack[0][k.target] for k in some}
        logits, bases = sweep_pack(model, pack, run, some, cuts, batches)
        for i, at in enumerate(pack.answers):
            known[i] |= dict(zip(some, _compared(sequences[i], logits[:, at], bases[:, at])))
    tables, start = [], 0
    for i, (sequence, ks, some) in enumerate(zip(sequences, knockouts, edges)):
        mine = run if single else pack.run(i, run, run.removed[start : start + len(some)] if every else None)
        tables.append(_table(model, sequence, mine, ks, some, batches, known[i], other))
        start += len(some)
    return tables


def _moved(pack: Pack, number: int, edges: Edges) -> Edges:
    """A sequence's edges, as tokens of the pack."""
    return Edges(tuple(tuple(pack.places(number, at) for at in block) for block in edges.blocks), edges.own, len(pack))


def _shared(k: Knockout, edges: list[dict], shared: int) -> bool:
    """Whether a knockout cuts the same tokens in all sequences, all of them shared."""
    mine, *others = ([at for block in some[k.target].blocks for at in block] for some in edges)
    if not edges[0][k.target].count or not all(int(at.max()) < shared for at in mine):
        return False
    return all(len(mine) == len(other) and all(map(torch.equal, mine, other)) for other in others)


def _pieces(knockouts: list, model, rows: int) -> list[list]:
    """The knockouts in parts whose logits, of so many rows each, are at most MOST_LOGITS."""
    step = max(1, MOST_LOGITS // (rows * model.head.out_features))
    return [knockouts[start : start + step] for start in range(0, len(knockouts), step)]


def _compared(sequence: Sequence, logits: torch.Tensor, base: torch.Tensor) -> list[dict]:
    """The columns of `compare`, as one dict for each knockout."""
    columns = compare(sequence, logits, base)
    return [dict(zip(columns, row)) for row in zip(*columns.values())]


def _table(
    model, sequence: Sequence, run: CleanRun, knockouts: list, edges: dict, batches: Plan | None, known: dict, other=None
) -> list[dict]:
    """The rows of one question. known: {knockout: its columns}, for those that are computed already."""
    waiting = [k for k in knockouts if edges[k.target].count and k not in known]
    for some in _pieces(waiting, model, max(1, len(sequence.reply_ids))):
        if batches is None:
            found = naive(model, sequence, some, edges, other=other)
        else:
            found = sweep(model, sequence, run, some, {k.target: edges[k.target] for k in some}, batches)
        known = known | dict(zip(some, _compared(sequence, *found)))
    mass = dict(zip(edges, run.removed.tolist())) if edges else {}
    clean = answer_logits(model, sequence, run.final[None])
    (uncut,) = _compared(sequence, clean, clean)
    table = [{**NULL, "n_blocked_edges": 0, "removed_mass": 0.0, **uncut, "applicable": True}]
    not_applicable = unknown(uncut)
    for k in knockouts:
        count = edges[k.target].count
        table.append(
            {
                **k.columns,
                "n_blocked_edges": count,
                "removed_mass": k.mean_share(mass[k.target]) if count else math.nan,
                **(known[k] if count else not_applicable),
                "applicable": count > 0,
            }
        )
    return table

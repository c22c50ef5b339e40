"""Plan a pass of the sweep in advance: which rows go through which layer, and how they attend.

Everything is planned before the first layer runs, and all row numbers go to the device in one copy. So the CPU never waits for
the GPU, and plans while the clean run is still computing.
"""

from dataclasses import dataclass

import numpy as np
import torch

from .interventions import Edges
from .kept_keys import Block, Cut
from .row_attention import Together, together
from .segments import Numbers, Packed


@dataclass(frozen=True)
class Job:
    """One distinct intervention: the rows from `first` on, with `edges` cut in the layers that `covered` marks.

    edges None cuts nothing: a null row. begin: the first layer to compute; if None, the first covered layer. heads: for every
    layer, which heads are cut (heads,); empty if all are. patched: another run's keys and values take the place of the cut ones.
    """

    first: int
    edges: Edges | None
    zero: bool
    covered: tuple
    begin: int | None = None
    heads: tuple = ()
    patched: bool = False

    @property
    def start(self) -> int:
        return self.begin if self.begin is not None else self.covered.index(True) if any(self.covered) else 0

    def cuts(self) -> list:
        """For every layer, a key that is equal for jobs that cut the same there; None if nothing is cut, as in a null row."""
        if self.edges is None:
            return [None] * len(self.covered)
        heads = self.heads or [()] * len(self.covered)
        same = id(self.edges), self.zero, self.patched
        return [(*same, some) if covered else None for covered, some in zip(self.covered, heads)]


@dataclass(frozen=True)
class Step:
    """One layer of a pass. Sets of rows stand block by block: all sets with the same first row, then those with the next one.

    sets: {first: how many}. joins: the first row of the clean run's states that are appended to the stack, or None. source: which
    rows then make the layer's input (see `Packed.rows`). A set appears twice if its members differ from this layer on. positions:
    the position of each row in the sequence. attention: how they attend.
    """

    layer: int
    sets: dict[int, int]
    joins: int | None
    source: object
    positions: Numbers
    attention: Together


def schedule(members: list[Job], parts: tuple, device, cuts: dict, read: list[int]) -> tuple[list[Step], list[list[int]]]:
    """The steps of a pass, and where each member's rows `read` are in the stack behind the last layer.

    parts: see `Cut`; a single prompt is one part. cuts: as in `knockout._pass`. read: rows that predict answers.
    """
    length = parts[-1]
    sharing = not any(job.patched for job in members)  # patched keys lie among a variant's own, and so do its null row's

    def cut(job, now):
        edges = job.edges if now and not job.patched else None
        key = job.first, id(edges) if edges else None, sharing
        if key not in cuts:
            cuts[key] = Cut(edges, job.first, length, parts, sharing)
        return cuts[key]

    layers, nodes, steps, starting, packed = len(members[0].covered), {}, [], {}, Packed()
    keys = [job.cuts() for job in members]
    firsts, begins, stacked = sorted({m.first for m in members}), {}, 0
    for m, job in enumerate(members):
        starting.setdefault((job.first, job.start), []).append(m)
    for layer in range(min(start for _, start in starting), layers):
        joins = min((first for first in firsts if (first, layer) in starting), default=None)
        sources, positions, blocks, sets, places, number = [], [], [], {}, {}, 0
        for first in firsts:
            parted, begin, joining, size = [], [], {}, length - first
            for i, node in enumerate(nodes.get(first, [])):
                alike = {}
                for m in node:
                    alike.setdefault(keys[m][layer], []).append(m)
                parted += alike.values()
                begin += [begins[first] + i * size] * len(alike)
            for m in starting.get((first, layer), []):
                joining.setdefault(keys[m][layer], []).append(m)
            if joining:
                begin += [stacked + first - joins] * len(joining)
            if not begin:
                continue
            nodes[first] = [*parted, *joining.values()]
            jobs = [members[node[0]] for node in nodes[first]]
            now = [keys[node[0]][layer] is not None for node in nodes[first]]
            zeros = [job.zero and here for job, here in zip(jobs, now)]
            heads = [job.heads[layer] if job.heads and here else () for job, here in zip(jobs, now)]
            patches = [job.edges if job.patched and here else None for job, here in zip(jobs, now)]
            blocks.append(Block([cut(job, here) for job, here in zip(jobs, now)], zeros, heads, patches))
            sources.append((np.array(begin)[:, None] + np.arange(size)).ravel())
            positions.append(np.tile(np.arange(first, length), len(begin)))
            sets[first], places[first] = len(begin), number
            number += len(begin) * size
        present = stacked + (0 if joins is None else length - joins)
        source = packed.rows(np.concatenate(sources), present)
        begins, stacked = places, number
        few = ()
        if layer == layers - 1:
            ends = {
                m: begins[f] + i * (length - f) - f for f, found in nodes.items() for i, node in enumerate(found) for m in node
            }
            ends = [[ends[m] + row for row in read] for m in range(len(members))]
            if torch.device(device).type == "cpu" and all(block.may_skip(read) for block in blocks):
                few = read, np.array(ends).ravel()
        attention = together(blocks, packed, *few)
        steps.append(Step(layer, sets, joins, source, packed.add(np.concatenate(positions)), attention))
    packed.put(device)
    return steps, ends

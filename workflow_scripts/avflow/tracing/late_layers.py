"""Answers with attention masked in the last layers (paper, Table 1). If late attention mattered, accuracy would change.

A positive control masks from an early layer on, from which text reads the media. There, accuracy must change.
"""

from ..errors import InputError
from ..models import Sequence
from . import knockout, readout
from .decoder import CleanRun
from .interventions import Knockout, Route, Window

LAST, OF = 5, 36  # the paper masks layers 31 to 35 of 36; other models mask the same share


def late_window(layers: int, named: list[int] | None = None) -> Window:
    """The masked layers: `named` as (first, last), else the last round(5 / 36 * layers), at least one.

    Raises InputError for layers that the model does not have.
    """
    first, last = named or (layers - max(1, round(LAST / OF * layers)), layers - 1)
    if not 0 <= first <= last < layers:
        raise InputError(
            f"masked_layers [{first}, {last}] do not exist; the model has layers 0 to {layers - 1}: give the first and the last"
        )
    return Window(first, last + 1, last, "top_down", 1)


def window_from(layers: int, share: float) -> Window:
    """The masked layers of the positive control: all from this share of the depth on."""
    return Window(round(share * layers), layers, layers - 1, "top_down", 1)


def masked_answers(model, sequence: Sequence, run: CleanRun, routes: list[str], window: Window, batches) -> list[dict]:
    """One row for the uncut run ("none") and one row per route.

    name: the route. answer: the option with the largest logit. correct: whether the most probable of all tokens is the right
    letter. values: the log-probability of the uncut answer's token. number: cut edges. The uncut row is the null row of the
    sweep's batch. run: from `clean_run`, which must keep all rows that a route changes. A route with nothing to cut has no row;
    if no route cuts anything, the list is empty.
    """
    cuts = [Knockout(Route.parse(route), window) for route in routes]
    edges = knockout.resolve(sequence, cuts)
    cuts = [cut for cut in cuts if edges[cut.target].count]
    if not cuts:
        return []
    logits, bases = knockout.sweep(model, sequence, run, cuts, edges, batches)
    gold, token = readout.gold_id(sequence), int(bases[0].argmax())

    def row(name, one, count):
        entry = {"name": name, "answer": readout.answers(sequence, one[None])[0], "correct": int(one.argmax()) == gold}
        return {**entry, "values": [float(one.log_softmax(-1)[token])], "number": count}

    found = [row(str(cut.route), one, edges[cut.target].count) for cut, one in zip(cuts, logits)]
    return [row("none", bases[0], 0), *found]

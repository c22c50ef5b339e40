"""Sinks as sources of routes: `video_sinks->question` cuts those tokens of the video that are sinks in a layer of the window.

Which tokens are sinks is found in the sequence's own clean run, by the rule of `sinks`. It differs by layer, so every window has
sinks of its own: the tokens of the span that are sinks in the input of any of its layers. A route whose span has no sink in a
window is not applicable there.
"""

from dataclasses import replace

import torch

from ..models import Sequence
from . import sinks
from .decoder import clean_run
from .interventions import SINKS, Knockout


def by_layer(run) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """For the input of every layer, its sink dimensions and the positions of its sinks. run: a clean run that kept all rows."""
    found = []
    for layer in range(len(run.inputs)):
        activation = sinks.activations(run.states(layer, 0))
        dimensions = sinks.sink_dimensions(activation)
        found.append((dimensions.cpu(), sinks.sink_tokens(activation, dimensions).cpu()))
    return found


def named(model, sequence: Sequence, knockouts: list[Knockout], home: str | None = None) -> Sequence:
    """The sequence, whose spans also name the sources of all knockouts that cut sinks. Without any, it is returned as it is.

    It takes one clean run, kept on the device `home` (by default the model's). Raises InputError if the sequence does not have
    the span whose sinks a route names.
    """
    cutting = [k for k in knockouts if k.route.source.endswith(SINKS)]
    if not cutting:
        return sequence
    marked, parts = by_layer(clean_run(model, sequence, 0, home)), {}
    for k in cutting:
        span = sequence.spans[k.route.source.removesuffix(SINKS)]
        here = torch.cat([span[:0], *(at for layer, (_, at) in enumerate(marked) if k.covers(layer))]).unique()
        parts[k.resolved.source] = here[torch.isin(here, span)]
    return replace(sequence, spans=sequence.spans.with_parts(parts))

"""Attention sinks: tokens that draw attention without carrying information. Massive activations in a few dimensions mark them.

Sink tokens. In "See What You Are Told" (arXiv 2503.03321, section 3), a token is a sink in a layer if |x / RMS(x)| of the layer's
input reaches tau = 20 in any sink dimension. The models there have D = 4,096 dimensions, so such a dimension holds at least 9.8 %
of the squared norm. To keep that share in models of other sizes, tau is 20 * sqrt(D / 4096) here.

Sink dimensions. The paper takes them from Sun et al., "Massive Activations" (arXiv 2402.17762). Here they are found from the
data: dimensions in which the first position, a sink in every such model, reaches tau and at least 10 times the median over all
tokens. The second condition is ours. It leaves out dimensions that are large in all tokens. A model without sink dimensions has
no sinks by this definition.

All arguments and results are torch tensors. Figures, which have no torch, need only the threshold.
"""

TAU, OF_DIMENSIONS = 20.0, 4096
TIMES_MEDIAN = 10.0


def threshold(dimensions: int) -> float:
    """tau for a residual stream with this number of dimensions."""
    return TAU * (dimensions / OF_DIMENSIONS) ** 0.5


def activations(states):
    """|x / RMS(x)| for states (S, D): (S, D) fp32."""
    x = states.float()
    return (x / x.pow(2).mean(-1, keepdim=True).sqrt().clamp(min=1e-12)).abs()


def sink_dimensions(activation):
    """Dimensions (n,) in which position 0 of `activation` (S, D) is an outlier, sorted."""
    first, median = activation[0], activation.median(0).values
    return ((first >= threshold(activation.shape[1])) & (first >= TIMES_MEDIAN * median)).nonzero()[:, 0]


def sink_tokens(activation, dimensions):
    """Positions (n,) that reach the threshold in any sink dimension, sorted. Without sink dimensions, none."""
    if not len(dimensions):
        return dimensions
    return (activation[:, dimensions].amax(1) >= threshold(activation.shape[1])).nonzero()[:, 0]

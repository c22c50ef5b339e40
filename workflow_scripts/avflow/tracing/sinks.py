"""Attention sinks: tokens that draw attention without carrying information, told by massive activations in a few dimensions.

After "See What You Are Told" (arXiv 2503.03321, section 3), which takes the dimensions from Sun et al., "Massive Activations"
(arXiv 2402.17762): a token is a sink in a layer if max over the sink dimensions of |x / RMS(x)| of the layer's input is at least
tau = 20, in models of 4,096 dimensions. There |x_d / RMS(x)| >= 20 means that the dimension holds 9.8 % of the squared norm, so
tau is taken as 20 * sqrt(D / 4096) here. Which dimensions these are is found from the data: those in which the first position,
the sink that every such model has, reaches tau and at least 10 times what the median token has. The second condition (ours)
leaves out dimensions that are large in all tokens. A model may have none; then it has no sinks by this definition.

All arguments and results are torch tensors; figures, which have no torch, need the threshold alone.
"""

TAU, OF_DIMENSIONS = 20.0, 4096
TIMES_MEDIAN = 10.0


def threshold(dimensions: int) -> float:
    """tau for a residual stream of so many dimensions."""
    return TAU * (dimensions / OF_DIMENSIONS) ** 0.5


def activations(states):
    """|x / RMS(x)| of states (S, D) in fp32: (S, D)."""
    x = states.float()
    return (x / x.pow(2).mean(-1, keepdim=True).sqrt().clamp(min=1e-12)).abs()


def sink_dimensions(activation):
    """Dimensions (n,) in which position 0 of activations (S, D) is an outlier, sorted."""
    first, median = activation[0], activation.median(0).values
    return ((first >= threshold(activation.shape[1])) & (first >= TIMES_MEDIAN * median)).nonzero()[:, 0]


def sink_tokens(activation, dimensions):
    """Positions (n,) that reach the threshold in any of the sink dimensions, sorted; none where there are no dimensions."""
    if not len(dimensions):
        return dimensions
    return (activation[:, dimensions].amax(1) >= threshold(activation.shape[1])).nonzero()[:, 0]

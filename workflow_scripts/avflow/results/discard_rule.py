"""Choose the layer after which each kind of token is discarded, from the model's own knockouts.

A kind is needed up to the last window in which a cut of any of its routes changes the answer's probability by more than
`threshold` percent. The change is the mean over the correctly answered questions of any one group of tasks. The kind is discarded
where that window ends, half a window after its centre. A kind whose routes never matter is discarded after the first layer.

All visual tokens are withdrawn (VTW, arXiv 2405.05803) after the first layer at which the withdrawal changes the distribution of
the answer by less than a threshold. The change is the mean of KL(full || withdrawn), in nats, over some questions.
"""

import pandas as pd

from ..errors import InputError


def last_needed(changes: pd.DataFrame, routes: list[str], window: int, layers: int, threshold: float) -> dict:
    """The layer after which a kind of token is discarded, and why.

    changes: rows of `effects.relative_change` of one model and dataset. Raises InputError if a route was not cut.
    """
    missing = [route for route in routes if route not in set(changes["route"])]
    if missing:
        raise InputError(
            f"no correctly answered question has knockouts of {missing[0]}, so the last layer that needs it is unknown;"
            " add the route to knockout/cuts, or give the model discard_layers"
        )
    mean = changes[changes["route"].isin(routes)].groupby(["route", "group", "centre"])["change"].mean()
    large = mean[mean.abs() > threshold]
    if not len(large):
        return {"layer": 0, "why": f"no route changes the answer by more than {threshold:g} %"}
    route, group, centre = large.index[large.index.get_level_values("centre").argmax()]
    effect = large[route, group, centre]
    layer = min(int(centre) + window // 2, layers - 1)
    why = f"{route} in {group} changes the answer by {effect:.1f} % at layer {centre}, plus half a window of {window}"
    return {"layer": layer, "why": f"{why}: it stays to the end" if layer == layers - 1 else why}


def withdrawal(swept: pd.DataFrame, questions: int, threshold: float) -> dict:
    """The layer after which all visual tokens are withdrawn, and why.

    swept: rows of discard_sweep of one model and dataset. Raises InputError if no layer stays below the threshold.
    """
    vision = swept[(swept["discard"] == "vision") & (swept["control"] == "none")]
    some = sorted(vision["question_id"].unique())[:questions]
    mean = vision[vision["question_id"].isin(some)].groupby("layer")["kl"].mean().sort_index()
    below = mean[mean < threshold]
    if not len(below):
        raise InputError(f"withdrawing visual tokens never changes less than {threshold:g} nats; raise pruning/vtw/kl")
    layer = int(below.index[0])
    return {"layer": layer, "why": f"KL {below.iloc[0]:.2g} < {threshold:g} nats in {len(some)} questions"}

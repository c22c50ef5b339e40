"""Choose the layer after which each kind of token is discarded, from the model's own knockouts.

A kind is needed while cuts of its routes lower the answer's probability. It is discarded after the centre of the last window in
which a cut of any of its routes lowers that probability by more than `threshold` percent, as a mean over the correctly answered
questions of any one group of tasks. A rise is no need: the answer does better without what the cut takes away. The last such
window reads the kind in its first layer, so the centre leaves half a window in reserve. A kind whose routes never matter is
discarded after the first layer.

From the paper's own curves, this rule gives the paper's layers of Audio, Video, Cand and Ref:
tests/results/test_discard_rule.py.

All visual tokens are withdrawn (VTW, arXiv 2405.05803) after the first layer at which the withdrawal changes the distribution of
the answer by less than a threshold. The change is the mean of KL(full || withdrawn), in nats, over some questions.
"""

import pandas as pd

from ..errors import InputError


def last_needed(changes: pd.DataFrame, routes: list[str], layers: int, threshold: float) -> dict:
    """The layer after which a kind of token is discarded, and why.

    changes: rows of `effects.relative_change` of one model and dataset, in %. Routes that are not applicable in it have none. If
    that is so for all of them, the kind stays to the end.
    """
    if not changes["route"].isin(routes).any():
        return {"layer": layers - 1, "why": f"no correctly answered question has {' or '.join(routes)}: it stays to the end"}
    mean = changes[changes["route"].isin(routes)].groupby(["route", "group", "centre"])["change"].mean()
    falls = mean[mean < -threshold]
    if not len(falls):
        return {"layer": 0, "why": f"no route lowers the answer by more than {threshold:g} %"}
    route, group, layer = max(falls.index, key=lambda at: (at[2], -falls[at]))  # the deepest fall in the last window
    why = f"{route} in {group} lowers the answer by {-falls[route, group, layer]:.1f} % in the window around layer {layer}"
    return {"layer": int(layer), "why": f"{why}: it stays to the end" if layer == layers - 1 else f"{why}, and in no later one"}


def withdrawal(swept: pd.DataFrame, questions: int, threshold: float) -> dict:
    """The layer after which all visual tokens are withdrawn, and why.

    swept: rows of discard_sweep of one model and dataset. Raises InputError if no layer stays below the threshold.
    """
    vision = swept[(swept["discard"] == "vision") & (swept["control"] == "none")]
    if not len(vision):
        return {"layer": int(swept["layer"].max()), "why": "no question has a picture"}
    some = sorted(vision["question_id"].unique())[:questions]
    mean = vision[vision["question_id"].isin(some)].groupby("layer")["kl"].mean().sort_index()
    below = mean[mean < threshold]
    if not len(below):
        raise InputError(f"withdrawing visual tokens never changes less than {threshold:g} nats; raise pruning/vtw/kl")
    layer = int(below.index[0])
    return {"layer": layer, "why": f"KL {below.iloc[0]:.2g} < {threshold:g} nats in {len(some)} questions"}

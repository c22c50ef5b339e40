"""The measure of patches: what another clip's keys and values do to answers, in the window where they do most."""

import numpy as np

from . import patches
from .route_measures import NOTHING
from .study_tables import Tables, of_group


def _patched(tables: Tables, claim: dict, model: str):
    """The number of a `kind` (patch, follows, returns) that is farthest from 0, over the layers of the claim."""
    path, data = tables.path("resample"), tables.dataset(claim)
    if path is None:
        return NOTHING
    rows = tables.once(("patches", model, data), lambda: patches.rows_of(path, [model], data))
    rows = of_group(rows[(rows["kind"] == claim["kind"]) & (rows["route"] == claim["route"])], claim)
    rows = rows[rows["centre"].between(*claim.get("layers", (0, tables.layers(model) - 1)))]
    if not len(rows):
        return NOTHING
    wide = rows.pivot(index=["question_id", "cluster"], columns="centre", values="change")
    mean, low, high = tables.interval(wide.to_numpy(), wide.index.get_level_values("cluster"))
    at = np.abs(mean).argmax()
    return mean[at], low[at], high[at], len(wide)


MEASURES = {"patched": _patched}

"""What another clip's keys and values do to an answer, beside cuts of the same routes in the same questions.

A question counts if it is answered correctly without a patch. By route and by the window's central layer there are four kinds of
numbers, all in %:

    cut        change of the own answer's probability if the route is cut, as in the figures of cuts
    patch      the same change if the target reads the partner's source instead (corrupt)
    follows    share of answers that are then those which the model gives to the same question about the partner's clip
    returns    share of own answers that come back if the target reads the own source in a run on the partner's clip (restore)

The last two are of questions that the model answers differently about the two clips.

A cut renormalises what is left, and a patch does not. Where both cost the same, the source's content is missed. Where only the
cut costs something, it is the renormalisation, or what both clips share.
"""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from . import effects
from .effects import KEY
from .statistics import proportion

ABOUT = [*KEY, "cluster", "task", "group", "route", "centre"]
SHARES = ("follows", "returns")  # kinds that are shares of answers; the others are changes of a probability
COLUMNS = ["model", "dataset", "group", "route", "kind", "centre", "n", "value", "ci_low", "ci_high"]


def rows_of(path, models, dataset: str) -> pd.DataFrame:
    """One row per question, route, centre and kind (patch, follows, returns): ABOUT, kind, and `change`, the kind's number.

    path: the table of the rule gather_resample; models: names.
    """
    more = ["control", "direction", "answer", "logp_base", "p_base_clean", "correct_clean"]
    keep = [("model", "in", list(models)), ("dataset", "=", dataset), ("applicable", "=", True)]
    rows = pq.read_table(path, columns=[*ABOUT, *more], filters=keep).to_pandas()
    null = {way: rows[(rows["control"] == "null") & (rows["direction"] == way)] for way in ("corrupt", "restore")}
    answered = {way: run.set_index(KEY)["answer"] for way, run in null.items()}
    right = null["corrupt"].set_index(KEY)["correct_clean"].astype(bool)
    place = pd.MultiIndex.from_frame(rows[KEY])
    rows = rows.assign(own=answered["corrupt"].reindex(place).to_numpy(), theirs=answered["restore"].reindex(place).to_numpy())
    rows = rows[right.reindex(place).to_numpy() & (rows["control"] == "none").to_numpy()]
    corrupt, restore = (rows[rows["direction"] == way] for way in ("corrupt", "restore"))
    follow, lost = (some[some["own"] != some["theirs"]] for some in (corrupt, restore))
    found = {
        "patch": corrupt.assign(change=100 * (np.exp(corrupt["logp_base"]) / corrupt["p_base_clean"] - 1)),
        "follows": follow.assign(change=100.0 * (follow["answer"] == follow["theirs"])),
        "returns": lost.assign(change=100.0 * (lost["answer"] == lost["own"])),
    }
    return pd.concat([part.assign(kind=kind) for kind, part in found.items()])[[*ABOUT, "kind", "change"]]


def beside_cuts(path, cuts: list, models: dict, dataset: str) -> pd.DataFrame:
    """The rows of `rows_of` and, as kind "cut", the cuts of the same routes in the same questions.

    cuts: paths of knockout tables, empty ones for none; the first that cuts a route in a question counts. models: name -> width
    of the window.
    """
    patched = rows_of(path, models, dataset)
    every = [effects.relative_change(one, models, dataset) for one in cuts]
    cut = pd.concat([patched.iloc[:0], *every]).assign(kind="cut")
    same = [*KEY, "route", "centre"]
    cut = cut.drop_duplicates(same).merge(patched.loc[patched["kind"] == "patch", same], on=same)
    return pd.concat([cut[[*ABOUT, "kind", "change"]], patched], ignore_index=True)


def summary(rows: pd.DataFrame, dataset: str, draws: int, seed: int) -> pd.DataFrame:
    """By model, group, kind, route and centre: the mean of `change` as value, over n questions. COLUMNS.

    The 95 % intervals are pointwise. They are drawn over the questions' own clips, so they do not account for partners that
    several questions share.
    """
    found = []
    for (model, group, kind, route), here in rows.groupby(["model", "group", "kind", "route"], sort=False):
        curve = effects.pointwise(here, draws, seed)
        about = dict(model=model, dataset=dataset, group=group, route=route, kind=kind, n=curve.n)
        points = zip(curve.centres, curve.mean, curve.low, curve.high)
        if kind in SHARES:
            each = ((c, proportion(some["change"] / 100, some["cluster"], draws, seed)) for c, some in here.groupby("centre"))
            points = [(centre, *(100 * end for end in share)) for centre, share in each]
        found += [about | dict(zip(("centre", "value", "ci_low", "ci_high"), point)) for point in points]
    return pd.DataFrame(found, columns=COLUMNS)

"""The numbers behind claims, each with its interval and its number of questions.

A claim chooses the study's dataset by `data` (video, the default, items, or a dataset's name) and a `group` of tasks, or a list
of groups (default "all"). Claims about cuts choose an `analysis` (default figure_4), a `route` or a list of routes, a `cut`
(mask, the default, value_zero, or of conflicts resample), `layers` or `depths` (see `route_measures`), `width`, `style`,
`answered` (right, the default, or wrong), and with `control: random` the size-matched random controls in place of the route.

`than: {..}` names what differs in a second measurement, which is subtracted: another route, group, analysis, cut or control. The
interval of such a difference takes both ends as far apart as they may be.

Curves (route_measures.py), in % change of the answer's probability:

    lowest, highest, largest    the lowest, the highest, or the mean change farthest from 0, over all named routes and groups
    weakest                     of the lowest points of all named routes and groups, the highest
    elsewhere                   the mean change farthest from 0 where no other rule of the file names the route in the group
    band                        upper edge, at the lowest point, of the simultaneous band over the panel's routes and layers
    mean                        mean of the changes over the layers
    centre_of_fall              the layer in the middle of the fall
    depth_of_fall, _of_rise     the middle of the fall, or of the rise, from 0 (first layer) to 1 (last layer)
    windows                     number of windows with at least a third of the largest fall
    order                       layers from the fall of `route` to the fall of `then`

    With analysis conflict: the same of the preference for the heard answer, in nats.

Answers (answer_measures.py):

    accuracy                    in %, as is or in a `variant` without a sense
    accuracy_change             in points, of a variant against the same questions as they are
    same_content                % of questions with the same answered content in every order of the options
    letters                     % of answers that are the most frequent letter
    order_accuracy              accuracy in % with the prompt's parts in the order `layout`
    cell                        a `column` (default change) of a finished `table`, in the rows that `where` names: farthest from 0
    masking                     points changed by a `setting` of Table 1
    discarding                  points changed by discarding the tokens of a `setting`; `block` (video, items), `tasks`, `dataset`
    discarded_accuracy          accuracy in % after that
    discarded                   % of the tokens that leave
    saving                      change of a cost, `column` of the same table, in %
    sweep                       accuracy in % if the tokens of a `setting` are discarded after one of the `layers`
    sufficiency                 % of answers kept if only the edges of a `kind` stay open; with `column: share`, % of edges
    winner                      % of the known pairs in a conflict won by `answer` (heard, seen or other); `both: true`: of those
                                in which each sense alone tells an answer
    known                       % of the pairs in a conflict whose questions the model answers rightly about either clip alone
    cumulative                  % of answers kept if a route is cut in all layers up to or from a `layer`; `style`
    found_at                    % of questions in which the slice of a `source` that keeps most of the answer, if the `target`
                                (default question) sees it alone, lies in the known event of its sense
    around_event                % change if the target sees one part of a `source` alone, between two `seconds` from the event
                                (default: any part, such as a tile); with `alone: false`, if it sees all but this part

Attention (attention_measures.py), over `layers` or `depths`:

    attention                   % of the last token's attention that goes to the class `name`
    sinks                       sink tokens of the class `name` per question and layer; with `column: first`, % that come first
    flow                        % of the attention of a `query`, last or question, that goes to the class `name` in the maps of
                                Figure 2 (`variant` uncut, the default) or of app_attention_change (cut)
    readout                     % that the last token's states give the right option
    removed                     % of the target's attention that the cut of a `route` in an `analysis` takes away

Patches (patch_measures.py), over `layers`:

    patched                     the number of a `kind` (patch, follows, returns; see `patches`) farthest from 0, in %

Heads (head_measures.py), from the tables of app_heads:

    head                        change in % if a `route` is cut in the one head that costs most; with `all: true`, in all heads of
                                the one layer that does; over `layers`
    head_layer                  the mean layer of a route's single heads, each with the weight of what its cut costs
    heads_together              change in % if about a `share` of all heads is cut, the strongest; with `drawn: true`, random ones

The instrument (calibration_measures.py):

    rank_correlation            Spearman's, between the mean fall under cuts of a sense's route and the accuracy lost without it
    false_positives             % of centres at which a route that cannot matter seems to matter: its 95 % interval excludes 0 and
                                its mean change exceeds 1 %. With `control`: the same for size-matched random controls
    scrambled                   % of random relabellings of two groups' questions under which the groups differ (95 %)
    complete, windows_fit       % of cuts made exactly once; % of cuts in the window that their centre and the study state
    questions, null_rows        smallest number of questions by route and group; % of them with a row without a cut
    clips                       number of different clips behind a `table`'s questions
    controlled                  number of draws of a control, over all questions and routes, that are there in all layers
    moves                       mean change of the margin in logits, either way, as the geometric mean over routes
    moves_at                    the mean centre of these changes, weighted by them
    applicable                  % of a route's cuts that have anything to cut
    unchanged                   % of cuts, in the route and the group with most, that leave the margin exactly as it is uncut
    noise                       largest difference in % between a null row and the clean forward
    same_run                    % of questions whose margin without a cut is that of the evaluation
    same_cut                    % of cuts with an effect that equal another analysis's (`other`) exactly
    coherent                    % of the rows of a `table` that agree with the evaluation and themselves (coherence_measures.py)
    specimen                    records of a `table`'s cells that are not as in the shipped run (specimen.py)

Every measure takes (tables, claim, model) and returns value, low, high and n. n is 0 if there is nothing to measure.
"""

from . import (
    answer_measures,
    attention_measures,
    calibration_measures,
    coherence_measures,
    head_measures,
    patch_measures,
    route_measures,
)
from .study_tables import Tables

__all__ = ["MEASURES", "NEEDS", "Tables", "measured"]
MEASURES = {
    **route_measures.MEASURES,
    **answer_measures.MEASURES,
    **attention_measures.MEASURES,
    **patch_measures.MEASURES,
    **head_measures.MEASURES,
    **calibration_measures.MEASURES,
    **coherence_measures.MEASURES,
}

NEEDS = {  # measure -> the arguments that it cannot do without
    **dict.fromkeys(route_measures.MEASURES, "route"),
    **dict.fromkeys(("discarding", "discarded_accuracy", "discarded"), "block setting"),
    **dict.fromkeys(("complete", "windows_fit", "null_rows", "same_run", "controlled", "moves", "moves_at"), "analysis"),
    "elsewhere": "analysis",
    **{"order": "route then", "accuracy_change": "variant", "order_accuracy": "analysis layout", "cell": "table"},
    **{"masking": "setting", "saving": "block setting column", "sweep": "block setting layers", "sufficiency": "kind"},
    **{
        "cumulative": "route style layer",
        "attention": "name",
        "flow": "name",
        "rank_correlation": "tasks",
        "scrambled": "route groups",
    },
    **{
        "questions": "route",
        "patched": "route kind",
        "unchanged": "analysis layers",
        "same_cut": "other",
        "specimen": "table specimen",
        "coherent": "table",
        "clips": "table",
    },
    **{"head": "route", "head_layer": "route", "heads_together": "route share"},
    **{"found_at": "source", "around_event": "source"},
    **{"winner": "answer", "removed": "analysis route", "applicable": "analysis route"},
}


def measured(tables: Tables, claim: dict, model: str) -> tuple[float, float, float, int]:
    """Value, low, high and n of a claim's measure; with `than`, of the difference from the second measurement."""
    than = claim.get("than")
    claim = {name: value for name, value in claim.items() if name != "than"}
    value, low, high, n = MEASURES[claim["measure"]](tables, claim, model)
    if than is None:
        return value, low, high, n
    other = MEASURES[than.get("measure", claim["measure"])](tables, {**claim, **than}, model)
    return value - other[0], low - other[2], high - other[1], min(n, other[3])

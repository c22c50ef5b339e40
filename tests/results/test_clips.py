"""Questions about one clip are not independent: asking each twice makes no interval narrower, wherever one is computed.

Every function that gives intervals reads the shipped tables of one model, and then the same tables with a copy of each question
about the same clip. Drawn over clips, both give the same numbers. Drawn over questions, the second interval would be narrower.
"""

import numpy as np
import pandas as pd
import pytest
from finished_tables import DATASETS, SHIPPED

from avflow.results import (
    answers,
    attention,
    baseline,
    discard_effects,
    effects,
    explorer_data,
    heads,
    measures,
    orders,
    overview,
    patches,
    reliance,
    sensitivity,
    table_1,
    table_4,
)

MODEL, DRAWS, SEED = "tiny-omni", 300, 0
CLIPS, ITEMS, GRADED = DATASETS["video"], DATASETS["items"], "mini-graded"
KEEP = {  # table -> the rows that are enough; tables without an entry stay whole
    "attention": "kind in ('masked', 'masked_early', 'lens', 'shares') and group in ('hear', 'see-faint-63')",
    "discard_sweep": "group == 'hear-faint-45' and discard in ('Audio', 'none')",
    "knockout_figure_3": "group == 'see-before'",
    "knockout_figure_4": "group in ('hear-faint-45', 'hear') and control in ('none', 'null') and cut == 'mask'",
    "knockout_figure_5": "group == 'by-aspect'",
    "knockout_figure_6": "group == 'stated'",
    "knockout_cumulative": "group == 'hear'",
    "pruning": "task == 'hear-faint-45'",
    "knockout_order_items": "group in ('repeated', 'by-aspect')",
}


def asked_twice(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows and a copy of each that belongs to another question about the same clip."""
    return pd.concat([rows, rows.assign(question_id=rows["question_id"] + "_again")], ignore_index=True)


@pytest.fixture(scope="module")
def once_and_twice(tmp_path_factory):
    """Two folders of tables: as shipped, and with every question asked twice."""
    folders = [tmp_path_factory.mktemp(name) for name in ("once", "twice")]
    names = ("evaluate", "reliance", "sufficiency", "resample", "conflict", "knockout_graded", "knockout_sinks")
    for name in (*names, "knockout_heads", "knockout_head_sets", *KEEP):
        rows = pd.read_parquet(SHIPPED / f"{name}.parquet", filters=[("model", "=", MODEL)])
        rows = rows.query(KEEP[name]) if name in KEEP else rows
        if name in ("pruning", "discard_sweep"):  # every fourth clip loses its answer, because the tiny models lose too few
            lost = rows["cluster"].rank(method="dense") % 4 == 0
            rows = rows.assign(correct=rows["correct"] & ~(lost & (rows["discard"] != "none")))
        if name == "knockout_sinks":  # a share by clip, because the tiny models have no sinks to cut
            rows = rows.assign(applicable=True, removed_mass=rows["cluster"].rank(method="dense") / 100)
        rows.to_parquet(folders[0] / f"{name}.parquet")
        asked_twice(rows).to_parquet(folders[1] / f"{name}.parquet")
    return folders


def pruned(folder):
    rows, layers = pd.read_parquet(folder / "pruning.parquet"), {MODEL: {"av_video": {}}}
    return table_4.table(rows, {"knockout": {CLIPS: ["*"]}}, [MODEL], layers, None, 2, DRAWS, SEED)["av_video"]


def of_explorer(folder):
    asked = pd.read_parquet(folder / "evaluate.parquet").set_index("question_id")["gold"].to_dict()
    (block,) = explorer_data.read_blocks(folder / "knockout_figure_4.parquet", "figure_4", asked)
    found, _ = explorer_data.curves_of(block, explorer_data.subsets(block)[0], DRAWS, SEED)
    return pd.DataFrame(found.reshape(-1, 2), columns=["ci_low", "ci_high"])


def of_heads(part, **more):
    """The table of `heads.alone` or `together`, from Figure 4's cuts written as cuts of all heads."""

    def found(folder):
        rows = pd.read_parquet(folder / "knockout_figure_4.parquet").query("centre == 5 or control == 'null'")
        path = folder / "knockout_heads.parquet"
        rows.assign(heads="0,1", **more).to_parquet(path)
        return part(path, [MODEL], CLIPS, DRAWS, SEED)

    return found


def of_curves(curves):
    return pd.concat([pd.DataFrame(dict(ci_low=c.low, ci_high=c.high, change=c.mean)) for c in curves.values()])


def shifted(folder):
    """How the peak of one route differs from that of another, in the same questions."""
    rows = effects.relative_change(folder / "knockout_figure_4.parquet", {MODEL: 3}, CLIPS)
    one, other = (rows[(rows["route"] == route) & (rows["group"] == "hear")] for route in ("audio->question", "question->last"))
    return pd.DataFrame([sensitivity.shift(one, other, 1, DRAWS, SEED)])


def relied(folder):
    return reliance.reliance(folder / "reliance.parquet", folder / "evaluate.parquet", DRAWS, SEED)


def of_graded(folder):
    rows = effects.relative_change(folder / "knockout_graded.parquet", {MODEL: 3}, GRADED)
    table = relied(folder)
    return reliance.dial(table[table["dataset"] == GRADED], rows, ["audio->question"], DRAWS, SEED)


def of_areas(folder):
    rows = effects.relative_change(folder / "knockout_figure_4.parquet", {MODEL: 3}, CLIPS)
    table = reliance.reliance(folder / "reliance.parquet", folder / "evaluate.parquet", 2, SEED, by="group")
    return reliance.areas(rows, table, DRAWS, SEED)


def read(folder, number: int, data: str):
    return effects.read(
        folder / f"knockout_figure_{number}.parquet",
        {MODEL: 3},
        data,
        dict(evaluated=str(folder / "evaluate.parquet"), draws=DRAWS, seed=SEED),
    )


def ordered(folder):
    rows = orders.rows_by_order(folder / "knockout_order_items.parquet", {MODEL: 3}, ITEMS)
    return orders.summary(rows, ["reference->last"], DRAWS, SEED)


def normalised(folder):
    of = {name: read(folder, number, data) for number, (name, data) in enumerate(OVERVIEW.items(), 3)}
    return overview.normalised(of, {MODEL: 12})


OVERVIEW = {"figure_3": CLIPS, "figure_4": CLIPS, "figure_5": ITEMS, "figure_6": ITEMS}
FUNCTIONS = {
    "bands": lambda folder: of_curves(read(folder, 4, CLIPS).of(group="hear").curves(["audio->question", "question->last"])),
    "pointwise": lambda folder: of_curves(
        {0: effects.pointwise(read(folder, 4, CLIPS).of(route="question->last").rows, DRAWS, SEED)}
    ),
    "answers.by_layer": lambda folder: answers.by_layer(folder / "attention.parquet", [MODEL], [CLIPS], DRAWS, SEED),
    "answers_kept": lambda folder: answers.answers_kept(folder / "knockout_cumulative.parquet", [MODEL], CLIPS, DRAWS, SEED),
    "sufficiency": lambda folder: answers.sufficiency(folder / "sufficiency.parquet", [MODEL], CLIPS, DRAWS, SEED),
    "attention.shares": lambda folder: attention.shares(folder / "attention.parquet", [MODEL], CLIPS, DRAWS, SEED),
    "accuracies": lambda folder: baseline.accuracies(folder / "evaluate.parquet", PUBLISHED, DRAWS, SEED),
    "discards by layer": lambda folder: discard_effects.by_layer(
        folder / "discard_sweep.parquet", [MODEL], [CLIPS], 2, DRAWS, SEED
    ),
    "trade": lambda folder: discard_effects.trade(folder / "pruning.parquet", [MODEL], [CLIPS], 2, DRAWS, SEED),
    "Table 1": lambda folder: table_1.masking_table(folder / "attention.parquet", CLIPS, NO_NUMBERS, DRAWS, SEED),
    "Table 4": pruned,
    "heads.alone": of_heads(heads.alone, control="none"),
    "heads.together": of_heads(heads.together, control="none"),
    "reliance": relied,
    "areas": of_areas,
    "dial": of_graded,
    "orders": ordered,
    "normalised": normalised,
    "sensitivity": shifted,
    "explorer": of_explorer,
    "patches": lambda folder: patches.summary(patches.rows_of(folder / "resample.parquet", [MODEL], ITEMS), ITEMS, DRAWS, SEED),
}
PUBLISHED = SHIPPED.parents[2] / "resources/published/accuracy.csv"
NO_NUMBERS = pd.DataFrame(columns=["dataset", "model", "setting"])
MEASURES = {
    "lowest": dict(route="question->last", group="hear"),
    "mean": dict(route="question->last", group="hear"),
    "band": dict(route="question->last", group="hear"),
    "centre_of_fall": dict(route="question->last", group="hear"),
    "accuracy": dict(group="hear-faint-45"),
    "accuracy_change": dict(group="hear-faint-45", variant="muted"),
    "same_content": dict(group="hear-faint-45"),
    "letters": dict(group="hear-faint-45"),
    "order_accuracy": dict(analysis="order_items", layout="original", group="repeated"),
    "discarding": dict(block="video", setting="All", tasks="hear-faint-45"),
    "discarded_accuracy": dict(block="video", setting="All", tasks="hear-faint-45"),
    "sweep": dict(block="video", setting="Audio", layers=[3, 3]),
    "sufficiency": dict(kind="found", threshold=40),
    "cumulative": dict(route="question->last", style="top_down", layer=5),
    "attention": dict(name="audio", group="hear"),
    "readout": dict(group="see-faint-63"),
    "known": dict(group="hear-faint-45"),
    "head": dict(route="question->last"),
    "heads_together": dict(route="question->last", share=0.11),
    "winner": dict(answer="heard", group="either-50", data=GRADED),
    "removed": dict(analysis="sinks", route="video_sinks->last", group="hear"),
    "patched": dict(kind="patch", route="candidates->reference", group="I2A", data="items"),
}


def ends(table: pd.DataFrame) -> pd.DataFrame:
    """The intervals of a table, without those of changes of 0: these leave open whether answers about a clip change together."""
    named = [name for name in table if name in ("low", "high") or name.endswith(("_low", "_high"))]
    assert named
    if {"change", "non_inferior"} <= set(table) or {"change", "setting"} <= set(table):
        table = table[table["change"].abs() > 0]
    found = table[named].astype(float)
    assert (found[named[1]] > found[named[0]]).any(), "an interval has a width"
    return found.reset_index(drop=True)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_question_asked_twice_about_its_clip_counts_once(once_and_twice, name):
    once, twice = (ends(FUNCTIONS[name](folder)) for folder in once_and_twice)
    np.testing.assert_allclose(twice, once, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", MEASURES)
def test_a_question_asked_twice_counts_once_in_claims(once_and_twice, name):
    claim = {"claim": "c", "measure": name, **MEASURES[name]}
    tables = [measures.Tables(folder, {MODEL: 3}, DATASETS, DRAWS, SEED) for folder in once_and_twice]
    once, twice = (measures.measured(table, claim, MODEL) for table in tables)
    assert once[0] == pytest.approx(twice[0]) and once[3] > 0
    assert twice[1:3] == pytest.approx(once[1:3], rel=1e-6, nan_ok=name == "band")
    assert once[1] < once[2] or name == "band"


def test_the_measures_with_an_interval_are_those_above():
    without = {"highest", "largest", "depth_of_fall", "depth_of_rise", "order", "windows"}  # made as those above, or none
    without |= {"weakest", "cell", "masking", "saving", "sinks", "discarded", "elsewhere", "flow", "head_layer"}
    without |= {"found_at", "around_event"}  # see test_where.py
    without |= {*measures.calibration_measures.MEASURES, *measures.coherence_measures.MEASURES}
    assert set(MEASURES) | without == set(measures.MEASURES)

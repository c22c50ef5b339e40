"""A run's tables beside the shipped ones: what agrees is said to agree, and damages of every kind are noticed."""

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from finished_tables import SHIPPED

from avflow.errors import InputError
from avflow.results import agreement

MODEL = "tiny-omni"
TABLES = (
    "evaluate",
    "reliance",
    "attention",
    "discard_sweep",
    "pruning",
    "sufficiency",
    "knockout_figure_4",
    "knockout_figure_5",
)
EXACT, ROUGH = agreement.TOLERANCES["float32"], agreement.TOLERANCES["bfloat16"]


@pytest.fixture(scope="module")
def shipped():
    """Table -> a model's shipped rows, of a few clips and their questions."""

    def few(name):
        rows = pd.read_parquet(SHIPPED / f"{name}.parquet")
        rows = rows[(rows["model"] == MODEL) & rows["question_id"].str.contains(r"_000[1-3]$")]
        return rows.reset_index(drop=True)

    return {name: few(name) for name in TABLES}


def wrong(fresh, told, name, tolerance=EXACT) -> list[str]:
    return [line["measure"] for line in agreement.compare(fresh, told, name, tolerance) if not line["agrees"]]


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("tolerance", [EXACT, ROUGH])
def test_tables_agree_with_themselves_and_every_line_counts_rows(name, tolerance, shipped):
    lines = agreement.compare(shipped[name], shipped[name], name, tolerance)
    assert [line for line in lines if not line["agrees"] or line["n"] < 16] == []
    said = {line["measure"]: line["found"] for line in lines}
    assert said.pop("rows in both") == said.pop("equal answers", 1.0) == 1.0 and said and set(said.values()) == {0.0}


@pytest.mark.parametrize("name", TABLES)
def test_what_a_gpu_changes_agrees(name, shipped):
    """Log-probabilities that differ by at most 1.3e-3, as on an H100, and one answer of a hundred."""
    fresh, noise = shipped[name].copy(), np.random.default_rng(0)
    for column in {"logp_base", "margin", "margin_clean"} & set(fresh):
        fresh[column] += noise.uniform(-1.3e-3, 1.3e-3, len(fresh)).astype(np.float32)
    if "answer" in fresh:
        fresh.loc[fresh.index[:: max(200, len(fresh) // 3)][1:], "answer"] = "D"
    assert wrong(fresh, shipped[name], name) == []


@pytest.mark.parametrize("name", [name for name in TABLES if name not in ("attention",)])
def test_one_probability_that_is_off_is_noticed_in_float32_and_many_in_bfloat16(name, shipped):
    fresh, column = shipped[name].copy(), "logp_base"
    likely = fresh.index[(fresh[column] > -0.5) & possible(fresh, name)]
    fresh.loc[likely[0], column] -= 0.1
    assert wrong(fresh, shipped[name], name) == ["probability, distance"]
    (line,) = (o for o in agreement.compare(fresh, shipped[name], name, ROUGH) if o["measure"] == "probability, distance")
    assert line["agrees"] == (line["n"] > 100), "one number may be off in bfloat16 if it is at most 1 % of them"
    fresh.loc[likely, column] -= 0.1
    assert wrong(fresh, shipped[name], name, ROUGH) == ["probability, distance"]


def possible(rows, name):
    """Rows that are compared."""
    kept = pd.Series(True, rows.index)
    for column, values in agreement.ALIKE.get(name, {}).items():
        kept &= rows[column].isin(values)
    return kept


@pytest.mark.parametrize("name", ["evaluate", "knockout_figure_4"])
def test_margins_answers_and_missing_numbers_are_noticed(name, shipped):
    told = shipped[name]
    assert wrong(told.assign(margin=told["margin"] + 0.05), told, name) == ["margin, distance"]
    assert wrong(told.assign(margin=told["margin"] + 0.5), told, name, ROUGH) == ["margin, distance"]
    answers = told["answer"].where(np.arange(len(told)) % 10 > 0, "none")
    assert wrong(told.assign(answer=answers), told, name, ROUGH) == ["equal answers"]
    lost = told.copy()
    lost.loc[lost.index[lost["logp_base"].notna()][0], "logp_base"] = np.nan
    assert wrong(lost, told, name) == ["probability, distance"], "a number became none"


@pytest.mark.parametrize("name", ["reliance", "discard_sweep"])
def test_in_bfloat16_only_clear_answers_count(name, shipped):
    """Letters that are about equally probable have equal logits there; the first one is then the answer."""
    told = shipped[name]
    known = np.exp(told[["logp_base", "logp_gold"]].max(axis=1))
    flipped = lambda rows: told.assign(answer=told["answer"].mask(rows, "none"))
    guessed, clear = known <= 0.5, known > 0.5
    assert (guessed & possible(told, name)).sum() > 10 and wrong(flipped(guessed), told, name, ROUGH) == []
    assert wrong(flipped(guessed), told, name) == wrong(flipped(clear), told, name, ROUGH) == ["equal answers"]


def test_attention_that_moved_is_noticed(shipped):
    told = shipped["attention"]
    shares, lens = (told["kind"] == kind for kind in ("shares", "lens"))
    moved = lambda rows, by: told.assign(values=[v + by if hit else v for v, hit in zip(told["values"], rows)])
    assert wrong(moved(shares, 0.01), told, "attention") == ["attention, distance"]
    assert wrong(moved(lens, 0.5), told, "attention") == ["probability, distance"]
    short = told.assign(values=[v[:-1] if hit else v for v, hit in zip(told["values"], shares)])
    assert wrong(short, told, "attention") == ["attention, distance"]


@pytest.mark.parametrize("name", ["knockout_figure_4", "knockout_figure_5"])
def test_rows_under_another_window_route_or_question_are_not_taken_for_the_same(name, shipped):
    told = shipped[name]
    assert wrong(told.assign(centre=told["centre"] + 100), told, name)[0] == "rows in both"
    assert "rows in both" in wrong(told.assign(route=told["route"] + "s"), told, name, ROUGH)
    shifted = told[told["control"] == "none"].assign(centre=lambda rows: (rows["centre"] + 3) % 12)
    assert "probability, distance" in wrong(shifted, told, name, ROUGH), "each row beside that of another window"


def test_a_run_is_read_by_model_and_precision_and_what_is_missing_is_one_line(shipped, tmp_path):
    run, there = tmp_path / "run", tmp_path / "shipped"
    run.mkdir(), there.mkdir()
    told = shipped["evaluate"]
    off = told.assign(model="tiny-omni-bf16", logp_base=np.log(np.exp(told["logp_base"]) * 0.98))
    pd.concat([told, off]).to_parquet(run / "evaluate.parquet")
    told.to_parquet(there / "evaluate.parquet")
    models = {MODEL: (MODEL, "float32"), "tiny-omni-bf16": (MODEL, "bfloat16")}
    lines = agreement.table(run, there, models, ["evaluate"])
    assert (
        lines["agrees"].all() and set(lines["model"]) == {MODEL} and list(lines["precision"].unique()) == ["float32", "bfloat16"]
    )
    exact = agreement.table(run, there, {**models, "tiny-omni-bf16": (MODEL, "float32")}, ["evaluate"])
    assert not exact["agrees"].all(), "what bfloat16 may do, float32 may not"
    with pytest.raises(InputError, match="shipped/attention.parquet is missing|run/attention.parquet is missing"):
        agreement.table(run, there, models, ["attention"])
    with pytest.raises(InputError, match="evaluate.parquet has no row of tiny-salmonn"):
        agreement.table(run, there, {"tiny-salmonn": (MODEL, "float32")}, ["evaluate"])
    pd.concat([told, told.head(1)]).to_parquet(run / "evaluate.parquet")
    with pytest.raises(InputError, match="the run's table evaluate has two rows of tiny-omni, mini_"):
        agreement.table(run, there, {MODEL: (MODEL, "float32")}, ["evaluate"])


def test_the_docs_state_the_tolerances():
    page = (ROOT / "docs/paper.md").read_text()
    for precision, t in agreement.TOLERANCES.items():
        share = "all" if t.share == 1 else f"{t.share:.0%}".replace("%", " %")
        row = f"| {precision} | {t.probability} | {t.margin} logits | {t.attention} | {share} | {t.answers * 100:.0f} % |"
        assert row in page, row

"""Keeping only the found routes: which edges stay open, and how the answer changes."""

import math

import numpy as np
import pytest
import torch
from table_rows import knockout_table

from avflow.errors import InputError
from avflow.tracing import sufficiency
from avflow.tracing.decoder import causal_mask, masked_run
from avflow.tracing.interventions import Route
from avflow.tracing.packs import uncut_logits


def test_a_route_is_found_where_any_group_loses_by_it(tmp_path):
    changes = {("hear", "audio->question"): [0, -30, 0, 0], ("see", "audio->question"): [0, -1, -2, 0]}
    path = knockout_table(tmp_path / "k.parquet", changes)
    found = sufficiency.effects([path], "m", "d", 3, 4)["audio->question"]
    assert found == pytest.approx([0, -30, -2, 0], abs=1e-4)
    sparse = knockout_table(tmp_path / "s.parquet", {("hear", "audio->question"): [-10, 0, 0, -50]}, stride=3)
    assert sufficiency.effects([sparse], "m", "d", 3, 4)["audio->question"] == pytest.approx([-10, -10, -50, -50], abs=1e-4)
    with pytest.raises(InputError, match="no cut of other in d in windows of 3 layers; give knockout/cuts"):
        sufficiency.effects([path], "other", "d", 3, 4)


EFFECTS = {
    "audio->question": np.array([0, 0, 0, 0, -5, -80, -40, 0, 0, 0, 0, 0.0]),
    "video->question": np.zeros(12),
    "question->last": np.array([0, 0, 0, 0, 0, 0, 0, 0, 0, -20, -70, -60.0]),
}


@pytest.mark.parametrize("case", ["omni clip", "salmonn clip", "qwen3 clip"])
def test_keeping_every_edge_open_is_the_clean_run_and_keeping_none_is_not(cases, case):
    model, sequence = cases[case]
    rows = sufficiency.keep_only(model, sequence, EFFECTS, [1, 30], 2, 0)
    by = {(row["kind"], row["threshold"], row["draw"]): row for row in rows}
    every, nothing = by["all", 0.0, 0], by["none", 0.0, 0]
    assert (
        every["share"] == 1 and every["kept"] and every["logp_base"] == pytest.approx(math.log(every["p_base_clean"]), abs=1e-7)
    )
    clean = uncut_logits(model, [sequence])[0].softmax(-1).max()
    assert every["p_base_clean"] == pytest.approx(float(clean), abs=1e-5)
    assert nothing["share"] == nothing["n_kept_edges"] == 0 and abs(nothing["logp_base"] - every["logp_base"]) > 1e-3
    counts = {r: Route.parse(r).edges(sequence.spans).count for r in EFFECTS}
    assert by["found", 1, 0]["n_kept_edges"] == 3 * counts["audio->question"] + 3 * counts["question->last"]
    assert by["found", 30, 0]["n_kept_edges"] == 2 * counts["audio->question"] + 2 * counts["question->last"]
    for threshold in (1, 30):
        assert {by["random", threshold, d]["n_kept_edges"] for d in (0, 1)} == {by["found", threshold, 0]["n_kept_edges"]}
    assert by["random", 1, 0]["logp_base"] != by["random", 1, 1]["logp_base"]
    again = sufficiency.keep_only(model, sequence, EFFECTS, [1, 30], 2, 0)
    assert again == rows, "draws are seeded"
    other = sufficiency.keep_only(model, sequence, EFFECTS, [1, 30], 2, 1)
    assert [r["logp_base"] for r in other if r["kind"] == "random"] != [r["logp_base"] for r in rows if r["kind"] == "random"]


def test_only_found_routes_open_equals_the_masks_written_out(cases):
    model, sequence = cases["omni clip"]
    rows = sufficiency.keep_only(model, sequence, EFFECTS, [30], 1, 0)
    length, cuts = len(sequence), {}
    for route in EFFECTS:
        cuts[route] = Route.parse(route).edges(sequence.spans).cut(torch.arange(length), length)
    masks = []
    for layer in range(12):
        closed = [cut for route, cut in cuts.items() if EFFECTS[route][layer] > -30]
        masks.append((causal_mask(length) & ~torch.stack(closed).any(0))[None])
    logits = masked_run(model, sequence, lambda layer: masks[layer])[0]
    token = int(uncut_logits(model, [sequence])[0].argmax())
    found = next(row for row in rows if row["kind"] == "found")
    assert found["logp_base"] == pytest.approx(float(logits.log_softmax(-1)[token]), abs=1e-5)


def test_random_edges_are_tested_ones_and_as_many(cases):
    sequence = cases["omni clip"][1]
    tested = sufficiency.Tested(sequence, EFFECTS, "cpu")
    kept = tested.random(1003, 5)
    drawn = [kept(layer) for layer in range(12)]
    assert [int(d.sum()) for d in drawn] == [84] * 7 + [83] * 5 and all((d & ~tested.all).sum() == 0 for d in drawn)
    assert torch.equal(kept(3), drawn[3]) and not torch.equal(drawn[0], drawn[1])

"""Where the last token looks and what it knows: shares, maps, sinks, lens, late masks, and keeping only found routes."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from conftest import ROOT, UNIONS, script
from test_salmonn import encoded, items_question, video_question

from attention import change
from avflow.errors import InputError
from avflow.models.spans import Spans
from avflow.models.video_salmonn import VideoSalmonn
from avflow.results import answers, attention, effects, overview, published, statistics, table_1
from avflow.tracing import knockout, last_token, late_layers, row_schemas, sinks, sufficiency
from avflow.tracing.decoder import causal_mask, clean_run, masked_run, uncut_logits
from avflow.tracing.interventions import Route
from avflow.tracing.pooled_maps import as_range, attention_maps, bin_classes, bins_of
from avflow.tracing.token_classes import CLASSES, first_tokens, token_classes

HEAR, MATCH = "mini_video__hear_0001", "mini_items__image-to-audio_0001"
TEXT = ["system", "delimiter", "instruction", "question_text", "options", "tail", "last"]


@pytest.fixture(scope="module")
def salmonn():
    return VideoSalmonn(ROOT / "resources/tiny-salmonn", "You are a helpful assistant.")


@pytest.fixture(scope="module")
def cases(model, sequences, salmonn):
    """name -> (model, sequence) of both adapters and both settings."""
    asked = {"salmonn clip": video_question(), "salmonn items": items_question("image-to-audio")}
    made = {n: (salmonn, salmonn.sequence(q, encoded(salmonn, q), UNIONS[q.setting])) for n, q in asked.items()}
    return {"omni clip": (model, sequences[HEAR]), "omni items": (model, sequences[MATCH]), **made}


CASES = ("omni clip", "omni items", "salmonn clip", "salmonn items")


def official_weights(model, run, number):
    """Attention weights (heads, S, S) of a layer as the official eager code computes them from the same input."""
    layer, length, seen = model.decoder.layers[number], run.cos.shape[1], {}
    kernel = model.decoder.config._attn_implementation
    model.decoder.config._attn_implementation = "eager"
    handle = layer.self_attn.register_forward_hook(lambda m, a, out: seen.update(weights=out[1][0]))
    try:
        mask = torch.zeros(length, length).masked_fill(~causal_mask(length), float("-inf"))
        with torch.inference_mode():
            layer(run.inputs[number][None], attention_mask=mask[None, None], position_embeddings=(run.cos, run.sin))
    finally:
        handle.remove()
        model.decoder.config._attn_implementation = kernel
    return seen["weights"]


# the last token


@pytest.mark.parametrize("case", CASES)
def test_shares_sum_to_one_and_are_the_last_row_of_the_full_matrix(cases, case):
    model, sequence = cases[case]
    run = clean_run(model, sequence)
    shares = last_token.attention_shares(model, sequence, run)
    assert shares.shape == (12, len(CLASSES), 3)
    assert (shares.sum(1) - 1).abs().max() < 1e-5
    kinds = token_classes(sequence.spans)
    for number in range(12):
        last = official_weights(model, run, number)[:, -1]  # (heads, S)
        for c in range(len(CLASSES)):
            assert (last[:, kinds == c].sum(1) - shares[number, c]).abs().max() < 2e-6
    only_last = last_token.attention_shares(model, sequence, clean_run(model, sequence, len(sequence) - 1))
    assert (only_last - shares).abs().max() < 1e-6, "one row is enough"


@pytest.mark.parametrize("case", CASES)
def test_the_last_row_equals_the_full_matrixs_last_row(cases, case):
    from avflow.tracing.decoder import last_row_attention

    model, sequence = cases[case]
    run = clean_run(model, sequence)
    for number in range(12):
        keys = run.keys[number].transpose(0, 1)[None]
        found = last_row_attention(model, number, run.inputs[number][-1:], keys, run.cos, run.sin)
        assert (found - official_weights(model, run, number)[:, -1]).abs().max() < 1e-6


@pytest.mark.parametrize("case", CASES)
def test_the_lens_of_the_last_layer_is_what_the_model_says(cases, case):
    model, sequence = cases[case]
    lens = last_token.logit_lens(model, clean_run(model, sequence, len(sequence) - 1))
    said = uncut_logits(model, [sequence])[0]
    assert lens.shape == (12, len(said))
    assert (lens[-1] - said).abs().max() < 1e-5 * said.abs().max()
    assert (lens[-2] - said).abs().max() > 1e-2 * said.abs().max()
    letters = last_token.option_log_probabilities(sequence, lens)
    assert torch.allclose(letters[-1], said.log_softmax(-1)[sequence.letter_ids], atol=1e-4)


def test_every_token_has_a_class_and_frames_and_items_a_first_token(cases):
    sequence = cases["omni clip"][1]
    kinds, spans = token_classes(sequence.spans), sequence.spans
    named = {name: int((kinds == c).sum()) for c, name in enumerate(CLASSES)}
    assert sum(named.values()) == len(sequence) and named["last"] == 1
    assert named["video"] == len(spans["video"]) and named["options"] == len(spans["options"])
    assert named["question"] == len(spans["instruction"]) + len(spans["question_text"]) + len(spans["tail"])
    assert int(first_tokens(spans).sum()) == 4 + 2, "frames and audio segments"
    assert int(first_tokens(cases["omni items"][1].spans).sum()) == 5, "candidates and the reference"


# maps


def test_bins_are_nearly_equal_and_the_last_token_has_its_own():
    at = bins_of(204, 64)
    assert at[-1] == 63 and int((at == 63).sum()) == 1 and (at.diff() >= 0).all()
    assert set(torch.bincount(at[:-1]).tolist()) <= {3, 4}
    assert bins_of(5, 64).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("case", ["omni clip", "salmonn clip"])
def test_a_pooled_map_is_the_full_matrix_pooled_whatever_the_block(cases, case):
    model, sequence = cases[case]
    bins, run = 16, clean_run(model, sequence)
    (uncut,), logits = attention_maps(model, sequence, [], bins)
    at = bins_of(len(sequence), bins)
    onehot = torch.nn.functional.one_hot(at).float()
    for number in (0, 5, 11):
        square = official_weights(model, run, number).mean(0)
        assert (uncut[number] - onehot.T @ square @ onehot / onehot.sum(0)[:, None]).abs().max() < 1e-5
    assert (uncut.sum(-1) - 1).abs().max() < 1e-5
    (small,), _ = attention_maps(model, sequence, [], bins, block=3 * len(sequence) * 7)
    assert (small - uncut).abs().max() < 1e-6
    mask = causal_mask(len(sequence))[None]
    assert (logits[0] - masked_run(model, sequence, lambda _: mask)[0]).abs().max() < 1e-5 * logits.abs().max()


def test_no_square_of_all_heads_is_ever_held(cases, monkeypatch):
    model, sequence = cases["omni clip"]
    held, softmax = [], torch.Tensor.softmax
    monkeypatch.setattr(torch.Tensor, "softmax", lambda x, *a: held.append(x.numel()) or softmax(x, *a))
    block = 3 * len(sequence) * 10
    attention_maps(model, sequence, [], 16, block)
    assert max(held) == block < 3 * len(sequence) ** 2 and len(held) == 12 * math.ceil(len(sequence) / 10)


def test_a_cut_is_missing_from_the_map_and_changes_what_comes_after(cases):
    model, sequence = cases["omni clip"]
    bins = len(sequence)
    (uncut, cut), logits = attention_maps(model, sequence, [(Route.parse("audio->question"), range(0, 8))], bins)
    audio, question = sequence.spans["audio"], sequence.spans["question"]
    assert cut[:8, question][:, :, audio].abs().max() == 0 and uncut[:8, question][:, :, audio].max() > 0.01
    assert (cut[8:, question][:, :, audio]).max() > 0.01
    assert torch.equal(cut[0, : int(question[0])], uncut[0, : int(question[0])]), "rows before the first query do not change"
    assert (logits[1] - logits[0]).abs().max() > 1e-2
    (same,), base = attention_maps(model, sequence, [], bins)
    assert (same - uncut).abs().max() < 1e-6 and (base[0] - logits[0]).abs().max() < 1e-4


def test_masking_layers_that_do_not_exist_is_an_error(cases):
    model, sequence = cases["omni clip"]
    with pytest.raises(InputError, match="layers 8 to 12 do not exist; the model has 0 to 11"):
        attention_maps(model, sequence, [(Route.parse("audio->last"), range(8, 13))], 8)
    with pytest.raises(
        InputError, match=r"masked_layers \[31, 35\] do not exist; the model has layers 0 to 11: give the first and"
    ):
        late_layers.late_window(12, [31, 35])
    with pytest.raises(InputError, match=r"masked_layers \[5, 4\]"):
        late_layers.late_window(12, [5, 4])
    assert as_range(12, [0, 0.67]) == range(0, 8) and as_range(36, [0.5, 1]) == range(18, 36)


def test_a_strip_names_the_commonest_class(cases):
    sequence = cases["omni clip"][1]
    strip = bin_classes(sequence, 32)
    assert strip[0][0] == "system" and strip[-1] == ("last", len(sequence) - 1, len(sequence))
    assert [start for _, start, _ in strip][1:] == [stop for _, _, stop in strip][:-1]


# sinks


def test_sinks_are_found_where_they_were_planted():
    torch.manual_seed(0)
    states = torch.randn(50, 256)
    states[:, 9] += 40  # large in all tokens, so no outlier of the first
    states[0, 9], states[[0, 17, 30], 100] = 300, 300
    activation = sinks.activations(states)
    assert sinks.threshold(4096) == 20 and sinks.threshold(256) == 5
    assert sinks.sink_dimensions(activation).tolist() == [100]
    assert sinks.sink_tokens(activation, sinks.sink_dimensions(activation)).tolist() == [0, 17, 30]
    assert activation[1].pow(2).mean() == pytest.approx(1, abs=1e-4)


def test_without_an_outlier_there_is_no_sink():
    activation = sinks.activations(torch.randn(50, 256, generator=torch.Generator().manual_seed(1)))
    dimensions = sinks.sink_dimensions(activation)
    assert len(dimensions) == len(sinks.sink_tokens(activation, dimensions)) == 0


# masks in the last layers


def test_the_last_layers_are_five_of_thirty_six_or_as_many_of_other_depths():
    found = {n: (w.start, w.stop) for n in (36, 28, 12) for w in [late_layers.late_window(n)]}
    assert found == {36: (31, 36), 28: (24, 28), 12: (10, 12)}
    assert [layer for layer in range(36) if late_layers.late_window(36, [30, 31]).covers(layer)] == [30, 31]


@pytest.mark.parametrize("case", ["omni clip", "salmonn clip"])
def test_late_masks_equal_full_masked_forwards(cases, case):
    model, sequence = cases[case]
    unions = {"question": UNIONS["av_video"]["question"], "text": TEXT, "media": ["video", "audio"]}
    labels = [None] * len(sequence)
    for atom, at in sequence.spans.atoms.items():
        for i in at.tolist():
            labels[i] = atom
    sequence = replace(sequence, spans=Spans(labels, sequence.spans.parts, unions))
    routes, window = ["video->last", "video->text", "media->text", "candidates->last"], late_layers.late_window(12, [8, 11])
    rows = late_layers.masked_answers(model, sequence, clean_run(model, sequence), routes, window, knockout.plan(model))
    assert [row["name"] for row in rows] == ["none", *routes[:3]], "a route with nothing to cut has no row"
    length, open_mask = len(sequence), causal_mask(len(sequence))
    cuts = [Route.parse(r).edges(sequence.spans).cut(torch.arange(length), length) for r in routes[:3]]
    masks = torch.stack([open_mask, *(open_mask & ~cut for cut in cuts)])
    logits = masked_run(model, sequence, lambda n: masks if n >= 8 else open_mask.expand(4, -1, -1))
    token = int(logits[0].argmax())
    for row, one in zip(rows, logits):
        assert row["values"][0] == pytest.approx(float(one.log_softmax(-1)[token]), abs=1e-4)
    assert [row["number"] for row in rows] == [0, *(int(cut.sum()) for cut in cuts)]
    assert len({round(row["values"][0], 6) for row in rows}) > 1, "some mask must matter for the comparison to mean anything"


def test_table_1_pairs_every_setting_with_the_same_questions(tmp_path):
    def row(i, name, correct, model="qwen2.5-omni-3b"):
        empty = dict.fromkeys(row_schemas.ATTENTION.names)
        asked = dict(question_id=f"q{i}", cluster=f"c{i}", dataset="av_speakerbench", model=model)
        return {**empty, **asked, "kind": "masked", "name": name, "layer": 31, "correct": correct, "values": [math.log(0.5)]}

    right = {"none": [1, 1, 0, 0], "video->last": [1, 1, 1, 0], "video->text": [1, 0, 0, 0]}
    rows = [row(i, name, bool(c)) for name, answers in right.items() for i, c in enumerate(answers)]
    pq.write_table(pa.Table.from_pylist([*rows, row(0, "none", True, "other")], row_schemas.ATTENTION), tmp_path / "a.parquet")
    numbers = published.read(ROOT / "resources/published/masking.csv", "setting", "accuracy", "source")
    table = table_1.masking_table(tmp_path / "a.parquet", "av_speakerbench", numbers, 500, 0).set_index(["model", "setting"])
    one = table.loc["qwen2.5-omni-3b"]
    assert (
        one["accuracy"].tolist() == [50, 75, 25] and one["change"].tolist()[1:] == [25, -25] and math.isnan(one["change"].iloc[0])
    )
    low, high = statistics.paired_score_interval(0, 1, 4)
    assert one["ci_low"].iloc[1] <= 100 * low + 1e-6 and one["ci_high"].iloc[1] >= 100 * high - 1e-6, (
        "one pair of four proves little"
    )
    assert one["ci_low"].iloc[2] <= 1e-6 - 100 * high and one["ci_high"].iloc[2] >= -100 * low - 1e-6
    assert one["published"].tolist() == [42.24, 42.24, 42.31] and one["published_change"].round(2).tolist() == [0, 0, 0.07]
    assert one["probability"].round(4).tolist() == [50, 50, 50] and one["n"].tolist() == [4, 4, 4]
    assert table.loc["other", "published"].isna().all(), "the paper's numbers are of one model"


# only the found routes


def knockout_table(path, changes, stride=1):
    """A table of knockouts: (group, route) -> % change by layer."""
    rows = []
    for (group, route), by_layer in changes.items():
        for centre in range(0, len(by_layer), stride):
            row = dict.fromkeys(row_schemas.KNOCKOUT.names) | dict(
                question_id="q", dataset="d", model="m", group=group, route=route
            )
            row |= dict(style="centred", width=3, centre=centre, cut="mask", control="none", layout="paper_eq1", applicable=True)
            rows.append(row | dict(logp_base=math.log(1 + by_layer[centre] / 100), p_base_clean=1.0, correct_clean=True))
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.KNOCKOUT), path)
    return path


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


@pytest.mark.parametrize("case", ["omni clip", "salmonn clip"])
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


# tables behind the figures


def entry(i, kind, values, layer=None, name=None, number=None, model="m", **more):
    empty = dict.fromkeys(row_schemas.ATTENTION.names)
    asked = dict(question_id=f"q{i}", cluster=f"c{i}", dataset="d", model=model, task="hear", group="hear", gold="B")
    row = {
        **empty,
        **asked,
        "correct_clean": True,
        "kind": kind,
        "values": values,
        "layer": layer,
        "name": name,
        "number": number,
    }
    return row | more


def written(path, rows):
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.ATTENTION), path)
    return path


def test_shares_are_meaned_over_heads_and_questions_and_the_jump_is_found(tmp_path):
    video = {0: [[0.1, 0.1], [0.1, 0.3]], 1: [[0.2, 0.2], [0.2, 0.2]], 2: [[0.7, 0.9], [0.9, 0.7]]}
    rows = [entry(i, "shares", heads, layer, "video") for layer, by in video.items() for i, heads in enumerate(by)]
    rows += [
        entry(i, "shares", [1 - h for h in heads], layer, "last") for layer, by in video.items() for i, heads in enumerate(by)
    ]
    table = attention.shares(written(tmp_path / "a.parquet", rows), ["m"], "d", 200, 0)
    assert table[table["name"] == "video"]["share"].tolist() == pytest.approx([0.15, 0.2, 0.8], abs=1e-6)
    assert table.groupby("layer")["share"].sum().tolist() == pytest.approx([1, 1, 1], abs=1e-6) and set(table["n"]) == {2}
    assert attention.map_layers(table) == {"m": [1, 2]} and attention.map_layers(table, {"m": [0, 2]}) == {"m": [0, 2]}


def test_sinks_are_counted_with_the_share_of_first_tokens(tmp_path):
    rows = []
    for i in (0, 1):
        rows += [entry(i, "tokens", [16], name="video", number=4), entry(i, "tokens", [14], name="system", number=0)]
        rows += [entry(i, "sink_dimensions", [], layer=0), entry(i, "sink_dimensions", [7] if i else [7, 9], layer=1)]
        rows += [entry(i, "sinks", [0], layer=1, name="system", number=0)]
    rows += [entry(1, "sinks", [20, 24, 28, 29], layer=1, name="video", number=3)]
    found = attention.sinks(written(tmp_path / "a.parquet", rows), ["m"], "d").set_index(["layer", "name"])
    assert found.loc[(0, "none"), "sinks"] == 0
    video = found.loc[(1, "video")]
    assert (video["sinks"], video["first"], video["expected_first"]) == (2, 0.75, 0.25)
    assert video["dimensions"] == "7: 1.00 9: 0.50" and found.loc[(1, "system"), "first"] == 0


def test_the_right_letter_is_told_from_the_wrong_ones(tmp_path):
    lens = [[0.25, 0.25, 0.25, 0.25], [0.1, 0.7, 0.1, 0.1]]
    rows = [entry(0, "lens", [math.log(p) for p in one], layer) for layer, one in enumerate(lens)]
    rows += [entry(1, "lens", [-9.0, -9.0, -9.0, -9.0], layer, correct_clean=False) for layer in (0, 1)]
    table = answers.by_layer(written(tmp_path / "a.parquet", rows), ["m"], ["d"], 200, 0)
    by = table.set_index(["layer", "kind"])["probability"]
    assert by[1, "correct"] == pytest.approx(0.7, abs=1e-6) and by[1, "wrong"] == pytest.approx(0.1, abs=1e-6)
    assert by[0, "correct"] == pytest.approx(0.25, abs=1e-6) and set(table["n"]) == {1}, "wrong answers are left out"


def test_flows_sum_to_one_and_follow_the_cut(tmp_path):
    rows = [entry(0, "bins", [n, n + 1], name=name, number=n) for n, name in enumerate(("audio", "question", "last"))]
    squares = {"uncut": [[1, 0, 0], [0.6, 0.4, 0], [0.1, 0.7, 0.2]], "cut": [[1, 0, 0], [0, 1, 0], [0.3, 0.5, 0.2]]}
    rows += [entry(0, "map", line, 4, name, n) for name, square in squares.items() for n, line in enumerate(square)]
    path = written(tmp_path / "a.parquet", rows)
    flows = attention.flows(attention.rows_of(path, ["bins", "map"], ["m"], "d"))
    assert flows.groupby(["query", "variant"])["share"].sum().tolist() == pytest.approx([1] * 4, abs=1e-6)
    by = flows.set_index(["query", "name", "variant"])["share"]
    assert by["question", "audio", "uncut"] == pytest.approx(0.6) and by["question", "audio", "cut"] == 0
    assert by["last", "question", "cut"] == 0.5 and attention.changed_layer(flows, "m") == 4


def test_cumulative_cuts_name_the_halves_and_count_what_is_still_answered(tmp_path):
    rows = []
    for i in (0, 1):
        base = dict.fromkeys(row_schemas.KNOCKOUT.names) | dict(
            question_id=f"q{i}", cluster=f"c{i}", dataset="d", model="m", group="hear"
        )
        base |= dict(layout="paper_eq1", cut="mask", applicable=True, correct_clean=True, width=3, p_base_clean=1.0)
        rows.append(base | dict(control="null", answer="A", style="centred", logp_base=0.0))
        for style in ("bottom_up", "top_down"):
            for c in range(4):
                start, stop = (0, c + 1) if style == "bottom_up" else (c, 4)
                hurt = i == 0 and stop - start == 4
                cut = dict(style=style, centre=c, window_start=start, window_stop=stop, route="audio->question", control="none")
                rows.append(base | cut | dict(answer="B" if hurt else "A", logp_base=math.log(0.5) if hurt else 0.0))
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.KNOCKOUT), tmp_path / "k.parquet")
    table = answers.answers_kept(tmp_path / "k.parquet", ["m"], "d", 200, 0).set_index(["style", "centre"])
    assert table.loc[("bottom_up", 3), "accuracy"] == 0.5 == table.loc[("top_down", 0), "accuracy"]
    assert table.loc[("bottom_up", 3), "change"] == pytest.approx(-25) and table.loc[("bottom_up", 0), "accuracy"] == 1
    assert table[table["half"] != ""]["half"].to_dict() == {("bottom_up", 1): "first", ("top_down", 2): "second"}


def test_models_of_other_depths_meet_on_one_normalised_depth():
    rows = [
        dict(model=m, question_id="q", cluster="c", route="question->last", centre=c, change=-float(c))
        for m, depth in (("a", 12), ("b", 36))
        for c in range(depth)
    ]
    rows, none = pd.DataFrame(rows), pd.DataFrame(columns=["model", "route"])
    reading = effects.Reading("", draws=200)
    found = {n: effects.Effects(reading, rows if n == "figure_4" else none, none, none) for n in overview.FIGURES}
    table = overview.normalised(found, {"a": 12, "b": 36})
    assert table.groupby("model")["depth"].agg(["min", "max", "size"]).values.tolist() == [[0, 1, 12], [0, 1, 36]]
    assert table.set_index(["model", "centre"]).loc[("b", 35), "change"] == -35


def test_a_model_without_wrong_answers_has_an_empty_figure_and_no_error(tmp_path):
    from avflow.figures.route_panels import route_panels

    shard = tmp_path / "shard.parquet"
    pq.write_table(row_schemas.KNOCKOUT.empty_table(), shard)
    refused = script("gather", shard, "--out", tmp_path / "k.parquet", check=False)
    assert refused.returncode == 2 and "none of 1 shards holds a row" in refused.stderr
    script("gather", shard, "--may-be-empty", "--out", tmp_path / "k.parquet")
    pq.write_table(row_schemas.EVALUATE.empty_table(), tmp_path / "e.parquet")
    found = effects.read(tmp_path / "k.parquet", {"m": 3}, "d", {"evaluated": tmp_path / "e.parquet"}, answered="wrong")
    figure = route_panels(found, ["m"], [("", "", ["audio->last"])])
    assert any(text.get_text() == "no rows" for text in figure.axes[0].texts)


def test_wrong_answers_are_taken_in_every_order_and_right_ones_in_the_usual(tmp_path):
    path = knockout_table(tmp_path / "k.parquet", {("hear", "audio->last"): [-10.0]})
    rows = pq.read_table(path).to_pylist()
    other = {**rows[0], "layout": "question_first"}
    rows += [other, {**other, "question_id": "w", "correct_clean": False}, {**rows[0], "style": "top_down", "question_id": "t"}]
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.KNOCKOUT), path)
    ids = lambda **more: effects.changes(path, {"m": 3}, "d", **more)["question_id"].tolist()
    assert (ids(), ids(answered="wrong"), ids(style="top_down")) == (["q"], ["w"], ["t"])


def test_a_change_that_is_not_understood_is_one_line():
    import argparse

    assert change('{"route": "audio->last", "layers": [0.5, 1]}')["layers"] == [0.5, 1]
    for text in ("audio->last", '{"route": "audio->last"}', '{"route": "audio->last", "layers": [1, 0.5]}', '{"layers": 3}'):
        with pytest.raises(argparse.ArgumentTypeError, match="write a route and shares of the depth"):
            change(text)

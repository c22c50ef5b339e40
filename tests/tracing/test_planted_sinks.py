"""A small random model with sinks planted in its weights: the attention analysis finds them, and the last token looks at them.

Also tests avflow.tracing.sink_spans.
"""

import math
from types import SimpleNamespace

import examples
import pytest
import torch

import attention
from avflow.errors import InputError
from avflow.models.sequence import Sequence
from avflow.models.spans import Spans
from avflow.tracing import Knockout, Route, Window, clean_run, knockout, sink_spans, windows
from avflow.tracing.decoder import last_row_attention

SIZE, LAYERS, HEADS, ROOM = 256, 6, 4, 32  # ROOM: dimensions of a decoder layer's MLP
MARKS, SINK = (0, 1), 2  # dimensions of the residual stream: what marks a future sink, and where its activation becomes massive
EARLY, LATE = 0, 2  # layers whose MLPs make sinks of tokens with the first and the second mark; they are sinks from the next on
SLOW = SIZE // HEADS // 2 - 1  # the dimension of a head that rotary embedding turns least

LABELS = ["system"] * 3 + ["delimiter"] + ["video"] * 6 + ["audio"] * 4 + ["delimiter"] + ["question_text"] * 5
LABELS += ["option_A"] * 2 + ["option_B"] * 2 + ["tail", "last"]
PARTS = {"frame_0": [4, 5, 6], "frame_1": [7, 8, 9], "audio_segment_0": [10, 11, 12, 13]}
KINDS = (("mask", "none"), ("value_zero", "none"), ("mask", "random_same"))  # cut and control
FIRST, DELIMITER, VIDEO = 0, 14, [5, 7, 9]  # one of the three video tokens begins a frame
TWO = VIDEO[:2]  # leave four others of the video, enough for a choice


def decoder(planted: bool):
    """A random decoder, whose queries look for a large SINK dimension. Only if planted, its MLPs write one at marked tokens."""
    from transformers.models.qwen2_5_omni import modeling_qwen2_5_omni as official

    rope = {"rope_type": "default", "mrope_section": [16, 8, 8], "rope_theta": 10000.0}
    config = official.Qwen2_5OmniTextConfig(
        vocab_size=32, hidden_size=SIZE, intermediate_size=ROOM, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        num_key_value_heads=2, initializer_range=0.05, rope_parameters=rope, use_sliding_window=False,
        attn_implementation="sdpa",
    )  # fmt: skip
    torch.manual_seed(0)
    made = official.Qwen2_5OmniThinkerTextModel(config).eval()
    kept = [*MARKS, SINK]
    with torch.no_grad():
        for layer in made.layers:
            seen, mlp = layer.self_attn, layer.mlp
            seen.o_proj.weight[kept] = mlp.down_proj.weight[kept] = 0.0  # nothing else writes there,
            seen.v_proj.weight[:, kept] = 0.0  # and no value carries it: a sink draws attention and says nothing
            for name, heads in (("q_proj", HEADS), ("k_proj", 2)):
                getattr(seen, name).weight.view(heads, -1, SIZE)[:, SLOW] = 0.0
            seen.q_proj.bias.view(HEADS, -1)[:, SLOW] = 10.0  # every query looks for
            seen.k_proj.weight.view(2, -1, SIZE)[:, SLOW, SINK] = 1.0  # keys of tokens with a large SINK dimension
        for number, mark in zip((EARLY, LATE), MARKS):
            mlp = made.layers[number].mlp
            for part in (mlp.gate_proj, mlp.up_proj):
                part.weight[0] = 0.0
                part.weight[0, mark] = 8.0
            mlp.down_proj.weight[:, 0] = 0.0
            mlp.down_proj.weight[SINK, 0] = 100.0 if planted else 0.0
    return made


def marked(planted: bool, early, late=()):
    """The model, and its question with marked tokens at these places."""
    length, draw = len(LABELS), torch.Generator().manual_seed(1)
    embeds = torch.randn(length, SIZE, generator=draw)
    embeds[:, [*MARKS, SINK]] = 0.0
    for mark, places in zip(MARKS, (early, late)):
        embeds[list(places), mark] = 3.0  # below the threshold of 5
    question = examples.video(choices="['A. circle', 'B. square']", answer="B")
    positions = torch.arange(length).expand(3, -1)
    spans = Spans(LABELS, PARTS, {"watched": ["system", "video"], "readers": ["question_text", "last"]})
    sequence = Sequence(question, torch.arange(length), embeds, positions, spans, torch.tensor([3, 4]), torch.tensor([]))
    model = SimpleNamespace(decoder=decoder(planted), folder="planted", device=torch.device("cpu"), dtype=torch.float32)
    model.head, model.sequence = torch.nn.Linear(SIZE, 32, bias=False), lambda *_: sequence
    return model, sequence


def looked(planted: bool, early, late=()):
    """The rows of the attention analysis, and the last token's attention (L, heads, S), with marked tokens at these places."""
    model, sequence = marked(planted, early, late)
    length, question = len(sequence), sequence.question
    arguments = SimpleNamespace(spans={}, model="planted", masked=["video->last"], masked_layers=[LAYERS - 2, LAYERS - 1])
    arguments.masked_early = None
    partial = SimpleNamespace(recall=lambda name: None, remember=lambda name, fact: None)
    rows = attention.look(model, question, {}, partial, arguments, set())
    run = clean_run(model, sequence)
    weights = [
        last_row_attention(model, n, run.states(n, length - 1), run.keys[n].transpose(0, 1)[None], run.cos, run.sin)
        for n in range(LAYERS)
    ]
    return rows, torch.stack(weights)


def found(rows) -> dict:
    """Layer -> {class of token: positions of its sinks}, for layers with a sink."""
    layers = {}
    for row in rows:
        if row["kind"] == "sinks":
            layers.setdefault(row["layer"], {})[row["name"]] = row["values"]
    return layers


def share(rows, name) -> list[float]:
    """The last token's attention to a class of tokens by layer, as a mean over heads."""
    return [sum(row["values"]) / HEADS for row in rows if row["kind"] == "shares" and row["name"] == name]


def late_loss(rows) -> float:
    """How far the answer's log-probability moves if video is hidden from the last token in the last two layers."""
    uncut, cut = (next(r["values"][0] for r in rows if r["kind"] == "masked" and r["name"] == n) for n in ("none", "video->last"))
    return abs(cut - uncut)


def test_sinks_planted_in_a_model_are_found_with_their_positions_layers_and_dimension():
    rows, weights = looked(True, [FIRST, DELIMITER])
    sink = {"system": [FIRST], "delimiter": [DELIMITER]}
    assert found(rows) == {layer: sink for layer in range(1, LAYERS)}
    dimensions = {row["layer"]: row["values"] for row in rows if row["kind"] == "sink_dimensions"}
    assert dimensions == {0: [], **{layer: [SINK] for layer in range(1, LAYERS)}}
    on_sinks = weights[..., [FIRST, DELIMITER]].sum(-1)  # (L, heads)
    assert on_sinks[1:].min() > 0.95 and on_sinks[0].max() < 0.5
    assert min(s + d for s, d in zip(share(rows, "system")[1:], share(rows, "delimiter")[1:])) > 0.95


def test_the_same_model_without_the_planting_has_no_sink():
    rows, weights = looked(False, [FIRST, DELIMITER], VIDEO)
    assert found(rows) == {} and not any(row["values"] for row in rows if row["kind"] == "sink_dimensions")
    assert weights[..., [FIRST, DELIMITER]].sum(-1).mean(-1).max() < 0.5 and max(share(rows, "video")) < 0.5


def test_late_attention_to_video_can_be_a_sink_which_the_answer_does_not_need():
    """The paper's finding about late layers: most attention goes to video, and hiding video there changes nothing."""
    rows, weights = looked(True, [FIRST], VIDEO)
    assert found(rows) == {
        **{layer: {"system": [FIRST]} for layer in range(1, LATE + 1)},
        **{layer: {"system": [FIRST], "video": VIDEO} for layer in range(LATE + 1, LAYERS)},
    }
    firsts = {row["layer"]: row["number"] for row in rows if row["kind"] == "sinks" and row["name"] == "video"}
    assert set(firsts.values()) == {1}, "one of them is the first token of a frame"
    assert min(share(rows, "video")[LATE + 1 :]) > 0.6 and max(share(rows, "video")[1 : LATE + 1]) < 0.1
    assert weights[LATE + 1 :, :, VIDEO].sum(-1).min() > 0.5, "in every head"
    assert late_loss(rows) < 1e-3 < 0.02 < late_loss(looked(False, [FIRST], VIDEO)[0]), "without the planting, video is read"


def cut(planted: bool, *routes, engine="sweep", **more):
    """The rows of cuts in single layers, with one draw of as many other tokens for each, and the values of the sinks dropped."""
    model, sequence = marked(planted, [FIRST], TWO)
    every = [(Route.parse(r), w) for r in routes for w in windows(LAYERS, 1)]
    ks = [Knockout(*at, *how) for at in every for how in (("mask",), ("value_zero",), ("mask", "random_same", 0))]
    sequence = sink_spans.named(model, sequence, ks)
    _, *rows = knockout.rows(model, sequence, ks, knockout.plan(model) if engine == "sweep" else None)
    return {(row["cut"], row["control"], row["route"], row["centre"]): row for row in rows}, sequence


def test_planted_sinks_are_the_source_of_a_route_in_those_layers_in_which_they_are_sinks():
    rows, sequence = cut(True, "video_sinks->last", "audio_sinks->last", "video_sinks->question_text")
    applicable = {key[2:] for key, row in rows.items() if row["applicable"]}
    late = range(LATE + 1, LAYERS)
    assert applicable == {(route, layer) for route in ("video_sinks->last", "video_sinks->question_text") for layer in late}
    assert {row["n_blocked_edges"] for row in rows.values() if row["applicable"]} == {2, 2 * 5}
    last = [
        Knockout(Route.parse("video_sinks->last"), w) for w in (Window(0, 6, 3, "centred", 13), Window(0, 6, 3, "inverse", 1))
    ]
    named = sink_spans.named(marked(True, [FIRST], TWO)[0], sequence, last).spans
    assert [named[k.resolved.source].tolist() for k in last] == [TWO, []], "all layers, and none"
    rows, _ = cut(False, "video_sinks->last")
    assert not any(row["applicable"] for row in rows.values()), "without the planting, nothing is cut"


def test_planted_sinks_draw_attention_that_the_answer_does_not_need_and_as_many_others_draw_none():
    rows, _ = cut(True, "video_sinks->last")
    layer = LAYERS - 1
    own, zero, others = (rows[*how, "video_sinks->last", layer] for how in KINDS)
    assert own["removed_mass"] == zero["removed_mass"] > 0.5 > 0.05 > others["removed_mass"]
    assert abs(own["logp_base"] - math.log(own["p_base_clean"])) < 1e-3, "the first token takes their attention"


def test_without_any_sink_to_look_at_attention_moves_elsewhere_but_what_sinks_hold_is_not_missed():
    """Why `value_zero` belongs to a cut of sinks: it leaves all other weights as they are."""
    rows, _ = cut(True, "watched_sinks->last")
    change = lambda cut: [
        abs(row["logp_base"] - math.log(row["p_base_clean"]))
        for (how, control, *_), row in rows.items()
        if (how, control) == (cut, "none") and row["applicable"]
    ]
    assert max(change("value_zero")) < 1e-3 < 0.02 < max(change("mask"))


@pytest.mark.parametrize("route", ["watched_sinks->last", "watched_sinks->readers"])
def test_cuts_of_sinks_in_a_sweep_equal_full_forwards(route):
    swept, full = (cut(True, route, engine=engine)[0] for engine in ("sweep", "naive"))
    of = lambda rows: [row["logp_base"] for row in rows.values() if row["applicable"]]
    assert of(swept) == pytest.approx(of(full), abs=1e-5) and max(of(full)) - min(of(full)) > 0.01


def test_sinks_of_a_span_that_the_question_lacks_are_one_line():
    model, sequence = marked(True, [FIRST])
    with pytest.raises(InputError, match="span 'vdeo' does not exist; this sequence has"):
        sink_spans.named(model, sequence, [Knockout(Route.parse("vdeo_sinks->last"), windows(LAYERS, 1)[0])])

"""Knockouts do what they say: exact masks in exact layers, a paired base, and nothing where nothing is cut."""

import math

import pytest
import torch

from avflow import knockout, readout
from avflow.decoder import attention_rows, causal_mask, clean_run, cut_mass, masked_run
from avflow.errors import InputError
from avflow.interventions import Knockout, Route, Window, windows

HEAR, SEE, MATCH = "mini_video__hear_0001", "mini_video__see_0001", "mini_items__image-to-audio_0001"
ALL = Window(0, 12, 0, "bottom_up", 1)


def cut(model, sequence, route, window=ALL, batch=16):
    """Change of the base answer's probability in percent."""
    logits, base = knockout.naive(model, sequence, [Knockout(Route.parse(route), window)], batch)
    columns = readout.compare(sequence, logits, base)
    return 100 * (math.exp(columns["logp_base"][0]) / columns["p_base_clean"][0] - 1)


def hooked(model, sequence, route, window):
    """The same cut, another way: the official forward with hooks that replace each layer's mask."""
    length = len(sequence)
    open_mask = causal_mask(length)
    mask = open_mask & ~Route.parse(route).edges(sequence.spans).cut(torch.arange(length), length)

    def hook(number):
        def replace(layer, args, kwargs):
            return args, {**kwargs, "attention_mask": (mask if window.covers(number) else open_mask)[None, None]}

        return replace

    handles = [layer.register_forward_pre_hook(hook(n), with_kwargs=True) for n, layer in enumerate(model.decoder.layers)]
    try:
        with torch.inference_mode():
            states = model.decoder(inputs_embeds=sequence.embeds[None], position_ids=sequence.positions[:, None], use_cache=False)
            return model.head(states.last_hidden_state[0, -1])
    finally:
        for handle in handles:
            handle.remove()


@pytest.mark.parametrize("route", ["audio->question", "question->last", "cross_frame", "audio<->video", "last->last"])
def test_naive_equals_hooks_on_the_official_forward(model, sequences, route):
    sequence = sequences[HEAR]
    for window in (windows(12, 3)[4], windows(12, 3)[11], windows(12, 3, "inverse")[9]):
        logits, _ = knockout.naive(model, sequence, [Knockout(Route.parse(route), window)])
        other = hooked(model, sequence, route, window)
        assert (logits[0] - other).abs().max() < 1e-5 * other.abs().max()


def test_the_tiny_model_needs_what_the_world_says(model, sequences):
    """Mean over six clips; a cut model still guesses, and is right on some of them."""

    def mean(task, route):
        return sum(cut(model, s, route) for i, s in sequences.items() if f"__{task}_" in i) / 6

    assert mean("hear", "audio->question") < -40 < -5 < mean("hear", "video->question") < 5
    assert mean("see", "video->question") < -40 < -5 < mean("see", "audio->question") < 5
    for task in ("hear", "see"):
        assert mean(task, "question->last") < -40
        assert -5 < mean(task, "audio->last") < 5 and -5 < mean(task, "video->last") < 5


def test_the_null_row_is_the_clean_run_and_does_not_depend_on_the_batch(model, sequences):
    sequence = sequences[HEAR]
    mask = causal_mask(len(sequence))[None]
    clean = masked_run(model, sequence, lambda _: mask)
    ks = [Knockout(Route.parse("audio->question"), w) for w in windows(12, 3)]
    for batch in (1, 5, 16):
        logits, base = knockout.naive(model, sequence, ks, batch)
        assert logits.shape == base.shape == (12, 512)
        assert (base - clean).abs().max() < 1e-5 * clean.abs().max()


def test_a_cut_of_nothing_equals_the_null_row_bit_for_bit(model, sequences):
    sequence = sequences[HEAR]
    mask = causal_mask(len(sequence)).expand(4, -1, -1)
    logits = masked_run(model, sequence, lambda _: mask)
    assert torch.equal(logits, logits[:1].expand(4, -1))


def test_a_cut_in_the_last_layer_reaches_only_the_last_row(model, sequences):
    """What other rows read in the last layer has nowhere left to go."""
    last_layer = Window(11, 12, 11, "centred", 1)
    assert abs(cut(model, sequences[HEAR], "audio->question", last_layer)) < 1e-4
    logits, base = knockout.naive(model, sequences[HEAR], [Knockout(Route.parse("question->last"), last_layer)])
    assert (logits - base).abs().max() > 1e-3


def test_a_route_with_nothing_to_cut_is_not_applicable_and_keeps_its_row(model, sequences):
    sequence = sequences[MATCH]
    ks = [Knockout(Route.parse(r), w) for r in ("question->candidates", "reference->last") for w in windows(12, 3)[:2]]
    table = knockout.rows(model, sequence, clean_run(model, sequence), ks)
    null, *cuts = table
    assert (null["control"], null["applicable"], null["n_blocked_edges"], null["kl"]) == ("null", True, 0, 0.0)
    assert [r["applicable"] for r in cuts] == [False, False, True, True]
    assert all(math.isnan(r["logp_base"]) and math.isnan(r["removed_mass"]) for r in cuts[:2])
    assert cuts[2]["n_blocked_edges"] == 4 and [r["centre"] for r in cuts] == [0, 1, 0, 1]
    with pytest.raises(InputError, match="no visible edge to cut in question mini_items__image-to-audio_0001"):
        knockout.naive(model, sequence, ks[:1])


def test_rows_agree_with_each_other(model, sequences):
    sequence = sequences[HEAR]
    ks = [Knockout(Route.parse("question->last"), w) for w in windows(12, 3)]
    table = knockout.rows(model, sequence, clean_run(model, sequence), ks)
    assert len(table) == 13
    for row in table:
        options = {x: row[f"logit_{x}"] for x in "ABCD"}
        assert row["answer"] == max(options, key=options.get)
        assert row["correct_clean"] and row["p_base_clean"] == pytest.approx(table[0]["p_base_clean"], rel=1e-5)
        assert row["logp_base"] == row["logp_gold"], "the base answer is the right one"
        assert row["kl"] >= -1e-6
    assert table[0]["logp_base"] == pytest.approx(math.log(table[0]["p_base_clean"]), rel=1e-5)


def test_attention_rows_are_the_official_weights(model, sequences):
    sequence = sequences[MATCH]
    run = clean_run(model, sequence)
    model.decoder.config._attn_implementation = "eager"
    seen = {}
    handle = model.decoder.layers[5].self_attn.register_forward_hook(lambda m, a, out: seen.update(weights=out[1][0]))
    try:
        mask = torch.zeros(len(sequence), len(sequence)).masked_fill(~causal_mask(len(sequence)), float("-inf"))
        with torch.inference_mode():
            model.decoder.layers[5](run.inputs[5][None], attention_mask=mask[None, None], position_embeddings=(run.cos, run.sin))
    finally:
        handle.remove()
        model.decoder.config._attn_implementation = "sdpa"
    rows = torch.tensor([3, 77, len(sequence) - 1])
    assert (attention_rows(model, run, 5, rows) - seen["weights"][:, rows]).abs().max() < 1e-5


def test_removed_mass_is_a_share_and_sums_over_a_partition(model, sequences):
    sequence = sequences[HEAR]
    run = clean_run(model, sequence)
    edges = {name: Route.parse(f"{name}->last").edges(sequence.spans) for name in sequence.spans.atoms}
    total = sum(cut_mass(model, run, e) for e in edges.values())
    assert torch.allclose(total, torch.ones(12), atol=1e-5)
    assert torch.equal(cut_mass(model, run, edges["audio"]), cut_mass(model, run, edges["audio"], chunk=1))


def test_a_row_left_without_any_key_is_refused(model, sequences, monkeypatch):
    sequence = sequences[HEAR]
    route = Route.parse("system->system")
    edges = route.edges(sequence.spans)
    monkeypatch.setattr(Route, "edges", lambda self, spans: type(edges)(edges.blocks, True, edges.count))
    with pytest.raises(InputError, match="route system->system: token 0 would keep no key"):
        knockout.naive(model, sequence, [Knockout(route, ALL)])


VIDEO_ROUTES = ["audio->question", "video->question", "question->last", "audio->last", "last->last", "question->question"]
LONG_ROUTES = ["cross_frame", "cross_audio_segment", "audio<->video", "video->audio", "system->last"]
ITEM_ROUTES = [
    "cross_candidate",
    "candidates->reference",
    "question->reference",
    "candidates->question",
    "incorrect_options->last",
]
ITEM_ROUTES += ["correct_candidate->correct_option", "reference->correct_option", "option_A.letter->last", "reference->reference"]


def relative(a, b):
    return ((a - b).abs().max() / b.abs().max()).item()


@pytest.mark.parametrize("style", ["centred", "inverse", "top_down", "bottom_up"])
@pytest.mark.parametrize(
    ("i", "routes"),
    [
        (HEAR, VIDEO_ROUTES),
        ("mini_video__while-hear_0001", LONG_ROUTES),
        (MATCH, ITEM_ROUTES),
        ("mini_items__audio-to-image_0002", ITEM_ROUTES),
    ],
)
def test_the_incremental_sweep_equals_full_forwards(model, sequences, i, routes, style):
    ks = [Knockout(Route.parse(r), w) for r in routes for w in windows(12, 3, style, stride=3 if routes is LONG_ROUTES else 2)]
    full, full_base = knockout.naive(model, sequences[i], ks)
    run = clean_run(model, sequences[i])
    for rows_at_once in (300, 100000):
        swept, base = knockout.sweep(model, sequences[i], run, ks, rows_at_once)
        assert relative(swept, full) < 1e-5 and relative(base, full_base) < 1e-5
    assert relative(full, full_base) > 1e-2, "some cut must matter for the comparison to mean anything"


@pytest.fixture(scope="module")
def exact(model):
    """The tiny model in fp64, its weights made larger so that attention is sharp."""
    import copy

    from avflow.adapters.qwen_omni import QwenOmni

    other = copy.copy(model)
    assert isinstance(other, QwenOmni)
    other.model = copy.deepcopy(model.model).double()
    other.decoder, other.head = other.model.get_decoder(), other.model.lm_head
    return other


def test_in_fp64_the_sweep_is_exact_to_ten_digits(exact, sequences):
    import dataclasses

    for i, routes in ((HEAR, VIDEO_ROUTES + LONG_ROUTES), (MATCH, ITEM_ROUTES)):
        sequence = dataclasses.replace(sequences[i], embeds=sequences[i].embeds.double())
        ks = [Knockout(Route.parse(r), w) for r in routes for w in windows(12, 3, stride=4)]
        full, _ = knockout.naive(exact, sequence, ks)
        swept, _ = knockout.sweep(exact, sequence, clean_run(exact, sequence), ks)
        assert relative(swept, full) < 1e-6  # logits are kept in fp32
        mask = causal_mask(len(sequence))
        for k in ks[:: len(ks) // 6]:
            edges = k.route.edges(sequence.spans)
            cut = mask & ~edges.cut(torch.arange(len(sequence)), len(sequence))
            states = {}
            for name in ("full", "swept"):
                states[name] = last_state(exact, sequence, k, cut, mask, name == "swept", int(edges.queries()[0]))
            assert relative(states["swept"], states["full"]) < 1e-10


def last_state(model, sequence, k, cut, mask, incremental, first):
    """The last token's final state in the model's own dtype, by full or by partial rows."""
    from avflow.decoder import rotary, rows_layer

    run = clean_run(model, sequence)
    with torch.inference_mode():
        begin = next(n for n in range(12) if k.window.covers(n))
        x = run.inputs[begin][first:][None] if incremental else sequence.embeds[None]
        pe = rotary(model, sequence.positions, sequence.embeds[None])
        for n in range(begin if incremental else 0, 12):
            here = cut if k.window.covers(n) else mask
            if incremental:
                x = rows_layer(model, run, n, first, x, here[first:][None])
            else:
                x = model.decoder.layers[n](x, attention_mask=here[None, None], position_embeddings=pe)
    return x[0, -1]


@pytest.mark.parametrize("mistake", ["stale keys", "one row too few", "no mask"])
def test_the_comparison_notices_mistakes(model, sequences, monkeypatch, mistake):
    """An engine with a plausible mistake must fail the test above."""
    sequence = sequences[HEAR]
    ks = [Knockout(Route.parse("audio->question"), w) for w in windows(12, 3)]
    full, _ = knockout.naive(model, sequence, ks)
    run = clean_run(model, sequence)
    if mistake == "stale keys":
        from avflow import decoder

        def update(self, keys, values, layer, *_, **__):
            stale = [t[layer].expand(len(keys), -1, -1, -1) for t in (self.run.keys, self.run.values)]
            return stale[0], stale[1]

        monkeypatch.setattr(decoder._SharedPrefix, "update", update)
    elif mistake == "one row too few":
        original = knockout._run_from
        monkeypatch.setattr(knockout, "_run_from", lambda m, length, r, first, jobs: original(m, length, r, first + 40, jobs))
    else:
        original = knockout._run_from
        nothing = Route.parse("last->system").edges(sequence.spans)
        monkeypatch.setattr(
            knockout,
            "_run_from",
            lambda m, length, r, first, jobs: original(m, length, r, first, [(nothing, c) for _, c in jobs]),
        )
    swept, _ = knockout.sweep(model, sequence, run, ks)
    assert relative(swept, full) > 1e-3


def test_equal_work_is_done_once_and_each_batch_has_its_own_null_row(model, sequences, monkeypatch):
    sequence = sequences[HEAR]
    narrow, clipped = windows(12, 3)[0], Window(0, 2, 0, "bottom_up", 1)
    ks = [Knockout(Route.parse("audio->last"), w) for w in (narrow, clipped, windows(12, 3)[5])]
    sizes = []
    original = knockout._run_from
    monkeypatch.setattr(knockout, "_run_from", lambda *a: sizes.append(len(a[4])) or original(*a))
    logits, base = knockout.sweep(model, sequence, clean_run(model, sequence), ks)
    assert sizes == [2] and torch.equal(logits[0], logits[1])
    sizes.clear()
    knockout.sweep(model, sequence, clean_run(model, sequence), ks, rows_at_once=2)
    assert sizes == [1, 1]


def test_blocking_audio_to_last_recomputes_one_row(model, sequences, monkeypatch):
    from avflow import knockout as module

    seen = []
    original = module.rows_layer
    monkeypatch.setattr(
        module,
        "rows_layer",
        lambda m, run, number, first, states, mask: (
            seen.append(tuple(states.shape)) or original(m, run, number, first, states, mask)
        ),
    )
    ks = [Knockout(Route.parse("audio->last"), windows(12, 3)[9])]
    knockout.sweep(model, sequences[HEAR], clean_run(model, sequences[HEAR]), ks)
    assert seen == [(2, 1, 192)] * 4, "two variants (null and cut), one row, from the window's first layer 8 on"


def test_a_cut_of_nothing_in_the_sweep_equals_its_null_row_bit_for_bit(model, sequences):
    sequence = sequences[HEAR]
    run = clean_run(model, sequence)
    nothing = Route.parse("last->system").edges(sequence.spans)
    logits = knockout._run_from(model, len(sequence), run, 130, [(nothing, (0, 1)), (nothing, (0, 1)), (nothing, (0,))])
    assert torch.equal(logits, logits[:1].expand(4, -1))

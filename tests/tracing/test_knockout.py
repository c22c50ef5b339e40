"""Knockouts: exact masks in exact layers, a paired base, and no change where nothing is cut.

Also tests avflow.tracing.batch_plan, avflow.tracing.kept_keys, avflow.tracing.row_attention and avflow.tracing.schedule.
"""

import copy
import dataclasses
import math

import pytest
import torch
from tracing_cases import in_dtype, one_kernel

from avflow.errors import InputError
from avflow.tracing import decoder, kept_keys, knockout, readout, row_attention, segments
from avflow.tracing.decoder import causal_mask, clean_run, masked_run
from avflow.tracing.interventions import Edges, Knockout, Route, Window, modalities, windows

HEAR, SEE, MATCH = "mini_video__hear_0001", "mini_video__see_0001", "mini_items__image-to-audio_0001"
ALL = Window(0, 12, 0, "bottom_up", 1)


def naive(model, sequence, knockouts, batch=16):
    return knockout.naive(model, sequence, knockouts, knockout.resolve(sequence, knockouts), batch)


def sweep(model, sequence, knockouts, rows=100000, home=None):
    edges = knockout.resolve(sequence, knockouts)
    run = clean_run(model, sequence, knockout.first_row(sequence, edges), home)
    return knockout.sweep(model, sequence, run, knockouts, edges, knockout.Plan(rows, {}))


def cut(model, sequence, route, window=ALL, batch=16):
    """Change of the base answer's probability in percent."""
    logits, base = naive(model, sequence, [Knockout(Route.parse(route), window)], batch)
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
        logits, _ = naive(model, sequence, [Knockout(Route.parse(route), window)])
        other = hooked(model, sequence, route, window)
        assert (logits[0] - other).abs().max() < 1e-5 * other.abs().max()


@pytest.mark.slow
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
        logits, base = naive(model, sequence, ks, batch)
        assert logits.shape == base.shape == (12, model.head.out_features)
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
    logits, base = naive(model, sequences[HEAR], [Knockout(Route.parse("question->last"), last_layer)])
    assert (logits - base).abs().max() > 1e-3


def test_a_route_with_nothing_to_cut_is_not_applicable_and_keeps_its_row(model, sequences):
    sequence = sequences[MATCH]
    ks = [Knockout(Route.parse(r), w) for r in ("question->candidates", "reference->last") for w in windows(12, 3)[:2]]
    table = knockout.rows(model, sequence, ks, knockout.plan(model))
    null, *cuts = table
    assert (null["control"], null["applicable"], null["n_blocked_edges"], null["kl"]) == ("null", True, 0, 0.0)
    assert [r["applicable"] for r in cuts] == [False, False, True, True]
    assert all(math.isnan(r["logp_base"]) and math.isnan(r["removed_mass"]) for r in cuts[:2])
    assert cuts[2]["n_blocked_edges"] == 4 and [r["centre"] for r in cuts] == [0, 1, 0, 1]
    with pytest.raises(InputError, match="no visible edge to cut in question mini_items__image-to-audio_0001"):
        naive(model, sequence, ks[:1])


def test_rows_agree_with_each_other(model, sequences):
    sequence = sequences[HEAR]
    ks = [Knockout(Route.parse("question->last"), w) for w in windows(12, 3)]
    table = knockout.rows(model, sequence, ks, knockout.plan(model))
    assert len(table) == 13
    for row in table:
        options = {x: row[f"logit_{x}"] for x in "ABCD"}
        assert row["answer"] == max(options, key=options.get)
        assert row["correct_clean"] and row["p_base_clean"] == pytest.approx(table[0]["p_base_clean"], rel=1e-5)
        assert row["logp_base"] == row["logp_gold"], "the base answer is the right one"
        assert row["kl"] >= -1e-6
    assert table[0]["logp_base"] == pytest.approx(math.log(table[0]["p_base_clean"]), rel=1e-5)


def test_removed_mass_is_the_official_weights_on_the_cut_keys(model, sequences):
    sequence = sequences[MATCH]
    routes = ["candidates->reference", "question->last", "question->question", "cross_candidate", "last->last"]
    edges = [Route.parse(r).edges(sequence.spans) for r in routes]
    run, plain = clean_run(model, sequence, edges=edges), clean_run(model, sequence)
    assert torch.equal(run.final, plain.final) and plain.removed is None, "measuring changes nothing"
    found = run.removed
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
    for e, mass in zip(edges, found):
        rows = e.queries()
        official = (seen["weights"][:, rows] * e.cut(rows, len(sequence))).sum(-1).mean()
        assert mass[5] == pytest.approx(official.item(), abs=1e-5) and 1e-4 < mass[5] < 1


def test_removed_mass_sums_to_one_over_a_partition(model, sequences):
    sequence = sequences[HEAR]
    edges = [Route.parse(f"{name}->last").edges(sequence.spans) for name in sequence.spans.atoms]
    assert torch.allclose(clean_run(model, sequence, edges=edges).removed.sum(0), torch.ones(12), atol=1e-5)


def test_a_row_left_without_any_key_is_refused(model, sequences):
    sequence = sequences[HEAR]
    k = Knockout(Route.parse("system->system"), ALL)
    edges = {k.target: Edges.visible(k.edges(sequence, 0).blocks, len(sequence), own=True)}
    with pytest.raises(InputError, match="route system->system: token 0 would keep no key"):
        knockout.naive(model, sequence, [k], edges)
    with pytest.raises(InputError, match="route system->system: token 0 would keep no key"):
        knockout.sweep(model, sequence, clean_run(model, sequence), [k], edges, knockout.Plan(1000, {}))


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


@pytest.mark.parametrize(
    "style", ["centred", "inverse", *(pytest.param(s, marks=pytest.mark.slow) for s in ("top_down", "bottom_up"))]
)
@pytest.mark.parametrize(
    ("i", "routes"),
    [
        (HEAR, VIDEO_ROUTES),
        ("mini_video__while-hear_0001", LONG_ROUTES),
        (MATCH, ITEM_ROUTES),
        pytest.param("mini_items__audio-to-image_0002", ITEM_ROUTES, marks=pytest.mark.slow),
    ],
)
def test_the_incremental_sweep_equals_full_forwards(model, sequences, i, routes, style):
    stride = 4 if routes is LONG_ROUTES else 3
    ks = [Knockout(Route.parse(r), w) for r in routes for w in windows(12, 3, style, stride=stride)]
    full, full_base = naive(model, sequences[i], ks)
    for rows_at_once in (300, 100000):
        swept, base = sweep(model, sequences[i], ks, rows_at_once)
        assert relative(swept, full) < 1e-5 and relative(base, full_base) < 1e-5
    assert relative(full, full_base) > 1e-2, "some cut must matter for the comparison to mean anything"


@pytest.mark.parametrize("i", [HEAR, pytest.param(MATCH, marks=pytest.mark.slow)])
def test_widths_controls_and_value_zero_equal_full_forwards_in_one_run(model, sequences, i):
    sequence = sequences[i]
    of_video, of_items = (
        ["question->last", "audio->question", "audio<->video"],
        ["correct_candidate->reference", "question->question"],
    )
    routes = of_video if i == HEAR else of_items
    shapes = [w for width in (1, 5, 11) for w in windows(12, width, stride=5)]
    kinds = [
        ("mask", "none", 0),
        ("value_zero", "none", 0),
        ("mask", "random_same", 0),
        *(("mask", "random_other", d) for d in (0, 1)),
    ]
    ks = [Knockout(Route.parse(r), w, *kind) for r in routes for kind in kinds for w in shapes]
    edges = knockout.resolve(sequence, ks)
    ks = [k for k in ks if edges[k.target].count]
    full, _ = naive(model, sequence, ks)
    swept, base = sweep(model, sequence, ks, home="cpu")
    assert relative(swept, full) < 1e-5
    of = lambda cut, control: [s for k, s in zip(ks, swept) if (k.cut, k.control) == (cut, control)]  # noqa: E731
    assert of("mask", "random_other")
    assert max(relative(a, b) for a, b in zip(of("value_zero", "none"), of("mask", "none"))) > 1e-4


def test_the_reference_of_value_zero_takes_queries_in_pieces_with_the_same_result(model, sequences, monkeypatch):
    """At 11,404 tokens all its scores at once would take 29 GB a copy."""
    ks = [Knockout(Route.parse("audio->question"), window, "value_zero") for window in windows(12, 3, stride=5)]
    whole, base = naive(model, sequences[HEAR], ks)
    monkeypatch.setattr(row_attention, "SCORES", 4 * 8 * len(sequences[HEAR]) * 7)  # so 7 or 14 rows, and a rest
    parts, same = naive(model, sequences[HEAR], ks)
    assert relative(parts, whole) < 1e-6 and relative(same, base) < 1e-6 and relative(whole, base) > 1e-4


@pytest.mark.parametrize("route", ["correct_candidate->last", "correct_candidate->correct_option"])
def test_controls_cut_as_many_random_keys_and_never_the_routes_own(sequences, route):
    sequence = sequences[MATCH]
    kinds = modalities(sequence)
    made_of = {"candidate_1": "audio", "reference": "vision", "question_text": "text", "last": "text"}
    assert {name: kinds[int(sequence.spans[name][0])] for name in made_of} == made_of
    route = Route.parse(route)
    real = route.edges(sequence.spans)
    source = set(real.blocks[0][1].tolist())
    for control in ("random_same", "random_other"):
        draws = [Knockout(route, ALL, "mask", control, d).edges(sequence, 0) for d in range(3)]
        for edges in draws:
            (queries, keys), *_ = edges.blocks
            assert edges.count == real.count and queries.equal(real.blocks[0][0])
            assert not source & set(keys.tolist()) and 0 not in keys
            assert {kinds[k] == "audio" for k in keys.tolist()} == {control == "random_same"}
        assert len({tuple(e.blocks[0][1].tolist()) for e in draws}) == 3
        assert Knockout(route, ALL, "mask", control, 1).edges(sequence, 0).blocks[0][1].equal(draws[1].blocks[0][1])
        assert not Knockout(route, ALL, "mask", control, 1).edges(sequence, 1).blocks[0][1].equal(draws[1].blocks[0][1])


def test_a_control_hides_as_many_keys_from_every_query_also_where_keys_and_queries_alternate(sequences):
    """Frames and chunks of sound take turns, so each frame loses another number of keys."""
    sequence, route = sequences[HEAR], Route.parse("cross_frame")
    real, control = (Knockout(route, ALL, "mask", name).edges(sequence, 0) for name in ("none", "random_other"))
    rows = real.queries()
    cut, instead = (e.cut(rows, len(sequence)) for e in (real, control))
    assert cut.sum(1).tolist() == instead.sum(1).tolist() and len(set(cut.sum(1).tolist())) > 2
    assert not (cut & instead).any() and not instead[:, 0].any()
    kinds = modalities(sequence)
    assert {kinds[k] for k in instead.any(0).nonzero()[:, 0].tolist()} == {"text", "audio"}
    assert Knockout(Route.parse("audio<->video"), ALL, "mask", "random_other").edges(sequence, 0).count == 0, "too little else"


@pytest.mark.parametrize(
    "i, route, control",
    [
        (MATCH, "candidates->last", "random_same"),  # the whole modality is the source
        (MATCH, "reference->reference", "random_same"),  # the route's keys lie among its queries
        (HEAR, "audio->last", "random_other"),  # 101 others for 100 keys: the control would cut all of the question
    ],
)
def test_a_control_without_a_choice_of_keys_cuts_nothing(sequences, i, route, control):
    assert Knockout(Route.parse(route), ALL, "mask", control).edges(sequences[i], 0).count == 0


def test_a_control_needs_half_as_many_keys_again_as_it_hides(sequences):
    """116 tokens of sound and sight can stand for 77 of text, but not for 78."""
    sequence = sequences[HEAR]
    kinds = modalities(sequence)
    text = [i for i, kind in enumerate(kinds) if kind == "text"]
    assert len(kinds) - len(text) == 116
    for count, possible in ((77, True), (78, False)):
        spans = copy.copy(sequence.spans)
        spans.parts = {**spans.parts, "words": torch.tensor(text[:count])}
        control = Knockout(Route.parse("words->last"), ALL, "mask", "random_other")
        assert control.edges(dataclasses.replace(sequence, spans=spans), 0).count == count * possible


@pytest.fixture(scope="module")
def exact(model):
    """The tiny model in fp64."""
    return in_dtype(model, torch.float64)


@pytest.mark.slow
def test_in_fp64_the_sweep_is_exact_to_ten_digits(exact, sequences, monkeypatch):
    wide = lambda model, states: model.head(model.decoder.norm(states))  # noqa: E731
    monkeypatch.setattr(decoder, "last_logits", wide)
    monkeypatch.setattr(knockout, "last_logits", wide)
    for i, routes in ((HEAR, VIDEO_ROUTES + LONG_ROUTES), (MATCH, ITEM_ROUTES)):
        sequence = dataclasses.replace(sequences[i], embeds=sequences[i].embeds.double())
        ks = [Knockout(Route.parse(r), w, c) for r in routes for w in windows(12, 3, stride=4) for c in ("mask", "value_zero")]
        full, _ = naive(exact, sequence, ks)
        swept, _ = sweep(exact, sequence, ks)
        assert swept.dtype == torch.float64 and relative(swept, full) < 1e-10


@pytest.mark.slow
def test_in_bf16_the_sweep_is_no_further_from_fp32_than_full_forwards(model, sequences):
    half, errors = in_dtype(model, torch.bfloat16), {"naive": [], "sweep": []}
    for i, routes in ((HEAR, VIDEO_ROUTES + LONG_ROUTES), (MATCH, ITEM_ROUTES)):
        sequence = dataclasses.replace(sequences[i], embeds=sequences[i].embeds.bfloat16())
        ks = [Knockout(Route.parse(r), w) for r in routes for w in windows(12, 3, stride=2)]
        true = torch.sub(*naive(model, sequences[i], ks))
        for name, engine in (("naive", naive), ("sweep", sweep)):
            errors[name].append((torch.sub(*engine(half, sequence, ks)) - true).abs())
    mean = {name: torch.cat(found).mean().item() for name, found in errors.items()}
    assert mean["sweep"] < 1.1 * mean["naive"] and mean["naive"] > 1e-4


@pytest.mark.parametrize("mistake", ["stale keys", "one row too few", "no mask"])
def test_the_comparison_notices_mistakes(model, sequences, monkeypatch, mistake):
    """An engine with a plausible mistake must fail the test above."""
    sequence = sequences[HEAR]
    ks = [Knockout(Route.parse("audio->question"), w) for w in windows(12, 3)]
    full, _ = naive(model, sequence, ks)
    if mistake == "stale keys":
        own, first = row_attention.Together.attend, knockout.first_row(sequence, knockout.resolve(sequence, ks))

        def stale(self, q, k, v, clean_k, clean_v, scale):
            k, v = (c[first:].repeat(len(q) // (len(c) - first), 1, 1) for c in (clean_k, clean_v))
            return own(self, q, k, v, clean_k, clean_v, scale)

        monkeypatch.setattr(row_attention.Together, "attend", stale)
    elif mistake == "one row too few":
        classes = Edges.classes.func
        monkeypatch.setattr(Edges, "classes", property(lambda self: [(queries[1:], keys) for queries, keys in classes(self)]))
    else:
        made = kept_keys.Cut.__init__
        monkeypatch.setattr(kept_keys.Cut, "__init__", lambda self, edges, *rest: made(self, None, *rest))
    swept, _ = sweep(model, sequence, ks)
    assert relative(swept, full) > 1e-4


@pytest.fixture
def passes(monkeypatch):
    """What each pass is given: its jobs; and each layer's number of rows."""
    seen = {"jobs": [], "rows": []}
    run, schedule = knockout._pass, knockout.schedule
    monkeypatch.setattr(knockout, "_pass", lambda *a: seen["jobs"].append(len(a[3])) or run(*a))

    def noted(members, parts, *rest):
        steps, ends = schedule(members, parts, *rest)
        seen["rows"] += [(step.layer, sum(n * (parts[-1] - f) for f, n in step.sets.items())) for step in steps]
        return steps, ends

    monkeypatch.setattr(knockout, "schedule", noted)
    return seen


def test_equal_work_is_done_once_and_each_batch_has_its_own_null_row(model, sequences, passes):
    narrow, clipped = windows(12, 3)[0], Window(0, 2, 0, "bottom_up", 1)
    ks = [Knockout(Route.parse("audio->last"), w) for w in (narrow, clipped, windows(12, 3)[5])]
    logits, base = sweep(model, sequences[HEAR], ks)
    assert passes["jobs"] == [2] and torch.equal(logits[0], logits[1]) and torch.equal(base[0], base[2])
    passes["jobs"].clear()
    sweep(model, sequences[HEAR], ks, rows=2)
    assert passes["jobs"] == [1, 1]


def test_blocking_audio_to_last_recomputes_one_row(model, sequences, passes):
    sweep(model, sequences[HEAR], [Knockout(Route.parse("audio->last"), windows(12, 3)[9])])
    assert passes["rows"] == [(n, 2) for n in range(8, 12)], "null and cut, one row each, from the window's first layer on"


def test_behind_the_last_layer_only_rows_that_are_read_pass_its_mlp(model, sequences):
    seq, layers = sequences[HEAR], model.decoder.layers
    knockouts = [Knockout(Route.parse("audio->question"), w) for w in windows(len(layers), 3)]
    run = clean_run(model, seq, knockout.first_row(seq, knockout.resolve(seq, knockouts)))
    seen = []
    hooks = [layer.mlp.register_forward_hook(lambda _, given, out: seen.append(given[0].shape[:-1].numel())) for layer in layers]
    try:
        knockout.sweep(model, seq, run, knockouts, knockout.resolve(seq, knockouts), knockout.plan(model))
    finally:
        for hook in hooks:
            hook.remove()
    assert seen[-1] == 1 + len(knockouts), "the null row's last token and that of every cut"
    assert min(seen[:-1]) > seen[-1]


@pytest.mark.parametrize("route", ["audio->question", "question->last", "cross_frame", "last->last", "question->question"])
def test_in_the_last_layer_only_rows_that_are_read_attend_and_get_what_they_got(model, sequences, route, monkeypatch):
    pair = [sequences[HEAR], sequences[SEE]]
    ks = [Knockout(Route.parse(route), w) for w in windows(12, 3)]
    asked, attend = [], segments.attend
    monkeypatch.setattr(segments, "attend", lambda q, *rest: asked.append(q.shape[0] * q.shape[1]) or attend(q, *rest))
    found, rows = [], []
    for few in (True, False):
        if not few:
            monkeypatch.setattr(kept_keys.Block, "may_skip", lambda *_: False)
        for together in ([pair[0]], pair):
            asked.clear()
            tables = knockout.rows_of_questions(model, together, [ks] * len(together), knockout.plan(model))
            found.append([row["logit_A"] for table in tables for row in table])
            rows.append(sum(asked))
    assert found[0] == pytest.approx(found[2], rel=1e-5, abs=1e-5) and found[1] == pytest.approx(found[3], rel=1e-5, abs=1e-5)
    assert rows[0] <= rows[2] and rows[1] <= rows[3] and (rows[0] < rows[2]) == (route not in ("question->last", "last->last"))


def test_windows_with_one_start_are_one_row_until_they_part(model, sequences, passes):
    ks = [Knockout(Route.parse("audio->last"), Window(4, stop, 4, "centred", 1)) for stop in (6, 7, 9)]
    sweep(model, sequences[HEAR], ks)
    assert passes["rows"] == [(4, 2), (5, 2), (6, 3), (7, 4), (8, 4), (9, 4), (10, 4), (11, 4)]


@pytest.mark.parametrize("route", ["audio->last", "audio->question", "audio<->video"])
def test_a_cut_of_nothing_in_the_sweep_equals_its_null_row_bit_for_bit(model, sequences, route):
    ks = [
        Knockout(Route.parse(route), w)
        for w in (Window(5, 5, 5, "centred", 1), Window(3, 6, 4, "centred", 3), Window(0, 12, 6, "inverse", 12))
    ]
    for sequence in (sequences[name] for name in sequences if name.startswith("mini_video") and name.endswith("1")):
        logits, base = sweep(model, sequence, ks)
        assert torch.equal(logits[0], base[0]) and torch.equal(logits[2], base[2]) and not torch.equal(logits[1], base[1])


def test_running_out_of_memory_halves_the_plan_and_goes_on(model, sequences, monkeypatch):
    sequence = sequences[HEAR]
    ks = [Knockout(Route.parse("audio->question"), w) for w in windows(12, 3)]
    edges = knockout.resolve(sequence, ks)
    run, whole = clean_run(model, sequence), sweep(model, sequence, ks)[0]
    original, room = knockout._pass, 400

    def scarce(model, parts, run, jobs, *rest):
        if sum(parts[-1] - j.first for j in jobs) > room:
            raise torch.cuda.OutOfMemoryError("out of memory")
        return original(model, parts, run, jobs, *rest)

    monkeypatch.setattr(knockout, "_pass", scarce)
    batches = knockout.Plan(100000, {})
    swept, _ = knockout.sweep(model, sequence, run, ks, edges, batches)
    assert relative(swept, whole) < 1e-5 and batches.halved > 0 and batches.rows < 1000
    room = 10
    with pytest.raises(InputError, match="one knockout of .* rows does not fit into the GPU's memory; use a larger GPU"):
        knockout.sweep(model, sequence, run, ks, edges, batches)


def test_full_forwards_are_halved_until_they_fit(model, sequences, monkeypatch):
    sequence = sequences[HEAR]
    ks = [Knockout(Route.parse("audio->question"), w) for w in windows(12, 3)]
    edges = knockout.resolve(sequence, ks)
    whole = knockout.naive(model, sequence, ks, edges)
    original, batches = knockout.masked_run, []

    def scarce(model, sequence, masks):
        batches.append(len(masks(0)))
        if batches[-1] > 4:
            raise torch.cuda.OutOfMemoryError("out of memory")
        return original(model, sequence, masks)

    monkeypatch.setattr(knockout, "masked_run", scarce)
    halved = knockout.naive(model, sequence, ks, edges)
    assert batches == [13, 7, 4, 4, 7, 4, 4]
    assert all(relative(*pair) < 1e-5 for pair in zip(halved, whole))


def test_a_run_kept_from_a_later_row_on_refuses_earlier_rows(model, sequences):
    sequence = sequences[HEAR]
    ks = [Knockout(Route.parse("audio->question"), windows(12, 3)[4])]
    run = clean_run(model, sequence, len(sequence) - 1)
    with pytest.raises(IndexError, match="was not kept; the run kept rows from"):
        knockout.sweep(model, sequence, run, ks, knockout.resolve(sequence, ks), knockout.Plan(1000, {}))


def test_a_clean_run_that_would_fill_the_gpu_is_kept_in_the_hosts_memory(model):
    assert knockout.Plan(1, {}).home(model, 10**6, 0) is None
    a_gigabyte = knockout.Plan(1, {"free_bytes": 10**9})
    # 12 layers of keys and values, 64 wide each, and of inputs, 192 wide, in fp32: 15,360 bytes a token
    assert a_gigabyte.home(model, 19000, 0) is None and a_gigabyte.home(model, 20000, 0) == "cpu"
    assert a_gigabyte.home(model, 20000, 15000) is None


def test_a_sweep_in_one_kernel_per_call_equals_the_batched_one(model, sequences, monkeypatch):
    """As on a GPU in 16 bits, where every call is one kernel for all segments."""
    sequence = sequences[MATCH]
    ks = [
        Knockout(Route.parse(r), w)
        for r in ("candidates->reference", "question->last", "cross_candidate")
        for w in windows(12, 3)
    ]
    ks.append(Knockout(Route.parse("question->question"), windows(12, 3)[5], "value_zero"))
    batched = sweep(model, sequence, ks)
    monkeypatch.setattr(segments, "takes_segments", lambda *_: True)
    monkeypatch.setattr(segments, "in_one_kernel", one_kernel)
    found = sweep(model, sequence, ks)
    assert all(relative(*pair) < 1e-5 for pair in zip(found, batched))

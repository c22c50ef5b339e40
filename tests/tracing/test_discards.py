"""Discarding tokens equals hiding them from all others. Its costs are those that torch counts."""

import pytest
import torch
from conftest import UNIONS
from examples import encoded, items_question, video_question
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from tracing_cases import HEAR, MATCH

from avflow.errors import InputError
from avflow.questions import layouts
from avflow.tracing import costs, decoder, discards, packs
from avflow.tracing.discards import Discard, Drop

VIDEO = {"Ques": ["question_text"], "Audio": ["audio"], "Video": ["video"], "All": ["question_text", "audio", "video"]}

ITEMS = {
    "Ques": ["question_text"],
    "Ref": ["reference"],
    "Cand": ["candidates"],
    "All": ["question_text", "reference", "candidates"],
}

LAYERS = 12


@pytest.fixture(scope="module")
def cases(model, sequences, salmonn, qwen3):
    """name -> (model, Sequence): all families, both settings, another order of the prompt."""
    video, items = video_question(), items_question("image-to-audio")
    first = layouts.arrange(video, "question_first")
    of = lambda q, by=salmonn: by.sequence(q, encoded(by, q), UNIONS[q.setting])  # noqa: E731
    return {
        "omni video": (model, sequences[HEAR]),
        "omni items": (model, sequences[MATCH]),
        "salmonn video": (salmonn, of(video)),
        "salmonn items": (salmonn, of(items)),
        "salmonn question first": (salmonn, of(first)),
        "qwen3 video": (qwen3, of(video, qwen3)),
        "qwen3 items": (qwen3, of(items, qwen3)),
    }


def kinds(case):
    return ITEMS if "items" in case else VIDEO


def drops_of(sequence, spans, layers):
    return discards.resolve(sequence, [Discard(s, layer) for s, layer in zip(spans, layers)], LAYERS)


CASES = ["omni video", "omni items", "salmonn video", "salmonn items", "salmonn question first"]
CASES += ["qwen3 video", "qwen3 items"]

SOME = ("omni items", "salmonn video", "qwen3 items")  # the others are slow: all families and both settings stand here

CASES_BY_COST = [case if case in SOME else pytest.param(case, marks=pytest.mark.slow) for case in CASES]


@pytest.mark.parametrize("case", CASES_BY_COST)
def test_discarding_equals_masking_for_every_type_and_layer(cases, case):
    model, sequence = cases[case]
    for spans in kinds(case).values():
        plans = [drops_of(sequence, spans, [layer] * len(spans)) for layer in range(LAYERS)]
        hidden = [discards.masks(drops, len(sequence), "cpu") for drops in plans]
        masked = decoder.masked_run(model, sequence, lambda number, hidden=hidden: torch.cat([of(number) for of in hidden]))
        for layer, (drops, expected) in enumerate(zip(plans, masked)):
            gone = discards.prefill(model, sequence, drops)
            assert (gone.logits - expected).abs().max() < 1e-5 * expected.abs().max(), (spans, layer)
            removed = sum(drop.count for drop in drops.values())
            assert gone.rows == tuple(len(sequence) - removed * (number > layer) for number in range(LAYERS))


@pytest.mark.parametrize("case", CASES_BY_COST)
def test_types_that_leave_at_their_own_layers_and_decoding_equal_masking_token_by_token(cases, case):
    model, sequence = cases[case]
    plans = [drops_of(sequence, kinds(case)["All"], layers) for layers in ((8, 5, 3), (4, 7, 4), (2, 2, 9))]
    for drops in plans:
        ids, logits = discards.generate(model, sequence, drops, 5)
        others, masked = discards.masked_generate(model, sequence, drops, 5)
        assert ids == others and len(ids) == 5
        assert (logits - masked).abs().max() < 1e-5 * masked.abs().max()
    clean = discards.masked_generate(model, sequence, {}, 5)[1]
    changes = [(discards.generate(model, sequence, drops, 5)[1] - clean).abs().max() / clean.abs().max() for drops in plans]
    assert max(changes) > 1e-2, "else nothing was tested"


def test_decoding_goes_on_from_the_shrunk_caches(model, sequences):
    sequence = sequences[HEAR]
    drops = drops_of(sequence, ["audio", "video"], [6, 3])
    state = discards.prefill(model, sequence, drops)
    token = state.logits.argmax()[None]
    discards.decode(model, state.cache, token, discards.following(sequence))
    held = [state.cache.layers[number][0].shape[2] for number in range(LAYERS)]
    assert held == [rows + 1 for rows in state.rows]
    audio, video = len(sequence.spans["audio"]), len(sequence.spans["video"])
    assert state.rows == (len(sequence),) * 4 + (len(sequence) - video,) * 3 + (len(sequence) - video - audio,) * 5


def test_many_settings_share_layers_and_give_the_same_bit_for_bit(model, sequences, monkeypatch):
    sequence = sequences[HEAR]
    together = drops_of(sequence, ["audio", "video"], [6, 3])
    settings = [{}, drops_of(sequence, ["video"], [3]), together, discards.random_drops(sequence, together, 0, 0), {}]
    settings += [discards.resolve(sequence, [Discard("vision", 1, keep)], LAYERS) for keep in (0.25, 0.5, 0)]
    settings.append(drops_of(sequence, ["audio"], [LAYERS - 1]))
    single = [discards.prefill(model, sequence, drops) for drops in settings]
    calls = []
    handles = [layer.register_forward_hook(lambda m, *_: calls.append(m.self_attn.layer_idx)) for layer in model.decoder.layers]
    try:
        found = discards.prefill_all(model, sequence, settings, lambda state: (state.logits, state.rows, state.cache.bytes))
    finally:
        for handle in handles:
            handle.remove()
    for (logits, rows, held), one in zip(found, single):
        assert torch.equal(logits, one.logits) and rows == one.rows and held == one.cache.bytes
    # One path up to layer 1, then four (all vision gone, a quarter or half of it kept, none gone), then two more after layer 3,
    # one more after layer 6.
    assert [calls.count(layer) for layer in range(LAYERS)] == [1, 1, 4, 4, 6, 6, 6, 7, 7, 7, 7, 7]


@pytest.mark.parametrize("case", CASES)
def test_discarding_nothing_is_the_clean_run_bit_for_bit(cases, case):
    model, sequence = cases[case]
    clean = packs.uncut_logits(model, [sequence])[0]
    assert torch.equal(discards.prefill(model, sequence, {}).logits, clean)
    after_the_last = drops_of(sequence, kinds(case)["Ques"], [LAYERS - 1])
    assert torch.equal(discards.prefill(model, sequence, after_the_last).logits, clean)


def test_generating_without_discards_equals_the_official_generate(model, sequences):
    sequence = sequences[HEAR]
    embeds, ids = sequence.embeds[None], []
    with torch.inference_mode():
        for step in range(4):
            new = torch.full((3, step), 0) + int(sequence.positions.max()) + 1 + torch.arange(step)
            positions = torch.cat([sequence.positions, new], 1)[:, None]
            states = model.decoder(inputs_embeds=embeds, position_ids=positions, use_cache=False).last_hidden_state
            ids.append(int(model.head(states[0, -1]).argmax()))
            embeds = torch.cat([embeds, model.decoder.get_input_embeddings()(torch.tensor([[ids[-1]]]))], 1)
    assert discards.generate(model, sequence, {}, 4)[0] == ids


@pytest.mark.parametrize("case", CASES_BY_COST)
@pytest.mark.parametrize("most_rows", [100, pytest.param(10**6, marks=pytest.mark.slow)])
def test_the_sweep_equals_a_prefill_for_every_layer(cases, case, most_rows):
    model, sequence = cases[case]
    for spans in kinds(case).values():
        for draw in (None, 0):
            drops = drops_of(sequence, spans, [3] * len(spans))
            if draw is not None:
                drops = discards.random_drops(sequence, drops, 0, draw)
            tokens = drops[3].tokens
            run = decoder.clean_run(model, sequence, int(tokens[0]))
            after = [0, 3, 7, 10, 11]
            swept = discards.sweep(model, run, tokens, after, most_rows)
            full = torch.stack([discards.prefill(model, sequence, {layer: Drop(tokens)}).logits for layer in after])
            assert (swept - full).abs().max() < 1e-5 * full.abs().max(), (spans, draw)
            assert torch.equal(swept[-1], decoder.last_logits(model, run.final[-1:])[0])


def test_random_discards_are_as_many_and_never_the_first_or_last(sequences):
    sequence = sequences[HEAR]
    drops = drops_of(sequence, VIDEO["All"], [8, 5, 3])
    draws = [discards.random_drops(sequence, drops, 0, draw) for draw in range(5)]
    for drawn in draws:
        assert {layer: drop.count for layer, drop in drawn.items()} == {layer: drop.count for layer, drop in drops.items()}
        together = torch.cat([drop.tokens for drop in drawn.values()])
        assert len(together.unique()) == len(together) and 0 not in together and len(sequence) - 1 not in together
        assert all(torch.equal(d.tokens, d.tokens.sort().values) for d in drawn.values())
    assert len({tuple(drawn[3].tokens.tolist()) for drawn in draws}) == 5
    again = discards.random_drops(sequence, drops, 0, 1)
    assert all(torch.equal(again[layer].tokens, draws[1][layer].tokens) for layer in again)


def test_ranked_tokens_are_those_that_the_last_token_attends_to_most(model, sequences):
    """By the official eager weights of that layer."""
    sequence = sequences[HEAR]
    drops = discards.resolve(sequence, [Discard("vision", 1, keep=0.5)], LAYERS)
    video = sequence.spans["video"]
    assert drops[1].kept == round(0.5 * len(video))
    seen = {}
    model.decoder.config._attn_implementation = "eager"
    try:
        take = lambda m, a, out: seen.update(weights=out[1][0])  # noqa: E731
        handle = model.decoder.layers[1].self_attn.register_forward_hook(take)
        mask = torch.zeros(len(sequence), len(sequence)).masked_fill(~decoder.causal_mask(len(sequence)), float("-inf"))
        with torch.inference_mode():
            x, rotated = sequence.embeds[None], decoder.rotary(model, sequence.positions[:, None], sequence.embeds[None])
            for layer in model.decoder.layers[:2]:
                x = layer(x, attention_mask=mask[None, None], position_embeddings=rotated)
    finally:
        handle.remove()
        model.decoder.config._attn_implementation = "sdpa"
    weights = seen["weights"][:, -1].mean(0)[video]
    best = video[weights.topk(drops[1].kept).indices]
    rest = video[~torch.isin(video, best)]
    ranked = discards.prefill(model, sequence, drops)
    chosen = discards.prefill(model, sequence, {1: Drop(rest)})
    worst = discards.prefill(model, sequence, {1: Drop(best)})
    assert torch.equal(ranked.logits, chosen.logits) and ranked.rows == chosen.rows
    assert (worst.logits - chosen.logits).abs().max() > 1e-3


def test_vision_is_the_pictures_of_either_role(sequences):
    assert torch.equal(discards.tokens_of(sequences[HEAR], "vision"), sequences[HEAR].spans["video"])
    assert torch.equal(discards.tokens_of(sequences[MATCH], "vision"), sequences[MATCH].spans["reference"])
    other = sequences["mini_items__audio-to-image_0001"]
    assert torch.equal(discards.tokens_of(other, "vision"), other.spans["candidates"])


@pytest.mark.parametrize(
    ("discard", "reason"),
    [
        (Discard("sound", 3), "span 'sound' does not exist; this sequence has system"),
        (Discard("video", 12), "the model has layers 0 to 11"),
        (Discard("video", -1), "the model has layers 0 to 11"),
        (Discard("last", 3), "the last token gives the answer and must stay"),
        (Discard("system", 3), "would keep no key but its own; keep tokens before it"),
        (Discard("vision", 3, keep=1.0), "keep is 1.0; it must be from 0 to below 1"),
    ],
)
def test_bad_discards_are_refused_with_the_reason(sequences, discard, reason):
    with pytest.raises(InputError, match=reason):
        discards.resolve(sequences[HEAR], [discard], LAYERS)


def test_ranked_tokens_have_no_mask_beforehand(sequences):
    drops = discards.resolve(sequences[HEAR], [Discard("vision", 3, 0.5)], LAYERS)
    with pytest.raises(InputError, match="a discard with keep has no mask"):
        discards.masks(drops, len(sequences[HEAR]), "cpu")


def test_ranking_and_removing_in_one_layer_is_refused(sequences):
    with pytest.raises(InputError, match="a discard with keep cannot share its layer with another"):
        discards.resolve(sequences[HEAR], [Discard("vision", 3, 0.5), Discard("audio", 3)], LAYERS)


@pytest.mark.parametrize("case", ["omni video", "salmonn items", "qwen3 items"])
def test_operations_are_those_that_torch_counts(cases, case, monkeypatch):
    """torch counts attention as if it were not causal, and attention and experts only where they are written out in products."""
    model, sequence = cases[case]
    if case.startswith("qwen3"):
        monkeypatch.setattr(model.decoder.config, "_experts_implementation", "eager")
    shape, vocabulary = costs.shape_of(model.decoder.config), model.head.out_features
    for layer in (0, 5, 11):
        drops = drops_of(sequence, kinds(case)["All"], [layer] * 3)
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            rows = discards.prefill(model, sequence, drops).rows
        full = sum(costs.layer_flops(shape, n, n * n) for n in rows) + 2 * shape.hidden * vocabulary
        assert counter.get_total_flops() == pytest.approx(full, rel=1e-4)
        saved = sum(4 * (n * n - n * (n + 1) / 2) * shape.heads * shape.head for n in rows)
        assert costs.prefill_flops(shape, rows, vocabulary) == pytest.approx(full - saved)


def test_the_cache_holds_what_its_rows_take(model, sequences):
    sequence = sequences[HEAR]
    state = discards.prefill(model, sequence, drops_of(sequence, ["video"], [4]))
    shape = costs.shape_of(model.decoder.config)
    assert state.cache.bytes == costs.kv_bytes(shape, state.rows, 4)


def test_a_clip_without_sound_discards_none_and_a_type_that_was_never_there_is_unknown(sequences):
    import dataclasses

    from avflow.models.spans import Spans

    sequence = sequences[HEAR]
    labels = ["system"] * 4 + ["video"] * 8 + ["question_text"] * 3 + ["tail", "last"]
    silent = dataclasses.replace(sequence, embeds=sequence.embeds[: len(labels)], spans=Spans(labels))
    assert discards.resolve(silent, [Discard("audio", 3)], LAYERS) == {}
    assert discards.resolve(silent, [Discard("audio", 3), Discard("video", 3)], LAYERS)[3].count == 8
    assert discards.resolve(silent, [Discard("reference", 3)], LAYERS) == {}, "a question without a reference"
    with pytest.raises(InputError, match="span 'refrence' does not exist"):
        discards.resolve(silent, [Discard("refrence", 3)], LAYERS)


def test_a_copied_cache_grows_alone(model, sequences):
    state = discards.prefill(model, sequences[HEAR], {})
    before, token = state.cache.bytes, state.logits.argmax()[None]
    first = discards.decode(model, state.cache.copy(), token, discards.following(sequences[HEAR]))
    assert state.cache.bytes == before
    assert torch.equal(first, discards.decode(model, state.cache.copy(), token, discards.following(sequences[HEAR])))

"""Free answers: a reply's tokens are rows like others, cuts of them are exact, and a reply of one token is the case of a letter.

Also tests avflow.models.replies and avflow.tracing.generation.
"""

import copy
import dataclasses
import math

import pytest
import torch
from conftest import UNIONS
from examples import encoded, free_question

from avflow.errors import InputError, Unusable
from avflow.models import given_ids, with_reply
from avflow.tracing import decoder, discards, generation, knockout, readout
from avflow.tracing.decoder import causal_mask, clean_run, masked_run
from avflow.tracing.interventions import Knockout, Route, windows
from avflow.tracing.packs import Pack, uncut_answers

ROUTES = ["audio->question", "question->last", "video->reply", "audio->reply", "question->reply", "reply->reply"]
ROUTES += ["last->reply", "video->reply_token_1", "audio<->video", "reply_token_0->reply_token_1"]
FAMILIES = ("omni", "salmonn")


@pytest.fixture(scope="module")
def prompts(model, salmonn):
    """family -> (model, the prompt of a free question)."""
    made = {}
    for name, one in zip(FAMILIES, (model, salmonn)):
        question = free_question()
        made[name] = one, one.sequence(question, encoded(one, question), UNIONS["av_video"])
    return made


def replied(prompts, family, text="tone and circle"):
    model, prompt = prompts[family]
    question = dataclasses.replace(prompt.question, answer=text)
    return model, with_reply(model, dataclasses.replace(prompt, question=question), given_ids(question, model.tokenizer))


def asked(routes=ROUTES, stride=4, cuts=("mask", "value_zero")):
    return [Knockout(Route.parse(r), w, c) for r in routes for w in windows(12, 3, stride=stride) for c in cuts]


def sweep(model, sequence, knockouts, rows=100000):
    edges = knockout.resolve(sequence, knockouts)
    run = clean_run(model, sequence, knockout.first_row(sequence, edges))
    return knockout.sweep(model, sequence, run, knockouts, edges, knockout.Plan(rows, {}))


def both(model, sequence, knockouts):
    """Logits and bases of naive, and of the sweep."""
    full = knockout.naive(model, sequence, knockouts, knockout.resolve(sequence, knockouts))
    return full, sweep(model, sequence, knockouts)


def relative(a, b):
    return ((a - b).abs().max() / b.abs().max()).item()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_reply_follows_the_prompt_and_all_its_tokens_but_the_last_are_rows(prompts, family):
    (model, prompt), (_, sequence) = prompts[family], replied(prompts, family)
    assert model.tokenizer.decode(sequence.reply_ids) == "tone and circle" and len(sequence.reply_ids) == 3
    start, spans = len(prompt), sequence.spans
    assert len(sequence) == start + 2 == spans.length and sequence.answered_at == start - 1 == int(spans["last"])
    assert spans["reply"].tolist() == [start, start + 1] and spans["reply_token_1"].tolist() == [start + 1]
    assert len(spans["reply_token_2"]) == len(prompt.spans["reply"]) == 0
    assert torch.equal(sequence.ids[start:], sequence.reply_ids[:2]) and torch.equal(sequence.embeds[:start], prompt.embeds)
    position = int(prompt.positions.max())
    assert sequence.positions[:, start:].tolist() == [[position + 1, position + 2]] * 3
    assert "reply" not in prompt.spans.atoms, "the prompt's own spans stay as they are"


@pytest.mark.parametrize("family", FAMILIES)
def test_the_sweep_over_a_reply_equals_full_forwards(prompts, family):
    model, sequence = replied(prompts, family)
    knockouts = asked(stride=5)
    (full, full_base), swept = both(model, sequence, knockouts)
    for logits, base in (swept, sweep(model, sequence, knockouts, 300)):
        assert logits.shape == (len(knockouts), 3, model.head.out_features)
        assert relative(logits, full) < 1e-5 and relative(base, full_base) < 1e-5
    assert relative(full, full_base) > 1e-2
    to_reply = [k.route.target.startswith("reply") for k in knockouts]
    assert relative(logits[to_reply][:, 0], base[to_reply][:, 0]) < 1e-5, "what the reply reads cannot change its first token"


@pytest.mark.parametrize("family", FAMILIES)
def test_in_fp64_the_sweep_over_a_reply_is_exact_to_ten_digits(prompts, family, monkeypatch):
    model, sequence = replied(prompts, family)
    exact = copy.copy(model)
    exact.decoder, exact.head = copy.deepcopy(model.decoder).double(), copy.deepcopy(model.head).double()
    exact.dtype = torch.float64
    wide = lambda model, states: model.head(model.decoder.norm(states))  # noqa: E731
    monkeypatch.setattr(decoder, "last_logits", wide)
    monkeypatch.setattr(knockout, "last_logits", wide)
    sequence = dataclasses.replace(sequence, embeds=sequence.embeds.double())
    (full, full_base), (swept, base) = both(exact, sequence, asked(ROUTES[:8], 7))
    assert swept.dtype == torch.float64 and relative(swept, full) < 1e-10 and relative(base, full_base) < 1e-10


@pytest.mark.parametrize("family", FAMILIES)
def test_a_reply_of_one_token_is_the_case_of_a_letter_bit_for_bit(prompts, family):
    model, prompt = prompts[family]
    knockouts = asked(["audio->question", "audio->last"], 6)
    alone = both(model, prompt, knockouts)
    _, sequence = replied(prompts, family, "tone")
    assert len(sequence.reply_ids) == 1 and len(sequence) == len(prompt)
    for one, other in zip(both(model, sequence, knockouts), alone):
        for logits, letters in zip(one, other):
            assert torch.equal(logits[:, 0], letters)
    _, longer = replied(prompts, family)
    assert all(relative(x[:, 0], letters) < 1e-5 for x, letters in zip(sweep(model, longer, knockouts), alone[1]))


def test_columns_hold_the_sum_the_mean_and_each_token_of_cut_and_base(prompts):
    model, sequence = replied(prompts, "omni")
    knockouts = asked(["audio->question", "video->reply"], cuts=("mask",))
    (full, base), _ = both(model, sequence, knockouts)
    null, *table = knockout.rows(model, sequence, knockouts, knockout.plan(model))
    for row, cut, uncut in zip(table, full, base):
        for logits, end in ((cut, ""), (uncut, "_clean")):
            each = [float(logits[i].log_softmax(-1)[token]) for i, token in enumerate(sequence.reply_ids)]
            assert row[f"logp_reply_tokens{end}"] == pytest.approx(each, abs=1e-4)
            assert row[f"logp_reply{end}"] == pytest.approx(sum(each), abs=1e-4)
            assert row[f"logp_reply_mean{end}"] == pytest.approx(sum(each) / 3, abs=1e-4)
        assert row["reply_tokens"] == 3 and row["answer"] is None and math.isnan(row["margin"]) and math.isnan(row["logit_A"])
        assert row["logp_gold"] == pytest.approx(row["logp_reply_tokens"][0], abs=1e-6), "the first token is read as a letter is"
    assert null["logp_reply"] == null["logp_reply_clean"] == pytest.approx(table[0]["logp_reply_clean"], abs=1e-4)
    assert max(abs(row["logp_reply"] - row["logp_reply_clean"]) for row in table) > 0.1


def test_log_probabilities_are_those_of_generation_token_by_token(prompts):
    model, prompt = prompts["salmonn"]
    _, sequence = replied(prompts, "salmonn")
    state, position = discards.prefill(model, prompt, {}), discards.following(prompt)
    logits = [state.logits]
    for step, token in enumerate(sequence.reply_ids[:2]):
        logits.append(discards.decode(model, state.cache, token[None], position + step))
    (found,) = uncut_answers(model, [sequence])
    assert relative(found, torch.stack(logits)) < 1e-5


def test_routes_without_rows_in_a_short_reply_are_not_applicable(prompts):
    model, sequence = replied(prompts, "omni", "tone")
    knockouts = asked(["audio->reply", "reply->reply", "audio->question"], 12, ("mask",))
    _, *table = knockout.rows(model, sequence, knockouts, knockout.plan(model))
    assert [row["applicable"] for row in table] == [False, False, True]
    assert math.isnan(table[0]["logp_reply"]) and table[0]["reply_tokens"] == 1
    with pytest.raises(InputError, match="route audio->replies: span 'replies' does not exist"):
        Route.parse("audio->replies").edges(sequence.spans)


def test_controls_of_a_route_into_the_reply_hide_as_many_other_keys(prompts):
    _, sequence = replied(prompts, "omni")
    for route, control in (("question->reply", "random_other"), ("video->reply", "random_same")):
        cut = Knockout(Route.parse(route), windows(12, 3)[5], "mask", control)
        real, drawn = cut.route.edges(sequence.spans), cut.edges(sequence, 0)
        if drawn.count:
            assert drawn.count == real.count and drawn.queries().equal(sequence.spans["reply"])
            assert not set(real.blocks[0][1].tolist()) & set(drawn.blocks[0][1].tolist())
    assert Knockout(Route.parse("question->reply"), windows(12, 3)[5], "mask", "random_other").edges(sequence, 0).count


def test_replies_in_a_pack_equal_single_ones(prompts, monkeypatch):
    model, prompt = prompts["omni"]
    sequences = [replied(prompts, "omni", text)[1] for text in ("tone and circle", "buzz", "hiss and square", "tone and circle")]
    sequences = [
        dataclasses.replace(s, question=dataclasses.replace(s.question, question_id=f"f{i}")) for i, s in enumerate(sequences)
    ]
    pack = Pack.of(sequences)
    assert pack.shared == len(prompt) - 1 and len(pack.read) == 3 + 1 + 3 + 3 and pack.answers[1] == slice(3, 4)
    knockouts = asked(["audio->question", "audio<->video", "video->reply"], 7, ("mask",))
    together = knockout.rows_of_questions(model, sequences, [knockouts] * 4, knockout.plan(model))
    monkeypatch.setattr(knockout, "MOST_LOGITS", 5000)  # a few knockouts at a time
    for sequence, table in zip(sequences, together):
        alone = knockout.rows(model, sequence, knockouts, knockout.plan(model))
        assert [r["applicable"] for r in table] == [r["applicable"] for r in alone]
        for one, other in zip(table, alone):
            if one["applicable"]:
                assert one["logp_reply_tokens"] == pytest.approx(other["logp_reply_tokens"], abs=2e-4)
                assert one["logp_reply_clean"] == pytest.approx(other["logp_reply_clean"], abs=2e-4)
    found, single = uncut_answers(model, sequences), [uncut_answers(model, [s])[0] for s in sequences]
    assert all(torch.allclose(a, b, atol=2e-4) for a, b in zip(found, single))


# replies of the model's own


@pytest.mark.parametrize("family", FAMILIES)
def test_a_generated_reply_is_greedy_ends_before_the_turns_end_and_is_its_own_base(prompts, family):
    model, prompt = prompts[family]
    own = dataclasses.replace(prompt, question=dataclasses.replace(prompt.question, answer=None))
    sequence, whole = generation.answered(model, own, 6)
    ids, embeds = [], prompt.embeds
    for step in range(len(sequence.reply_ids) + 1):
        grown = dataclasses.replace(
            prompt,
            embeds=embeds,
            positions=torch.cat([prompt.positions, discards.following(prompt) + torch.arange(step).expand(3, -1)], 1),
        )
        mask = causal_mask(len(grown))[None]
        ids.append(int(masked_run(model, grown, lambda _: mask)[0].argmax()))  # noqa: B023
        embeds = torch.cat([embeds, model.decoder.get_input_embeddings()(torch.tensor(ids[-1:]))])
    assert ids[:-1] == sequence.reply_ids.tolist()
    assert whole == (model.tokenizer.decode(ids[-1:]) in ("<|im_end|>", "<|endoftext|>"))
    row, *_ = knockout.rows(model, sequence, [], knockout.plan(model))
    assert row["correct_clean"] and readout.says_reply(sequence, uncut_answers(model, [sequence])[0][None]) == [True]


def test_a_reply_that_reaches_the_limit_is_cut_there_and_an_empty_one_is_refused(prompts, monkeypatch):
    model, prompt = prompts["omni"]
    own = dataclasses.replace(prompt, question=dataclasses.replace(prompt.question, answer=None))
    monkeypatch.setattr(generation, "end_ids", lambda _: set())
    sequence, whole = generation.answered(model, own, 4)
    assert len(sequence.reply_ids) == 4 and not whole
    first = int(sequence.reply_ids[0])
    monkeypatch.setattr(generation, "end_ids", lambda _: {first})
    with pytest.raises(Unusable, match="question mini_video__free: the model ends its turn without a reply") as refused:
        generation.answered(model, own, 4)
    assert refused.value.reason == "empty_reply"


@pytest.mark.parametrize("text, reason", [("\u00ad", "empty_answer"), ("tone<|im_end|>", "special_tokens")])
def test_an_answer_that_gives_no_tokens_or_ends_the_turn_is_refused(prompts, text, reason, monkeypatch):
    model, prompt = prompts["omni"]
    question = copy.copy(prompt.question)
    object.__setattr__(question, "answer", text)  # what another tokenizer may make of a text that the format accepts
    if reason == "empty_answer":
        silent = lambda *_, **__: {"input_ids": []}  # noqa: E731
        monkeypatch.setattr(type(model.tokenizer), "__call__", silent)
    with pytest.raises(Unusable) as refused:
        given_ids(question, model.tokenizer)
    assert refused.value.reason == reason and "question mini_video__free: its answer" in str(refused.value)

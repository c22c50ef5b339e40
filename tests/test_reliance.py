"""What answers rest on: muting, blanking and shuffling change exactly what they say."""

import torch

from avflow.decoder import causal_mask, masked_run, uncut_logits
from reliance import shuffled, variants


def test_a_shuffle_keeps_the_answer_and_moves_the_options(questions):
    for question in questions.values():
        for number in (1, 2):
            other = shuffled(question, 0, number)
            content = lambda q: {o.label: (o.text, o.candidate) for o in q.options}  # noqa: E731
            assert content(other) != content(question)
            assert sorted(content(other).values()) == sorted(content(question).values())
            assert content(other)[other.answer] == content(question)[question.answer]
            assert shuffled(question, 0, number) == other


def test_a_variant_changes_its_own_sense_only(model, questions):
    question = next(q for q in questions.values() if q.task == "hear")
    vision, audio = torch.randn(16, 192), torch.randn(100, 192)
    features = {
        question.media[0].media_id: dict(
            vision=vision,
            audio=audio,
            grid=torch.tensor([4, 4, 4]),
            samples=torch.tensor(64000),
            seconds_per_grid=torch.tensor(1.0),
        )
    }
    made = {name: next(iter(given.values())) for name, _, given in variants(model, question, features, 1, 0, {})}
    assert made["muted"]["vision"] is vision and made["muted"]["audio"].shape == audio.shape
    assert not torch.allclose(made["muted"]["audio"], audio)
    assert made["blanked"]["audio"] is audio and made["blanked"]["vision"].shape == vision.shape
    assert not torch.allclose(made["blanked"]["vision"], vision)
    assert made["shuffled_1"]["vision"] is vision and made["shuffled_1"]["audio"] is audio


def test_logits_in_a_batch_equal_those_of_single_runs(model, sequences):
    found = uncut_logits(model, list(sequences.values()))
    for sequence, logits in zip(sequences.values(), found):
        mask = causal_mask(len(sequence))[None]
        alone = masked_run(model, sequence, lambda _, m=mask: m)[0]
        assert (logits - alone).abs().max() < 1e-4 * alone.abs().max()

"""What answers rest on: muting, blanking and shuffling change exactly what they say."""

import torch

from avflow.storage.shard_writer import ShardWriter, room_for
from avflow.tracing.decoder import causal_mask, masked_run, uncut_logits
from reliance import Swaps, first_of_tasks, shuffled, variants


def test_a_shuffle_keeps_the_answer_and_moves_the_options(questions):
    for question in questions.values():
        for number in (1, 2):
            other = shuffled(question, 0, number)
            content = lambda q: {o.label: (o.text, o.candidate) for o in q.options}  # noqa: E731
            assert content(other) != content(question)
            assert sorted(content(other).values()) == sorted(content(question).values())
            assert content(other)[other.answer] == content(question)[question.answer]
            assert shuffled(question, 0, number) == other


def test_the_first_questions_of_every_task_are_asked_again(questions):
    pool = sorted(questions.values(), key=lambda q: q.question_id)
    assert first_of_tasks(pool, None) == set(questions)
    chosen = first_of_tasks(pool, 2)
    assert len(chosen) == 2 * len({q.task for q in pool})
    assert {"mini_video__hear_0001", "mini_video__hear_0002"} <= chosen and "mini_video__hear_0003" not in chosen


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
    assert torch.equal(made["text_only"]["audio"], made["muted"]["audio"])
    assert torch.equal(made["text_only"]["vision"], made["blanked"]["vision"])
    assert made["shuffled_1"]["vision"] is vision and made["shuffled_1"]["audio"] is audio


def test_a_swap_gives_the_sounds_of_another_question_of_the_same_task(questions, tmp_path):
    pool = [q for q in questions.values() if q.task in ("hear", "image-to-audio")]
    tensors, stored = {}, {}
    for n, item in enumerate(sorted({m.media_id: m for q in pool for m in q.media}.values(), key=lambda m: m.media_id)):
        if item.kind != "image":
            length = 64000 if item.media_id.endswith(("0001", "0004")) else 16000
            stored[item.media_id] = {"audio": torch.full((2, 3), float(n)), "samples": torch.tensor(length)}
        if item.kind != "audio":
            stored.setdefault(item.media_id, {})["vision"] = torch.full((4, 3), float(n))
        tensors |= {f"{item.media_id}/{name}": tensor for name, tensor in stored[item.media_id].items()}
    with ShardWriter(tmp_path / "f.safetensors", room_for(tensors), {}) as shard:
        for name, tensor in tensors.items():
            shard.add(name, tensor)
    swaps = Swaps(pool, tmp_path / "f.safetensors")
    for question in pool:
        mine = {m.media_id: stored[m.media_id] for m in question.media}
        other = swaps.of(question, mine, 0)
        assert other is not None and other.keys() == mine.keys()
        for media_id, features in other.items():
            assert features.get("vision") is mine[media_id].get("vision")
            if "audio" in features:
                assert not torch.equal(features["audio"], mine[media_id]["audio"])
        again = swaps.of(question, mine, 0)
        assert all(torch.equal(again[i]["audio"], other[i]["audio"]) for i in other if "audio" in other[i])
    hear = {q.question_id: q for q in pool if q.task == "hear"}
    first = hear["mini_video__hear_0001"]
    given = swaps.of(first, {first.media[0].media_id: stored[first.media[0].media_id]}, 0)[first.media[0].media_id]
    assert torch.equal(given["audio"], stored["mini_video__single_0004"]["audio"]), "the only other clip of its length"
    alone = Swaps([first], tmp_path / "f.safetensors")
    assert alone.of(first, {first.media[0].media_id: stored[first.media[0].media_id]}, 0) is None


def test_logits_in_a_batch_equal_those_of_single_runs(model, sequences):
    found = uncut_logits(model, list(sequences.values()))
    for sequence, logits in zip(sequences.values(), found):
        mask = causal_mask(len(sequence))[None]
        alone = masked_run(model, sequence, lambda _, m=mask: m)[0]
        assert (logits - alone).abs().max() < 1e-4 * alone.abs().max()

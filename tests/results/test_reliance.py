"""Reliance: muting, blanking, shuffling and swapping change only what they name."""

from dataclasses import replace

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from table_rows import answer

from avflow.results import reliance
from avflow.storage.shard_writer import ShardWriter, room_for
from avflow.tracing import row_schemas
from avflow.tracing.decoder import causal_mask, masked_run
from avflow.tracing.packs import uncut_logits
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


def test_a_swap_never_gives_a_clip_its_own_sound_track(questions, tmp_path):
    clip = questions["mini_video__hear_0001"]
    track = replace(clip.media[0], media_id=f"{clip.media[0].media_id}.as_audio", kind="audio")
    other = replace(clip, question_id="mini_video__track", media=(track,))
    features = {m.media_id: {"audio": torch.ones(2, 3), "samples": torch.tensor(16000)} for m in (clip.media[0], track)}
    tensors = {f"{name}/{part}": tensor for name, parts in features.items() for part, tensor in parts.items()}
    with ShardWriter(tmp_path / "f.safetensors", room_for(tensors), {}) as shard:
        for name, tensor in tensors.items():
            shard.add(name, tensor)
    swaps = Swaps([clip, other], tmp_path / "f.safetensors")
    assert swaps.of(clip, features, 0) is None and swaps.of(other, features, 0) is None


def test_logits_in_a_batch_equal_those_of_single_runs(model, sequences):
    some = [sequences[name] for name in list(sequences)[::4]]
    for sequence, logits in zip(some, uncut_logits(model, some)):
        mask = causal_mask(len(sequence))[None]
        alone = masked_run(model, sequence, lambda _, m=mask: m)[0]
        assert (logits - alone).abs().max() < 1e-4 * alone.abs().max()


def test_labels_are_counted_whatever_they_are(tmp_path):
    schema = row_schemas.EVALUATE.append(pa.field("variant", pa.string()))
    said = ["A", "E", "E", "No"]
    rows = [answer(i, "hear", "hear", True, answer=label, option_logits=[0.0] * 5) for i, label in enumerate(said)]
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.EVALUATE), tmp_path / "e.parquet")
    pq.write_table(pa.Table.from_pylist([row | {"variant": "muted"} for row in rows], schema), tmp_path / "r.parquet")
    one = reliance.reliance(tmp_path / "r.parquet", tmp_path / "e.parquet", 200, 0).iloc[0]
    assert [one[f"share_{x}"] for x in ("A", "B", "C", "D", "E", "No")] == [0.25, 0, 0, 0, 0.5, 0.25]
    assert one["chance"] == pytest.approx(0.2)


def test_reliance_sets_what_is_lost_without_a_sense_beside_its_route(evaluated, tmp_path):
    schema = row_schemas.EVALUATE.append(pa.field("variant", pa.string()))
    rows = []
    for variant, right in (("muted", 1), ("blanked", 3), ("text_only", 0), ("swapped", 2)):
        chosen = range(4) if variant != "swapped" else range(2)
        rows += [answer(i, "activity_recognition", "visual_recognition", i < right, variant=variant) for i in chosen]
    pq.write_table(pa.Table.from_pylist(rows, schema), tmp_path / "r.parquet")
    table = reliance.reliance(tmp_path / "r.parquet", evaluated, 200, 0)
    one = table.set_index("task").loc["activity_recognition"]
    assert (one["as_is"], one["muted"], one["blanked"], one["text_only"], one["swapped"]) == (0.75, 0.25, 0.75, 0.0, 1.0)
    assert one["swapped_n"] == 2 and one["chance"] == 0.25
    assert set(table["task"]) == {"activity_recognition"}, "tasks that were not asked again are left out"
    groups = reliance.reliance(tmp_path / "r.parquet", evaluated, 200, 0, by="group")
    changes = pd.DataFrame(
        [
            dict(
                model="qwen2.5-omni-3b",
                question_id=f"q{i}",
                cluster=f"c{i}",
                group="visual_recognition",
                route="audio->question",
                centre=c,
                change=-10.0 * c,
            )
            for i in range(2)
            for c in range(3)
        ]
    )
    sides = reliance.areas(changes, groups, 200, 0)
    assert sides.iloc[0][["group", "route", "n", "area"]].tolist() == ["visual_recognition", "audio->question", 2, -10.0]
    assert sides.iloc[0]["lost"] == pytest.approx(100 * (3 / 4 - 1 / 4))


def test_graded_tasks_are_read_at_the_deepest_layer_and_by_the_share_that_sound_decides(tmp_path):
    schema, needs = row_schemas.EVALUATE.append(pa.field("variant", pa.string())), {"either-0": "VVVV", "either-50": "AVAV"}
    asked = [answer(f"{task}{i}", task, task, True) | {"needs": one} for task, of in needs.items() for i, one in enumerate(of)]
    pq.write_table(pa.Table.from_pylist(asked, row_schemas.EVALUATE), tmp_path / "e.parquet")
    pq.write_table(pa.Table.from_pylist([row | {"variant": "muted"} for row in asked], schema), tmp_path / "r.parquet")
    table = reliance.reliance(tmp_path / "r.parquet", tmp_path / "e.parquet", 100, 0)
    assert table.set_index("task")["needs_audio"].to_dict() == {"either-0": 0, "either-50": 0.5}
    curve = {"either-0": [0.0, -4.0, 1.0], "either-50": [0.0, -40.0, 9.0]}
    rows = [
        dict(model="qwen2.5-omni-3b", task=task, cluster=f"c{i}", route="audio->question", centre=c, change=change)
        for task, changes in curve.items()
        for i in range(4)
        for c, change in enumerate(changes)
    ]
    found = reliance.dial(table, pd.DataFrame(rows), ["audio->question"], 100, 0)
    assert found[["task", "needs_audio", "centre", "mean"]].values.tolist() == [
        ["either-0", 0, 1, -4],
        ["either-50", 0.5, 1, -40],
    ]

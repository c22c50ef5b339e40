"""The synthetic world: which modality each task needs, that training and evaluation share nothing, and that seeds fix files.

Also tests avflow.miniature.datasets and avflow.miniature.rendering.
"""

import dataclasses

import numpy as np
import pytest
import torch

from avflow.errors import InputError
from avflow.miniature import datasets, rendering, world

SENSE = {"A": "audio", "V": "video"}


def test_equal_seeds_draw_equal_scenes_and_other_paths_other_ones():
    a, b, c = (world.draw_scenes("single", 64, world.generator(*path)) for path in (("x", 1), ("x", 1), ("x", 2)))
    assert torch.equal(a.colour, b.colour) and torch.equal(a.sound, b.sound)
    assert not torch.equal(a.colour, c.colour)


def test_seeds_of_training_and_of_files_never_meet():
    files = {world.seed_of(datasets.VIDEO, 0, family, n) for family in ("single", "medley", "either") for n in range(1, 301)}
    files |= {world.seed_of(datasets.ITEMS, 0, task, n) for task in world.ITEM_TASKS for n in range(1, 301)}
    assert len(files) == 3 * 300 + len(world.ITEM_TASKS) * 300
    assert not files & {world.seed_of("train", 0, step) for step in range(20000)}


def test_a_single_clip_sounds_in_exactly_one_second_and_keeps_its_shape():
    scenes = world.draw_scenes("single", 500, world.generator("t"))
    assert torch.equal((scenes.sound != world.NOTHING).sum(1), torch.ones(500, dtype=torch.long))
    assert (scenes.shape == scenes.shape[:, :1]).all()
    assert (scenes.colour.sort(1).values == torch.arange(4)).all()


@pytest.mark.parametrize("task", [t for t in world.VIDEO_TASKS if t != "either"])
def test_the_answer_changes_with_the_needed_modality_and_not_with_the_other(task):
    g = world.generator("needs", task)
    scenes = world.draw_scenes(world.VIDEO_TASKS[task].clips, 4000, g)
    other = world.draw_scenes(world.VIDEO_TASKS[task].clips, 4000, g)
    answer, cue = world.answers(task, scenes, g)
    swapped = {
        "A": world.Scenes(scenes.shape, scenes.colour, other.sound),
        "V": world.Scenes(other.shape, other.colour, scenes.sound),
    }
    for modality, changed in swapped.items():
        same = (world.answers(task, changed, g, cue)[0] == answer).float().mean().item()
        if modality in world.VIDEO_TASKS[task].needs:
            assert abs(same - 0.25) < 0.06, f"{task}: swapping {modality} keeps {same:.2f} of the answers"
        else:
            assert same == 1.0


@pytest.mark.parametrize("task, cues", [("hear-before", "sound"), ("see-before", "colour")])
def test_what_was_before_lies_two_seconds_before_the_cue(task, cues):
    g = world.generator("before", task)
    scenes = world.draw_scenes("parade", 300, g)
    answer, cue = world.answers(task, scenes, g)
    shown = scenes.sound if task == "hear-before" else scenes.shape
    for row in range(300):
        second = getattr(scenes, cues)[row].tolist().index(int(cue[row]))
        assert second >= 2 and int(shown[row, second - 2]) == int(answer[row])


def test_items_are_right_by_what_their_question_asks():
    drawn = {task: world.draw_items(task, 400, world.generator("items", task)) for task in world.ITEM_TASKS}
    rows = torch.arange(400)
    for task, items in drawn.items():
        many = items.pictures.shape if task == "audio-to-image" else items.sounds.sound
        assert many.shape == (400, 4)
        places = torch.bincount(items.answer, minlength=4)
        assert places[1:].min() > 70 and (places[0] == 0) == (task == "repeated"), "every place is right as often"
        if task != "repeated":
            assert (many.sort(1).values == torch.arange(4)).all(), "every kind occurs once"
    for task in ("image-to-audio", "stated"):
        items = drawn[task]
        assert torch.equal(items.sounds.sound[rows, items.answer], items.pictures.shape[:, 0])
    items = drawn["audio-to-image"]
    assert torch.equal(items.pictures.shape[rows, items.answer], items.sounds.sound[:, 0])
    items = drawn["by-aspect"]
    asked = torch.where(items.cue == 0, items.pictures.shape[:, 0], items.pictures.colour[:, 0])
    other = torch.where(items.cue == 0, items.pictures.colour[:, 0], items.pictures.shape[:, 0])
    assert torch.equal(items.sounds.sound[rows, items.answer], asked) and (asked != other).all()
    items = drawn["named"]
    assert torch.equal(items.sounds.sound[rows, items.answer], items.cue)
    sounds, answer = drawn["repeated"].sounds.sound, drawn["repeated"].answer
    for row in range(400):
        before = sounds[row, : answer[row]].tolist()
        assert int(sounds[row, answer[row]]) in before and len(set(sounds[row].tolist())) == 3


def test_only_the_right_option_is_true_and_goes_with_the_picture():
    items = world.draw_items("stated", 400, world.generator("claims"))
    true = items.claims == items.sounds.sound
    matching = items.claims == items.pictures.shape
    right = torch.nn.functional.one_hot(items.answer, 4).bool()
    assert torch.equal(true & matching, right)
    assert (true.sum(1) == 2).all() and (matching.sum(1) == 2).all(), "neither alone tells which it is"


def test_faint_media_are_lost_in_noise():
    scenes = world.draw_scenes("single", 100, world.generator("faint"))
    sound = scenes.sound.repeat_interleave(16000, 1) != world.NOTHING
    ratio, contrast = {}, {}
    for faint in (0.0, 0.5, 1.0):
        dimmed = dataclasses.replace(scenes, faint=torch.full((100,), faint))
        wave = rendering.render_audio(dimmed, 16000, world.generator("faint", "sound"))
        ratio[faint] = (wave[sound].std() / wave[~sound].std()).item()
        frames = rendering.render_frames(dimmed, [0.5], 56, world.generator("faint", "sight"))
        contrast[faint] = frames[:, 0].flatten(1).std(1).mean().item()
    assert ratio[0.0] > 20 > ratio[0.5] > 1.1 > ratio[1.0]
    assert contrast[0.0] > 2 * contrast[0.5] > 2.5 * contrast[1.0]
    plain = rendering.render_audio(scenes, 16000, world.generator("faint", "sound"))
    dimmed = dataclasses.replace(scenes, faint=torch.zeros(100))
    assert torch.allclose(plain, rendering.render_audio(dimmed, 16000, world.generator("faint", "sound")), atol=1e-6)


def test_the_dial_of_either_sets_the_share_that_only_sound_tells():
    for share in (0.0, 0.3, 1.0):
        scenes = world.draw_scenes("either", 4000, world.generator("dial", share), audio_share=share)
        by_ear = scenes.sound[:, 0] != world.NOTHING
        assert abs(by_ear.float().mean().item() - share) < 0.03
        assert ((scenes.shape[:, 0] != world.NOTHING) == ~by_ear).all()


def test_tasks_are_named_with_their_dials():
    assert world.video_task("either-25") == ("either", 0.25, 0.0) and world.video_task("while-hear") == ("while-hear", 0.5, 0.0)
    assert world.video_task("hear-faint-60") == ("hear", 0.5, 0.6) and world.items_task("stated") == ("stated", 0.0)
    assert world.items_task("image-to-audio-faint-90") == ("image-to-audio", 0.9)
    assert world.video_task("describe") == (world.FREE, 0.5, 0.0) and world.spec_of(world.FREE) is world.FREE_TASK
    for name in (
        "either-101",
        "either-",
        "either-x",
        "hear-25",
        "smell",
        "hear-faint-",
        "hear-faint-101",
        "either-faint-20",
        "describe-faint-2",
    ):
        with pytest.raises(InputError, match=f"video task '{name}' is unknown; known: hear, see"):
            world.video_task(name)
    for name in ("hear", "named-faint-x", "named-faint-"):
        with pytest.raises(InputError, match=f"item task '{name}' is unknown; known: image-to-audio"):
            world.items_task(name)


def test_pictures_show_the_colour_and_sounds_are_louder_than_silence():
    g = world.generator("render")
    scenes = world.draw_scenes("single", 200, g)
    frames = rendering.render_frames(scenes, [0.5, 1.5, 2.5, 3.5], 56, g)
    middle = frames[:, :, :, 24:32, 24:32].mean((3, 4))  # (batch, seconds, 3)
    nearest = (middle[:, :, None] - rendering.RGB).norm(dim=-1).argmin(-1)
    assert (nearest == scenes.colour).float().mean() > 0.97
    loudness = rendering.render_audio(scenes, 16000, g).view(200, 4, 16000).pow(2).mean(-1).sqrt()
    sounding = scenes.sound != world.NOTHING
    assert loudness[sounding].min() > 5 * loudness[~sounding].max()


@pytest.mark.parametrize("task", world.VIDEO_TASKS)
def test_an_event_is_the_second_that_holds_the_answer(task):
    spec = world.VIDEO_TASKS[task]
    for number in range(20):
        g = world.generator("events", task, number)
        scene = world.draw_scenes(spec.clips, 1, g)
        answer, cue = world.answers(task, scene, g)
        found = world.events(task, scene, None if cue is None else int(cue))
        assert [e["sense"] for e in found] == ([] if task in ("see", "either") else [SENSE[s] for s in spec.needs])
        for event in found:
            second = int(event["start"])
            field = {world.SOUNDS: scene.sound, world.COLOURS: scene.colour, world.SHAPES: scene.shape}[spec.answers]
            assert event["stop"] == second + 1 and int(field[0, second]) == int(answer)


def test_options_are_shuffled_so_that_letters_and_positions_are_even():
    rows = [datasets.video_row("see", 1, "c", np.random.default_rng(i).permutation(4).tolist(), i % 4, None) for i in range(400)]
    share = np.array([sum(r["answer"] == letter for r in rows) for letter in "ABCD"]) / 400
    assert (abs(share - 0.25) < 0.08).all()

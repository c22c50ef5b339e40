"""The synthetic world: which modality each task needs, that training and evaluation share nothing, and that seeds fix files.

Also tests avflow.miniature.datasets.
"""

import numpy as np
import pytest
import torch

from avflow.errors import InputError
from avflow.miniature import datasets, world


def test_equal_seeds_draw_equal_scenes_and_other_paths_other_ones():
    a, b, c = (world.draw_scenes("single", 64, world.generator(*path)) for path in (("x", 1), ("x", 1), ("x", 2)))
    assert torch.equal(a.colour, b.colour) and torch.equal(a.sound, b.sound)
    assert not torch.equal(a.colour, c.colour)


def test_seeds_of_training_and_of_files_never_meet():
    files = {world.seed_of(datasets.VIDEO, 0, family, n) for family in ("single", "medley", "either") for n in range(1, 301)}
    files |= {world.seed_of(datasets.ITEMS, 0, task, n) for task in world.ITEM_TASKS for n in range(1, 301)}
    assert len(files) == 3 * 300 + 2 * 300
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
            assert abs(same - 0.25) < 0.03, f"{task}: swapping {modality} keeps {same:.2f} of the answers"
        else:
            assert same == 1.0


def test_the_dial_of_either_sets_the_share_that_only_sound_tells():
    for share in (0.0, 0.3, 1.0):
        scenes = world.draw_scenes("either", 4000, world.generator("dial", share), audio_share=share)
        by_ear = scenes.sound[:, 0] != world.NOTHING
        assert abs(by_ear.float().mean().item() - share) < 0.03
        assert ((scenes.shape[:, 0] != world.NOTHING) == ~by_ear).all()


def test_a_graded_task_is_named_with_its_dial():
    assert world.video_task("either-25") == ("either", 0.25) and world.video_task("while-hear") == ("while-hear", 0.5)
    for name in ("either-101", "either-", "either-x", "hear-25", "smell"):
        with pytest.raises(InputError, match=f"video task '{name}' is unknown; known: hear, see"):
            world.video_task(name)


def test_pictures_show_the_colour_and_sounds_are_louder_than_silence():
    g = world.generator("render")
    scenes = world.draw_scenes("single", 200, g)
    frames = world.render_frames(scenes, [0.5, 1.5, 2.5, 3.5], 56, g)
    middle = frames[:, :, :, 24:32, 24:32].mean((3, 4))  # (batch, seconds, 3)
    nearest = (middle[:, :, None] - world.RGB).norm(dim=-1).argmin(-1)
    assert (nearest == scenes.colour).float().mean() > 0.97
    loudness = world.render_audio(scenes, 16000, g).view(200, 4, 16000).pow(2).mean(-1).sqrt()
    sounding = scenes.sound != world.NOTHING
    assert loudness[sounding].min() > 5 * loudness[~sounding].max()


def test_options_are_shuffled_so_that_letters_and_positions_are_even():
    rows = [datasets.video_row("see", 1, "c", np.random.default_rng(i).permutation(4).tolist(), i % 4, None) for i in range(400)]
    share = np.array([sum(r["answer"] == letter for r in rows) for letter in "ABCD"]) / 400
    assert (abs(share - 0.25) < 0.08).all()

"""AV-SpeakerBench, from the hub's files to questions: which are read, dropped or refused.

Also tests avflow.hub.archives and avflow.questions.preparation.
"""

import shutil
import zipfile
from types import SimpleNamespace

import layouts as shipped
import numpy as np
import pytest
from prepared import options_of, prepare, reasons, table

from avflow.errors import InputError
from avflow.media import files
from avflow.questions import preparation


@pytest.fixture(scope="module")
def speakerbench(tmp_path_factory):
    """Three clips, twelve questions, as downloaded."""
    folder = tmp_path_factory.mktemp("downloads") / "av_speakerbench"
    return folder, shipped.speakerbench(folder)


@pytest.fixture
def downloaded(speakerbench, tmp_path):
    """The same, to be damaged."""
    folder = tmp_path / "av_speakerbench"
    shutil.copytree(speakerbench[0], folder)
    return folder, [dict(row) for row in speakerbench[1]]


def test_a_csv_with_clips_in_archives_becomes_questions_with_their_media_in_place(speakerbench, tmp_path):
    folder, rows = speakerbench
    groups = {"visual_recognition": ["activity_recognition", "attribute_recognition"]}
    found, dropped = prepare("av_speakerbench", folder, tmp_path, ending="The best answer is:", groups=groups)
    assert len(found) == len(rows) == 12 and dropped == []
    q = found["av_speakerbench__1"]
    assert (q.task, q.group, q.needs, q.layout_name) == ("activity_recognition", "visual_recognition", "AV", "paper_eq1")
    assert (q.question, q.answer) == (rows[1]["question"], rows[1]["answer"]) and [o.label for o in q.options] == list("ABCD")
    assert q.media[0].media_id == "av_speakerbench__-yt1_10_14"
    assert [s.get("text", s["seg"]) for s in q.layout] == ["media", "Choose.", q.question, "options", "The best answer is:"]
    assert {p.name for p in (tmp_path / "media").iterdir()} == {f"-yt{n}_{n}0_{n}4.mp4" for n in (1, 2, 3)}
    facts = files.probe(tmp_path / q.media[0].path, "video", needs_audio=True)
    assert facts.audio_channels == 1, "the clip with sound, not the one of the same name without"
    assert {row["status"] for row in table(tmp_path / "m.tsv")} == {"ok"}
    assert found["av_speakerbench__0"].group == "speech_recognition", "a task in no group is one of its own"


def test_clips_as_files_give_the_same_questions(speakerbench, tmp_path):
    shipped.speakerbench(tmp_path / "loose", archives=0)
    assert prepare("av_speakerbench", tmp_path / "loose", tmp_path / "a") == prepare(
        "av_speakerbench", speakerbench[0], tmp_path / "b"
    )


def test_only_the_tasks_and_rows_in_use_are_taken_and_their_media_only(downloaded, tmp_path):
    folder, rows = downloaded
    rows[4]["mp4_ok"] = "False"
    shipped.write_csv(rows, folder / "test.csv")
    options = dict(tasks=["speech*"], keep={"mp4_ok": [True]})
    found, dropped = prepare("av_speakerbench", folder, tmp_path / "out", **options)
    assert sorted(found) == ["av_speakerbench__0", "av_speakerbench__8"]
    assert reasons(dropped) == {"av_speakerbench__4": "filtered"} and dropped[0]["detail"] == "mp4_ok is 'False'"
    assert {p.name for p in (tmp_path / "out/media").iterdir()} == {"-yt1_10_14.mp4", "-yt3_30_34.mp4"}


@pytest.mark.parametrize(("written", "dropped"), [("TRUE", 0), ("1", 0), ("1.0", 0), ("yes", 0), ("0", 1), ("No", 1), ("", 1)])
def test_a_flag_is_read_however_it_is_written(written, dropped, downloaded, tmp_path):
    """The real column's type is not known."""
    folder, rows = downloaded
    rows[4]["mp4_ok"] = written
    shipped.write_csv(rows, folder / "test.csv")
    found, lost = prepare("av_speakerbench", folder, tmp_path / "out", keep={"mp4_ok": [True]})
    assert (len(found), len(lost)) == (12 - dropped, dropped)


def test_a_limit_takes_as_many_of_every_task_and_the_same_ones_each_time(speakerbench, tmp_path):
    one, _ = prepare("av_speakerbench", speakerbench[0], tmp_path / "a", per_task=1, knockout=1)
    two, _ = prepare("av_speakerbench", speakerbench[0], tmp_path / "b", per_task=2, knockout=1)
    assert len(one) == 4 and len(two) == 8 and one.keys() < two.keys()
    assert sum(q.study_split == "knockout" for q in two.values()) == 4


def test_bad_rows_and_bad_clips_drop_their_questions_with_named_reasons(downloaded, tmp_path):
    folder, rows = downloaded
    rows[0]["answer"] = "E"
    rows[1]["choices"] = "A. yes, B. no"
    rows[2]["audio_visual_path"] = "audiovisual/gone.mp4"
    rows[3]["audio_visual_path"] = "../../../etc/passwd"
    shipped.write_csv(rows, folder / "test.csv")
    mute = folder / "visual_chunk_0.zip"
    with zipfile.ZipFile(mute) as archive:
        silent = archive.read("visual_only/-yt2_20_24.mp4")
    with zipfile.ZipFile(folder / "audiovisual_chunk_1.zip", "w") as archive:
        archive.writestr("audiovisual/-yt2_20_24.mp4", silent)
    found, dropped = prepare("av_speakerbench", folder, tmp_path / "out")
    assert sorted(found) == [f"av_speakerbench__{n}" for n in ("10", "11", "8", "9")]
    expected = dict(zip("0123", ("bad_answer", "bad_options", "missing", "bad_path"))) | dict.fromkeys("4567", "no_audio")
    assert reasons(dropped) == {f"av_speakerbench__{n}": reason for n, reason in expected.items()}
    assert "gone.mp4 is neither in" in next(row["detail"] for row in dropped if row["reason"] == "missing")


def test_sound_that_ends_early_or_is_silent_is_flagged_and_kept(downloaded, tmp_path):
    folder, _ = downloaded
    frames = np.zeros((40, 48, 64, 3), np.uint8)
    short, silent = tmp_path / "short.mp4", tmp_path / "silent.mp4"
    files.write_clip(short, frames, 10, 0.1 * np.random.default_rng(0).standard_normal(48000).astype(np.float32), 48000)
    files.write_clip(silent, frames, 10, np.zeros(4 * 48000, np.float32), 48000)
    members = {"audiovisual/-yt1_10_14.mp4": short.read_bytes(), "audiovisual/-yt3_30_34.mp4": silent.read_bytes()}
    shipped.write_zip(folder / "audiovisual_chunk_0.zip", members)
    found, dropped = prepare("av_speakerbench", folder, tmp_path / "out")
    assert len(found) == 12 and dropped == []
    assert found["av_speakerbench__0"].flags == ("audio_short",) and found["av_speakerbench__8"].flags == ("silent",)
    assert found["av_speakerbench__4"].flags == ()
    seconds = {row["media_id"]: round(float(row["audio_seconds"])) for row in table(tmp_path / "out/m.tsv")}
    assert seconds["av_speakerbench__-yt1_10_14"] == 1 and seconds["av_speakerbench__-yt2_20_24"] == 4


def test_longer_clips_than_allowed_are_dropped(speakerbench, tmp_path):
    with pytest.raises(
        InputError, match=r"none of 12 questions is usable; first reason: .*lasts 4\.0 s, more than max_seconds \(3\.0\)"
    ):
        prepare("av_speakerbench", speakerbench[0], tmp_path, max_seconds=3)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            "column",
            r"test\.csv: column 'choices' is missing \(found: question_id, question, options, .*\); pin a revision that has it",
        ),
        ("task", r"test\.csv: no task matches 'speaker_detection'; choose from activity_recognition, .* in config\.yaml"),
        (
            "climb",
            r"audiovisual_chunk_1\.zip: member '\.\./\.\./evil\.mp4' would leave its folder; do not trust this archive",
        ),
        ("cut", r"audiovisual_chunk_0\.zip: not a complete zip archive \(.*\); delete it and download it again"),
        ("none", r"exactly one file test\.csv is needed, found: none; download the dataset again"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(downloaded, tmp_path, damage, message):
    folder, rows = downloaded
    options = {}
    if damage == "column":
        renamed = [{{"choices": "options"}.get(k, k): v for k, v in row.items()} for row in rows]
        shipped.write_csv(renamed, folder / "test.csv")
    elif damage == "task":
        options["tasks"] = ["speaker_detection"]
    elif damage == "climb":
        shipped.write_zip(folder / "audiovisual_chunk_1.zip", {"../../evil.mp4": b"x"})
    elif damage == "cut":
        path = folder / "audiovisual_chunk_0.zip"
        path.write_bytes(path.read_bytes()[:-100])
    else:
        (folder / "test.csv").unlink()
    with pytest.raises(InputError, match=message) as caught:
        prepare("av_speakerbench", folder, tmp_path / "out", **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "evil.mp4").exists() and not list((tmp_path / "out").glob("*.jsonl"))


def test_a_member_that_is_damaged_drops_its_questions_and_leaves_no_file(downloaded, tmp_path):
    folder, _ = downloaded
    path = folder / "audiovisual_chunk_1.zip"
    data = bytearray(path.read_bytes())
    data[2000] ^= 0xFF  # inside the only member, which is stored as it is, so that its checksum fails
    path.write_bytes(data)
    found, dropped = prepare("av_speakerbench", folder, tmp_path / "out")
    assert len(found) == 8 and set(reasons(dropped).values()) == {"unreadable"}
    assert "cannot be read (Bad CRC-32" in dropped[0]["detail"]
    assert {p.name for p in (tmp_path / "out/media").iterdir()} == {"-yt1_10_14.mp4", "-yt3_30_34.mp4"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"question": ""}, "bad_text"),
        ({"choices": ""}, "bad_options"),
        ({"choices": "5"}, "bad_options"),
        ({"choices": "['A. one', None]"}, "bad_options"),
        ({"choices": "['one', 'two']"}, "bad_options"),
        ({"choices": "[" * 300}, "bad_options"),
        ({"answer": ""}, "bad_answer"),
        ({"task_id": ""}, "bad_text"),
        ({"audio_visual_path": ""}, "null_media"),
    ],
)
def test_a_faulty_value_drops_its_question_alone(downloaded, tmp_path, change, reason):
    folder, rows = downloaded
    rows[0] |= change
    shipped.write_csv(rows, folder / "test.csv")
    found, dropped = prepare("av_speakerbench", folder, tmp_path / "out")
    assert reasons(dropped) == {"av_speakerbench__0": reason} and len(found) == 11


def test_ids_and_tasks_in_other_scripts_stay_apart(downloaded, tmp_path):
    folder, rows = downloaded
    rows[0] |= {"question_id": "\u542c1", "task_id": "\u542c\u89c9"}
    rows[1] |= {"question_id": "\u89c61", "task_id": "\u89c6\u89c9", "question": "What\u2028is it?"}
    shipped.write_csv(rows, folder / "test.csv")
    found, dropped = prepare("av_speakerbench", folder, tmp_path / "out")
    assert len(found) == 12 and dropped == []
    assert {"\u542c\u89c9", "\u89c6\u89c9"} <= {q.task for q in found.values()}
    assert "What\u2028is it?" in {q.question for q in found.values()}


def test_a_csv_in_another_encoding_is_named(downloaded, tmp_path):
    folder, rows = downloaded
    (folder / "test.csv").write_bytes((folder / "test.csv").read_bytes() + "99,caf\u00e9".encode("latin-1"))
    with pytest.raises(InputError, match=r"test\.csv, line 14: byte 0xe9 is not UTF-8; save the file as UTF-8"):
        prepare("av_speakerbench", folder, tmp_path / "out")


def test_media_whose_names_differ_in_other_characters_alone_get_files_of_their_own(speakerbench, tmp_path):
    names = ["a/\u542c.mp4", "b/\u89c6.mp4", "b/\u8bf4.mp4", "b/\u753b.mp4", "c.mp4"]
    given = preparation.parser("").parse_args(options_of("av_speakerbench", speakerbench[0], tmp_path))
    intake = preparation.Intake(given)
    placed = [intake.place(SimpleNamespace(find=lambda path: path), name) for name in [*names, *names]]
    assert len(set(placed)) == 5 and placed[:5] == placed[5:] and placed[4] == "media/c.mp4"
    assert {intake.jobs[path] for path in placed} == set(names)

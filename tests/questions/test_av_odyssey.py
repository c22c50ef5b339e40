"""AV-Odyssey, from the hub's parquet files to questions: direction, candidates, drops, and bounded memory."""

import io
import subprocess
import sys

import layouts as shipped
import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from conftest import ROOT, SCRIPTS
from PIL import Image
from prepared import options_of, prepare, reasons, table

from avflow.errors import InputError
from avflow.questions import av_odyssey, layouts


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """The rows of six matching questions and of one that matches nothing."""
    return shipped.odyssey(tmp_path_factory.mktemp("downloads"))


def written(rows, folder):
    folder.mkdir()
    shipped.write_parquet(rows, folder / "av_odyssey_part1.parquet")
    return folder


def test_rows_become_matching_questions_in_both_directions(rows, tmp_path):
    found, dropped = prepare("av_odyssey", written(rows[:-1], tmp_path / "in"), tmp_path / "out", option_format="{label}: {text}")
    assert len(found) == 6 and dropped == []
    assert {(q.task, q.group) for q in found.values()} == {("animal", "I2A"), ("bird", "A2I")}
    for row in rows[:-1]:
        q = found[f"av_odyssey__{row['question_id']}"]
        chosen = row["options"]["ABCD".index(row["answer"])]
        ordinal = ("first", "second", "third", "fourth").index(chosen.split()[1]) + 1
        assert q.correct_candidate == f"c{ordinal}" and q.question_raw == row["question"]
        kinds = ("audio", "image") if q.group == "I2A" else ("image", "audio")
        assert [m.kind for m in q.media] == [kinds[0]] * 4 + [kinds[1]]
        assert [o.text for o in q.options] == row["options"] and q.layout[-2] == {"seg": "options", "format": "{label}: {text}"}
        for m in q.media:
            assert (tmp_path / "out" / m.path).read_bytes() == row[f"{m.kind}_{m.index}"]
    assert len({q.answer for q in found.values()}) > 1, "the right letter is not always the same"


def test_a_question_is_asked_as_shipped(rows, tmp_path):
    found, _ = prepare("av_odyssey", written(rows[:1], tmp_path / "in"), tmp_path / "out")
    (q,) = found.values()
    shown = "".join(f"[{s['id']}]" if s["seg"] == "media" else s.get("text", "<options>") for s in q.layout)
    assert shown == "Out of the four sounds [c1] [c2] [c3] [c4], which one matches the picture [r1]?<options>Choose."
    assert q.layout_name == "as_shipped" and layouts.arrange(q, "original") is q


def test_in_the_order_of_equation_3_a_sentence_names_its_media_or_is_dropped(rows, tmp_path):
    broken = {**rows[1], "question": "Which fits [img1]: (A) [audio1] (B) [audio2] (C) [audio3] (D) [audio4]?"}
    folder = written([rows[0], broken], tmp_path / "in")
    found, dropped = prepare("av_odyssey", folder, tmp_path / "out", layout="eq3")
    (q,) = found.values()
    shown = " ".join(s.get("id", s.get("text", "options")) for s in q.layout)
    assert shown == "c1 c2 c3 c4 Out of the four sounds, which one matches the picture? r1 options Choose."
    assert q.layout_name == "paper_eq3" and reasons(dropped) == {"av_odyssey__5_0002": "not_reordered"}
    assert "av_odyssey__5_0002: a tag stands behind a label of its own" in dropped[0]["detail"]


def test_media_lie_under_the_hash_of_their_bytes_and_once_only(rows, tmp_path):
    twice = [rows[0], {**rows[0], "question_id": "5_0099"}]
    found, _ = prepare("av_odyssey", written(twice, tmp_path / "in"), tmp_path / "out")
    one, other = found.values()
    assert [m.media_id for m in one.media] == [m.media_id for m in other.media] and one.cluster == other.cluster
    assert len(list((tmp_path / "out/media").iterdir())) == 5
    assert {row["questions"] for row in table(tmp_path / "out/m.tsv")} == {"2"}


def test_other_questions_than_matching_ones_are_dropped_with_a_reason(rows, tmp_path):
    a, b, c, d, e, f, pair = (dict(row) for row in rows)
    b["audio_3"] = None
    c["audio_2"] = c["audio_4"]
    d["options"] = [d["options"][0], d["options"][0].replace("image", "picture"), *d["options"][2:]]
    e["answer"] = "E"
    f["image_2"] = f["image_2"][:200]
    found, dropped = prepare("av_odyssey", written([a, b, c, d, e, f, pair], tmp_path / "in"), tmp_path / "out")
    assert sorted(found) == ["av_odyssey__5_0001"]
    assert reasons(dropped) == {
        "av_odyssey__5_0002": "null_media",
        "av_odyssey__5_0003": "duplicate_media",
        "av_odyssey__4_0001": "options_not_bijective",
        "av_odyssey__4_0002": "bad_answer",
        "av_odyssey__4_0003": "truncated",
        "av_odyssey__19_0001": "not_matching",
    }
    details = {row["reason"]: row["detail"] for row in dropped}
    assert details["null_media"] == "5_0002: [audio3] is named in the question but null in the file"
    assert "1 audio, 1 image; a matching question needs one reference and four candidates" in details["not_matching"]
    assert "are the same file" in details["duplicate_media"]


def test_questions_of_other_tasks_are_not_read(rows, tmp_path):
    found, dropped = prepare("av_odyssey", written(rows, tmp_path / "in"), tmp_path / "out", tasks=["bird"])
    assert {q.task for q in found.values()} == {"bird"} and dropped == []
    assert len(list((tmp_path / "out/media").iterdir())) <= 15
    with pytest.raises(InputError, match="no task matches 'singer'; choose from angle_3d, animal, bird in config.yaml"):
        prepare("av_odyssey", tmp_path / "in", tmp_path / "other", tasks=["singer"])


def test_the_edition_with_paths_gives_the_same_questions(rows, tmp_path):
    one, _ = prepare("av_odyssey", written(rows[:-1], tmp_path / "in"), tmp_path / "a")
    (tmp_path / "paths").mkdir()
    members, by_path = {}, []
    for row in rows[:-1]:
        paths = {"image_path": [], "audio_path": [], "video_path": []}
        for kind in ("image", "audio"):
            for i in range(1, 5):
                if row[f"{kind}_{i}"]:
                    paths[f"{kind}_path"].append(f"{kind}/{row['question_id']}_{i}.{kind}")
                    members[paths[f"{kind}_path"][-1]] = row[f"{kind}_{i}"]
        lettered = [f"{letter}: {text}" for letter, text in zip("ABCD", row["options"])]
        by_path.append({**{k: row[k] for k in av_odyssey.TEXT}, "options": lettered, **paths})
    shipped.write_parquet(by_path, tmp_path / "paths/av_odyssey.parquet")
    shipped.write_zip(tmp_path / "paths/media.zip", members)
    other, _ = prepare("av_odyssey", tmp_path / "paths", tmp_path / "b")
    content = lambda found: [(q.question, q.options, q.answer, q.correct_candidate, q.group) for q in found.values()]  # noqa: E731
    assert content(one) == content(other)


def test_a_parquet_with_a_renamed_column_is_refused(rows, tmp_path):
    table = pq.read_table(written(rows[:1], tmp_path / "in") / "av_odyssey_part1.parquet")
    names = ["kind_id" if name == "question_type_id" else name for name in table.column_names]
    pq.write_table(table.rename_columns(names), tmp_path / "in/av_odyssey_part1.parquet")
    with pytest.raises(
        InputError, match=r"av_odyssey_part1.parquet: column 'question_type_id' is missing \(found: question_id, kind_id"
    ):
        prepare("av_odyssey", tmp_path / "in", tmp_path / "out")


def large_rows(rows, megabytes: int):
    """Eight rows whose five media weigh so much together, as raw pictures and sounds of noise."""
    side = 2 * int((megabytes * 1_000_000 / 5 / 3) ** 0.5 / 2)
    noise, made = np.random.default_rng(0).integers(0, 64, (side, side, 3), np.uint8), []
    for i in range(8):
        row = dict(rows[0] if i % 2 else rows[3], question_id=f"big_{i}")
        for n, name in enumerate(name for name in row if name[:5] in ("image", "audio") and row[name]):
            other, out = noise ^ np.uint8(5 * i + n), io.BytesIO()
            if name.startswith("image"):
                Image.fromarray(other).save(out, "BMP")
            else:
                soundfile.write(out, other.ravel().view(np.int16), 48000, format="WAV")
            row[name] = out.getvalue()
        made.append(row)
    return made


MEASURED = """
import sys
sys.path.insert(0, sys.argv[1])
from avflow.questions import av_odyssey, preparation
peak = lambda: next(1024 * int(x.split()[1]) for x in open('/proc/self/status') if x.startswith('VmHWM'))
intake = preparation.Intake(preparation.parser("").parse_args(sys.argv[2:]))
print(peak())
av_odyssey.collect(intake)
print(peak())
preparation.finish(intake)
print(peak())
"""


@pytest.mark.parametrize(("megabytes", "per_group"), [pytest.param(40, 1, marks=pytest.mark.slow), (10, 8)])
def test_memory_does_not_grow_with_the_file(rows, tmp_path, megabytes, per_group):
    """Of 320 MB in rows of 40 MB less than a third is ever in memory; of a row group a few times its largest column."""
    (tmp_path / "in").mkdir()
    shipped.write_parquet(large_rows(rows, megabytes), tmp_path / "in/av_odyssey_part1.parquet", per_group)
    file = pq.ParquetFile(tmp_path / "in/av_odyssey_part1.parquet")
    size = (tmp_path / "in/av_odyssey_part1.parquet").stat().st_size
    assert size > 7_900_000 * megabytes and file.num_row_groups == 8 / per_group
    group = file.metadata.row_group(0)
    column = max(group.column(i).total_uncompressed_size for i in range(group.num_columns))
    (tmp_path / "out").mkdir()
    options = options_of("av_odyssey", tmp_path / "in", tmp_path / "out", threads=1)
    done = subprocess.run([sys.executable, "-c", MEASURED, str(SCRIPTS), *options], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "8 questions, 0 dropped" in done.stderr, done.stderr
    start, collected, probed = map(int, done.stdout.split())
    assert collected - start < 4 * column + 80_000_000
    if per_group == 1:
        assert collected - start < size / 3 and probed - start < size / 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"question": None}, "bad_text"),
        ({"options": None}, "bad_options"),
        ({"options": ["the first audio", None, "the third audio", "the second audio"]}, "bad_options"),
        ({"answer": None}, "bad_answer"),
        ({"question_type_id": None}, "bad_text"),
    ],
)
def test_a_faulty_value_drops_its_question_alone(rows, tmp_path, change, reason):
    faulty = [{**rows[0], **change}, *rows[1:3]]
    found, dropped = prepare("av_odyssey", written(faulty, tmp_path / "in"), tmp_path / "out")
    assert reasons(dropped) == {f"av_odyssey__{rows[0]['question_id']}": reason} and len(found) == 2

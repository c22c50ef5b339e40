"""Tables of rows with every column, from the few values that a test is about."""

import math

import pyarrow as pa
import pyarrow.parquet as pq

from avflow.tracing import row_schemas


def knockout_table(path, changes, stride=1):
    """A table of knockouts: (group, route) -> % change by layer."""
    rows = []
    for (group, route), by_layer in changes.items():
        for centre in range(0, len(by_layer), stride):
            row = dict.fromkeys(row_schemas.KNOCKOUT.names) | dict(
                question_id="q", dataset="d", model="m", group=group, route=route
            )
            row |= dict(style="centred", width=3, centre=centre, cut="mask", control="none", layout="paper_eq1", applicable=True)
            rows.append(row | dict(logp_base=math.log(1 + by_layer[centre] / 100), p_base_clean=1.0, correct_clean=True))
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.KNOCKOUT), path)
    return path


def entry(i, kind, values, layer=None, name=None, number=None, model="m", **more):
    empty = dict.fromkeys(row_schemas.ATTENTION.names)
    asked = dict(question_id=f"q{i}", cluster=f"c{i}", dataset="d", model=model, task="hear", group="hear", gold="B")
    row = {
        **empty,
        **asked,
        "correct_clean": True,
        "kind": kind,
        "values": values,
        "layer": layer,
        "name": name,
        "number": number,
    }
    return row | more


def written(path, rows):
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.ATTENTION), path)
    return path


def answer(i, task, group, correct, dataset="av_speakerbench", model="qwen2.5-omni-3b", variant=None, **more):
    row = dict.fromkeys(row_schemas.EVALUATE.names) | dict(
        question_id=f"q{i}", dataset=dataset, cluster=f"c{i}", needs="AV", model=model
    )
    row |= dict(
        task=task, group=group, correct=correct, says_letter=True, answer="A", content="x", **{f"logit_{x}": 0.0 for x in "ABCD"}
    )
    row |= more
    return row if variant is None else row | {"variant": variant}

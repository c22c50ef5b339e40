"""Notebooks are committed without outputs. They load, call and save; every parameter has a default."""

import ast
import json

import pytest
from conftest import ROOT, process

NOTEBOOKS = sorted((ROOT / "figures").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_is_clean_and_takes_parameters(path):
    notebook = json.loads(path.read_text())
    code = [c for c in notebook["cells"] if c["cell_type"] == "code"]
    assert not any(c["outputs"] or c["execution_count"] for c in code)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    tagged = [c for c in code if "parameters" in c["metadata"].get("tags", [])]
    assert len(tagged) == 1 and code[0] is tagged[0]
    assert all(isinstance(n, ast.Assign) for n in ast.parse("".join(tagged[0]["source"])).body)
    assert not any(isinstance(n, ast.FunctionDef) for c in code for n in ast.walk(ast.parse("".join(c["source"]))))


@pytest.mark.slow
def test_a_failing_cell_is_one_line_and_leaves_the_executed_copy(tmp_path):
    done = process("run_notebook", "figures/fig4.ipynb", tmp_path / "log.ipynb", "-p", "table", "none.parquet", check=False)
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: figures/fig4.ipynb, cell ") and "none.parquet" in last and str(tmp_path / "log.ipynb") in last
    assert "Traceback" not in done.stderr and (tmp_path / "log.ipynb").exists()


@pytest.mark.slow
def test_equal_tables_give_equal_figures(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    from avflow.tracing import row_schemas

    row = {name: None for name in row_schemas.KNOCKOUT.names}
    row.update(
        model="m",
        dataset="mini-video",
        control="none",
        cut="mask",
        style="centred",
        width=3,
        applicable=True,
        correct_clean=True,
        setting="av_video",
        layout="paper_eq1",
        task="hear",
        group="hear",
    )
    rows = [
        {
            **row,
            "question_id": f"q{q}",
            "cluster": f"c{q}",
            "route": route,
            "centre": c,
            "logp_base": -0.1 * c * q,
            "p_base_clean": 0.9,
        }
        for q in range(4)
        for route in ("audio->question", "question->last")
        for c in range(5)
    ]
    pq.write_table(pa.Table.from_pylist(rows, row_schemas.KNOCKOUT), tmp_path / "t.parquet")
    pq.write_table(row_schemas.EVALUATE.empty_table(), tmp_path / "e.parquet")
    for name in ("a", "b"):
        outputs = [part for kind in ("pdf", "png") for part in ("-p", kind, tmp_path / f"{name}.{kind}")]
        process(
            "run_notebook",
            "figures/fig4.ipynb",
            tmp_path / f"{name}.ipynb",
            "-p",
            "table",
            tmp_path / "t.parquet",
            "-p",
            "models",
            '{"m": 3}',
            "-p",
            "reading",
            json.dumps({"evaluated": str(tmp_path / "e.parquet")}),
            *outputs,
        )
    for kind in ("pdf", "png"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()

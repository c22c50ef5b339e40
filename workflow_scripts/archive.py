"""Pack a study's tables for a repository such as Zenodo: one zip with a guide, checksums and a citation. `make archive` does it.

    python workflow_scripts/archive.py --results results/miniature --study miniature --out archives

Writes `avflow-<version>-<study>.zip`, and beside it `avflow-<version>-<study>.zenodo.json`, the metadata of an upload. The zip
holds the tables, the dropped questions with their reasons, the configuration, the columns' meaning, CITATION.cff and the licence.
Media, questions and weights stay out, because their licences may not allow it. The same tables give the same bytes, under the
same commit. Takes a few seconds.
"""

import argparse
import csv
import hashlib
import io
import json
import subprocess
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import yaml

from avflow import cli
from avflow.errors import InputError
from avflow.places import REPOSITORY, completed
from avflow.storage import whole

KINDS = (".parquet", ".csv", ".tex")
PAPER = "https://arxiv.org/abs/2606.10147"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the date of every file in the zip, so that equal tables give equal archives
GUIDE = """# {title}

{description}

| file | holds |
|---|---|
| `tables/` | the tables behind the figures (parquet), Tables 1 to 4 and the claims' verdicts (csv, tex) |
| `questions/` | dropped questions and why |
| `config/` | the configuration of the study |
| `COLUMNS.md` | what each table and column means |
| `files.csv` | every file with its size, SHA-256, and rows and columns of tables |
| `CITATION.cff`, `LICENSE` | how to cite; the licence of the code and of these tables |

Read a table with `pandas.read_parquet("tables/evaluate.parquet")`.

Models: {models}.

Datasets:
{datasets}

Questions are named, not quoted, except for the examples in `tab2` and `tab3`. The datasets' own licences apply to those.
"""


def citation() -> dict:
    """CITATION.cff, the one place of the version."""
    return yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))


def commit() -> str:
    """The commit of the code, with a plus sign if files have changed since; "unknown" outside git."""
    ask = lambda *words: subprocess.run(["git", "-C", REPOSITORY, *words], capture_output=True, text=True)
    try:
        done = ask("rev-parse", "HEAD")
        changed = ask("status", "--porcelain", "--untracked-files=no").stdout.strip()
    except FileNotFoundError:
        return "unknown"
    return done.stdout.strip() + "+" * bool(changed) if done.returncode == 0 else "unknown"


def described(config: dict, study: str) -> tuple[str, str]:
    """The study's models in one line, and a line for each of its datasets with source and licence."""
    chosen = config["studies"][study]
    source = lambda about: f"huggingface.co/{'datasets/' * ('setting' in about)}{about['repo']}" if "repo" in about else ""
    line = lambda name, about: ", ".join(filter(None, (name, source(about), about.get("licence", ""))))
    models = "; ".join(line(name, config["models"][name]) for name in chosen["models"])
    return models, "\n".join(f"* {line(name, config['datasets'][name])}" for name in chosen["datasets"])


def contents(results: Path, study: str, changes: list[Path]) -> dict[str, bytes]:
    """Path in the archive -> bytes, but for the guide and the list of files. Raises InputError if there are no tables."""
    found = {}
    for path in sorted((results / "tables").rglob("*")):
        if path.is_file() and path.suffix in KINDS:
            found[f"tables/{path.relative_to(results / 'tables')}"] = path.read_bytes()
    if not any(name.endswith(".parquet") for name in found):
        remedy = f"run snakemake --cores all --config study={study} first"
        raise InputError(f"{results}/tables holds no tables of a finished study; {remedy}")
    for path in sorted((results / "questions").glob("*.dropped.tsv")):
        found[f"questions/{path.name}"] = path.read_bytes()
    for n, path in enumerate((REPOSITORY / "config.yaml", *changes)):
        found[f"config/{n}_{path.name}" if n else "config/config.yaml"] = path.read_bytes()
    for name in ("CITATION.cff", "LICENSE"):
        found[name] = (REPOSITORY / name).read_bytes()
    reference = (REPOSITORY / "docs/reference.md").read_text(encoding="utf-8")
    title = "# Tables and their columns\n"
    found["COLUMNS.md"] = (title + reference.partition(f"\n#{title}")[2]).encode()
    return found


def listing(files: dict[str, bytes]) -> bytes:
    """files.csv: path, bytes, sha256, and rows and columns of tables."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["path", "bytes", "sha256", "rows", "columns"])
    for name, data in sorted(files.items()):
        shape = ["", ""]
        if name.endswith(".parquet"):
            table = pq.ParquetFile(io.BytesIO(data))
            shape = [table.metadata.num_rows, len(table.schema_arrow.names)]
        rows.writerow([name, len(data), hashlib.sha256(data).hexdigest(), *shape])
    return out.getvalue().encode()


def upload(title: str, description: str, cited: dict) -> dict:
    """The metadata of a Zenodo deposition, as its REST interface takes them."""
    name = lambda a: a.get("name") or f"{a['family-names']}, {a['given-names']}"
    return {
        "metadata": {
            "title": title,
            "upload_type": "dataset",
            "description": description,
            "creators": [{"name": name(author)} for author in cited["authors"]],
            "version": cited["version"],
            "license": cited["license"].lower(),
            "keywords": cited["keywords"],
            "related_identifiers": [{"identifier": PAPER, "relation": "references", "resource_type": "publication-preprint"}],
        }
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True, help="results folder of a finished study")
    parser.add_argument("--study", required=True, help="name of the study, as in config.yaml")
    parser.add_argument("--changes", type=Path, help="the file that --configfile named after config.yaml, if any")
    parser.add_argument("--out", type=Path, required=True, help="folder for the two files")
    arguments = parser.parse_args()
    changes = [arguments.changes] if arguments.changes else []
    config = completed(yaml.safe_load(arguments.changes.read_text(encoding="utf-8")) if changes else {})
    if arguments.study not in config["studies"]:
        raise InputError(f"--study {arguments.study}: not in config.yaml; known: {', '.join(config['studies'])}")

    cited = citation()
    files = contents(arguments.results, arguments.study, changes)
    models, datasets = described(config, arguments.study)
    title = f"avflow {cited['version']}: tables of the study {arguments.study}"
    description = (
        f"Results of attention knockout in audio-visual language models, after {PAPER}. Made by avflow {cited['version']},"
        f" commit {commit()}."
    )
    guide = GUIDE.format(title=title, description=description, models=models, datasets=datasets)
    files["README.md"] = guide.encode()
    files["files.csv"] = listing(files)

    name = f"avflow-{cited['version']}-{arguments.study}"
    arguments.out.mkdir(parents=True, exist_ok=True)
    with whole(arguments.out / f"{name}.zip") as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
        for path, data in sorted(files.items()):
            entry = zipfile.ZipInfo(f"{name}/{path}", EPOCH)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            out.writestr(entry, data)
    about = json.dumps(upload(title, description, cited), indent=2)
    (arguments.out / f"{name}.zenodo.json").write_text(f"{about}\n", encoding="utf-8")
    print(f"{arguments.out}/{name}.zip: {len(files)} files, {(arguments.out / f'{name}.zip').stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    cli.run(main)

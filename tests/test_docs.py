"""README and docs: their length, their links, and the modules, targets, keys and columns that they name.

Also tests avflow.tracing.row_schemas.
"""

import re

import pytest
import yaml
from conftest import ROOT

PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted((ROOT / "docs").glob("*.md"))
REFERENCE = (ROOT / "docs/reference.md").read_text()
NOW = [page for page in PAGES if page.name != "CHANGELOG.md"]  # the others say what is; this one also what was


def test_readme_is_one_page():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 120 and max(map(len, lines)) <= 120
    assert "`study=miniature` is the default" in lines[2]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", NOW, ids=lambda page: page.name)
def test_every_named_file_exists(page):
    """Modules as `avflow/<room>/<module>.py`, and other files by their path from the root; not those with a placeholder."""
    kinds = "py|json|yaml|yml|smk|csv|md|rst|sh|in|lock|jsonl"
    roots = "workflow_scripts|tests|benchmarks|resources|schemas|rules|report|docs|profiles|envs|avflow"
    named = set(re.findall(rf"`((?:{roots})/[\w./-]+\.(?:{kinds}))`", page.read_text()))
    missing = [path for path in named if not any((ROOT / top / path).exists() for top in ("", "workflow_scripts"))]
    assert sorted(missing) == []


def test_the_reference_has_every_target():
    rules = "".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
    targets = re.findall(
        r"^ *rule ((?:fig|tab)\d|app_\w+|claims|explorer|estimate|pin|downloads|download_av\w+):", rules, re.MULTILINE
    )
    assert len(targets) > 25 and [name for name in targets if f"`{name}`" not in REFERENCE] == []


def keys_of(schema) -> set[str]:
    """Every key that a schema describes."""
    if isinstance(schema, list):
        return set().union(*map(keys_of, schema)) if schema else set()
    if not isinstance(schema, dict):
        return set()
    described = {name for name, value in schema.get("properties", {}).items() if isinstance(value, dict) and len(value) > 1}
    return described.union(*map(keys_of, schema.values()))


def test_the_reference_has_every_key_of_the_configuration():
    keys = keys_of(yaml.safe_load((ROOT / "schemas/config.schema.yaml").read_text()))
    assert len(keys) > 80 and [key for key in sorted(keys) if not re.search(rf"[`/ ]{key}[`/,]", REFERENCE)] == []


def test_the_reference_has_every_column():
    from avflow.tracing import row_schemas

    tables = (
        row_schemas.EVALUATE,
        row_schemas.KNOCKOUT,
        row_schemas.CONFLICT,
        row_schemas.RESAMPLE,
        row_schemas.PRUNING,
        row_schemas.DISCARD_SWEEP,
        row_schemas.ATTENTION,
        row_schemas.SUFFICIENCY,
    )
    names = {name for table in tables for name in table.names}
    assert len(names) > 60 and [name for name in sorted(names) if not re.search(rf"[` ]{name}[`,]", REFERENCE)] == []

"""The report: every result has a caption, and a figure is shown as a picture that any browser opens in place."""

import re
from types import SimpleNamespace

import jinja2
import pytest
from conftest import ROOT

RULES = "\n".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))


def caption(rule, metric="probability"):
    text = (ROOT / "report/captions.rst").read_text()
    made = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(text)
    return made.render(snakemake=SimpleNamespace(rule=rule, config={"figures": {"metric": metric}})).strip()


def reported():
    """Rules whose results the report holds, with the text of each."""
    rules = re.split(r"(?m)^rule ", RULES)[1:]
    return {text.split(":")[0]: text for text in rules if "report(" in text}


@pytest.mark.parametrize("rule", reported())
def test_every_reported_result_says_what_it_shows(rule):
    text = reported()[rule]
    assert text.count("report(") == text.count('caption="../report/captions.rst"') == 1
    assert len(caption(rule)) > 60
    assert not re.search(r'report\(\s*"[^"]*\.pdf"', text), "browsers show pictures in place, pdfs as they like"


def test_captions_follow_the_metric():
    assert "the answer's probability when a route is cut" in caption("fig4")
    assert "minus the best other letter's when a route is cut" in caption("fig4", "logit_difference")

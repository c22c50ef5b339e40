"""The report: each result has a caption, and figures are pictures that any browser shows."""

import re
from types import SimpleNamespace

import jinja2
import pandas as pd
import pytest
from conftest import ROOT

import table_page
from avflow import figure_table

RULES = "\n".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))


def caption(rule, metric="probability", **wildcards):
    text = (ROOT / "report/captions.rst").read_text()
    made = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(text)
    about = SimpleNamespace(rule=rule, wildcards=SimpleNamespace(**wildcards), config={"figures": {"metric": metric}})
    return made.render(snakemake=about).strip()


def reported():
    """Rules whose results the report holds, with the text of each."""
    rules = re.split(r"(?m)^rule ", RULES)[1:]
    return {text.split(":")[0]: text for text in rules if "report(" in text}


@pytest.mark.parametrize("rule", reported())
def test_every_reported_result_says_what_it_shows(rule):
    text = reported()[rule]
    assert text.count("report(") == text.count('caption="../report/captions.rst"') == 1
    shown = {"figure": figure_table.named(), "figure_with_csv": figure_table.named("csv")}
    shown["table_page"] = ["tab1", "tab2", "tab3", "tab4_items", "claims"]
    for name in shown.get(rule, [""]):
        assert len(caption(rule, table=name, figure=name)) > 60
    assert not re.search(r'report\(\s*"[^"]*\.pdf"', text), "browsers show pictures in place, pdfs as they like"


def test_captions_follow_the_metric():
    assert "the answer's probability when a route is cut" in caption("figure", figure="fig4")
    assert "minus the best other letter's when a route is cut" in caption("figure", "logit_difference", figure="fig4")


def test_a_page_shows_its_table_rounded_and_escaped_with_verdicts_counted():
    table = pd.DataFrame(
        {
            "claim": ["sound<->sight", "sight", "order"],
            "model": ["m", "m", "m"],
            "value": [-12.345678, float("nan"), 4.0],
            "flops_llm": [2106771456.0, 1.0, 0.0],
            "verdict": ["agree", "not testable", "differ"],
        }
    )
    page = table_page.page(table, "Claims & facts")
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", page)]
    assert rows == [
        ["claim", "model", "value", "flops llm", "verdict"],
        ["sound&lt;-&gt;sight", "m", "-12.35", "2.107e+09", "agree"],
        ["sight", "m", "", "1", "not testable"],
        ["order", "m", "4", "0", "differ"],
    ]
    assert "<h1>Claims &amp; facts</h1>" in page and "<p>m: 1 agree, 1 not testable, 1 differ</p>" in page
    assert 'class="differ">differ' in page and "http" not in page


def test_a_table_without_verdicts_counts_none():
    page = table_page.page(pd.DataFrame({"task": ["agree"], "n": [3]}), "Table 2")
    assert '<td class="word">agree</td>' in page and '<td class="number">3</td>' in page and "<p>" not in page

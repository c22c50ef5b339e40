"""Turn a csv table into a page for the browser. The report shows tables and claims this way.

    python workflow_scripts/table_page.py results/miniature/tables/claims.csv --title Claims \\
        --out results/miniature/tables/claims.html

The page rounds numbers to four digits. The csv has full precision.
"""

import argparse
import html
from pathlib import Path

import pandas as pd

from avflow import cli
from avflow.storage import whole

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 14px/1.4 system-ui, sans-serif; color: #222; margin: 1.5em; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th {{ position: sticky; top: 0; background: #fff; border-bottom: 2px solid #222; vertical-align: bottom; }}
th, td {{ padding: 0.3em 0.7em; text-align: left; max-width: 32em; }}
td {{ border-bottom: 1px solid #ddd; vertical-align: top; }}
td.number {{ text-align: right; }} td.number, td.word {{ white-space: nowrap; }} td.sentence {{ min-width: 22em; }}
td.agree {{ color: #1a7f37; }} td.differ {{ color: #b3261e; font-weight: bold; }} td.untested {{ color: #777; }}
</style></head><body>
<h1>{title}</h1>
{said}<table><thead><tr>{head}</tr></thead><tbody>
{body}
</tbody></table></body></html>
"""
VERDICTS = {"agree": "agree", "differ": "differ", "not testable": "untested"}


def cell(value, verdict: bool = False) -> str:
    """One cell as HTML. A missing value gives an empty cell, numbers are aligned right, a verdict has its colour."""
    if pd.isna(value):
        return "<td></td>"
    if isinstance(value, str):
        kind = VERDICTS[value] if verdict else "word" if len(value) < 24 else "sentence"
        return f'<td class="{kind}">{html.escape(value)}</td>'
    text = str(value) if float(value).is_integer() and abs(value) < 1e6 else f"{value:.4g}"
    return f'<td class="number">{text.removesuffix(".0")}</td>'


def page(table: pd.DataFrame, title: str) -> str:
    """A table as one self-contained HTML page. A table of verdicts starts with the count of each verdict, by model."""
    said, judged = "", "verdict" in table
    if judged:
        for model, here in table.groupby("model", sort=False):
            counts = ", ".join(f"{n} {verdict}" for verdict, n in here["verdict"].value_counts().items())
            said += f"<p>{html.escape(model)}: {counts}</p>\n"
    cells = lambda row: "".join(cell(value, judged and name == "verdict") for name, value in zip(table, row))
    body = "\n".join(f"<tr>{cells(row)}</tr>" for row in table.itertuples(index=False))
    head = "".join(f"<th>{html.escape(name.replace('_', ' '))}</th>" for name in table)
    return PAGE.format(title=html.escape(title), said=said, head=head, body=body)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="csv with a header")
    parser.add_argument("--title", required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    table = pd.read_csv(arguments.table)
    flags = table.select_dtypes(bool).columns
    text = page(table.assign(**{name: table[name].map({True: "yes", False: "no"}) for name in flags}), arguments.title)
    with whole(arguments.out) as part:
        part.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    cli.run(main)

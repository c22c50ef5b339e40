"""Make the results explorer from the tables: one HTML page that holds its data and needs no server and no network.

    python workflow_scripts/explorer.py results/miniature/tables/knockout_*.parquet --study miniature \\
        --evaluated results/miniature/tables/evaluate.parquet --questions results/miniature/questions/*.jsonl \\
        --template report/explorer.html --library resources/plotly/plotly-basic.min.js.gz \\
        --out results/miniature/explorer.html --report results/miniature/explorer_in_report.html

`--maps` adds the maps of app_where: a question's clip, with what is lost without a time or a place in a window of layers. The
clips' pictures come from `--frames`.

`--report` writes a second page that is small enough for Snakemake's report. If everything fits into both, they are equal. Takes
15 s for the miniature's 14 tables. avflow/results/explorer_data.py has the numbers, avflow/figures/explorer_page.py the page.
"""

import argparse
import json
import re
from pathlib import Path

import pyarrow.parquet as pq

from avflow import cli
from avflow.errors import InputError
from avflow.figures import explorer_clips, explorer_page
from avflow.questions import read_questions
from avflow.results import explorer_data, explorer_maps
from avflow.storage import FeatureStore, whole


def analysis_of(path: Path) -> str:
    """knockout_figure_4.parquet -> figure_4. Raises InputError for other names."""
    found = re.fullmatch(r"knockout_(\w+)", path.stem)
    if not found:
        raise InputError(f"{path}: not a table of knockouts; give files named knockout_<analysis>.parquet")
    return found[1]


def accuracies(path) -> dict:
    """model -> dataset -> task -> [questions answered correctly, questions asked], without any cut."""
    rows, found = pq.read_table(path, columns=["model", "dataset", "task", "correct"]).to_pandas().dropna(subset="correct"), {}
    for (model, dataset, task), here in rows.groupby(["model", "dataset", "task"])["correct"]:
        found.setdefault(model, {}).setdefault(dataset, {})[task] = [int(here.sum()), len(here)]
    return found


def clips_of(maps, asked: dict, stores) -> dict:
    """question id -> its known events, and pictures of its clip where a store has them. The first map's times are shown."""
    found = {}
    for one in maps:
        question = asked[one.question_id]
        if one.question_id not in found:
            media_id = question.media[0].media_id
            clip = found[one.question_id] = {"events": list(question.events)}
            for store in stores:
                if one.times and store.has(media_id, "frames"):
                    frames = store.get(media_id, "frames")
                    clip["frames"] = explorer_clips.strip(frames, one.times, one.facts["seconds"])
                if store.has(media_id, "audio"):
                    clip["sound"] = explorer_clips.spectrogram(store.get(media_id, "audio"))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", type=Path, help="knockout_<analysis>.parquet")
    parser.add_argument("--study", required=True, help="name of the study, for the page's title")
    parser.add_argument("--evaluated", type=Path, required=True, help="the table of answers")
    parser.add_argument("--questions", nargs="+", type=Path, required=True, help="JSON Lines of every dataset in the tables")
    parser.add_argument("--template", type=Path, required=True)
    parser.add_argument("--library", type=Path, required=True, help="plotly.js, compressed with gzip")
    parser.add_argument("--drawn", type=json.loads, default={}, help="analysis -> routes drawn by its figure, JSON; default: all")
    parser.add_argument("--models", nargs="*", default=[], help="models in this order; others follow")
    parser.add_argument("--maps", nargs="*", type=Path, default=[], help="the table of the rule where")
    parser.add_argument("--frames", nargs="*", type=Path, default=[], help="decoded shards of clips with maps")
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--least", type=int, default=10, help="the fewest questions of a curve with a band")
    parser.add_argument("--budget", type=int, default=explorer_page.FULL, help="most bytes of the page")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--report", type=Path, help="also write the page for Snakemake's report here")
    arguments = parser.parse_args()
    asked = [question for path in arguments.questions for question in read_questions(path)]
    gold = {q.question_id: q.answer for q in asked}
    texts = {q.question_id: [q.question, [[o.label, o.text] for o in q.options], q.answer] for q in asked}
    blocks = [b for path in arguments.tables for b in explorer_data.read_blocks(path, analysis_of(path), gold)]
    prepared = []
    progress = cli.Progress("computing curves", len(blocks))
    for block in blocks:
        prepared.append(explorer_page.prepare(block, arguments.draws, arguments.seed, arguments.drawn.get(block.analysis, ())))
        progress.step()
    models = list(dict.fromkeys([*arguments.models, *sorted(block.model for block in blocks)]))
    about = {"study": arguments.study, "models": models, "accuracy": accuracies(arguments.evaluated)}
    about |= {"draws": arguments.draws, "seed": arguments.seed, "least": arguments.least}
    template, library = arguments.template.read_text(encoding="utf-8"), arguments.library.read_bytes()
    by_id = {q.question_id: q for q in asked}
    maps = [one for path in arguments.maps for one in explorer_maps.maps_of(path, models, list(by_id))]
    clips = clips_of(maps, by_id, [FeatureStore(path, "np") for path in arguments.frames])
    pages = [(arguments.out, arguments.budget, "")]
    if arguments.report:
        pages.append((arguments.report, explorer_page.REPORT, f"{arguments.out.name}, next to the folder of tables, holds more."))
    for out, budget, elsewhere in pages:
        text = explorer_page.page(template, library, prepared, texts, about, budget, elsewhere, maps, clips)
        with whole(out) as part:
            part.write_text(text, encoding="utf-8")
        print(f"{out}: {len(text.encode()) / 1e6:.2f} MB")


if __name__ == "__main__":
    cli.run(main)

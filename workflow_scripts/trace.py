"""Ask a model one question about a clip, and show which routes carry the answer, layer by layer.

    python workflow_scripts/trace.py CLIP "Who speaks first?" --option "the woman" --option "the man" --model tiny-omni
    python workflow_scripts/trace.py CLIP "What happens?" --model downloads/models/qwen2.5-omni-7b
    python workflow_scripts/trace.py a.wav b.wav "Which sound fits?" --reference dog.png --option first --option second

The answer comes first. Then every route is cut in a window around each layer. trace.png shows by how much the answer's
probability changes, and trace.parquet holds one row per cut. A tiny model takes a few seconds. If no option is given, the model
answers in free words, and its own reply is traced. Several media are candidates, which the options name in order.
"""

import argparse
import resource
import time
from pathlib import Path

import torch

from avflow import ask, cli, draw, load, question_about, trace
from avflow.errors import InputError
from avflow.figures.saving import save
from avflow.figures.trace_map import in_terminal
from avflow.storage import whole
from avflow.tracing.one_question import encode


def arguments_of():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("media", nargs="+", metavar="CLIP", help="a video, picture or sound; several are candidates")
    parser.add_argument("question", metavar="QUESTION")
    parser.add_argument("--model", required=True, help="a checkpoint folder, or a name of config.yaml")
    parser.add_argument("--option", action="append", default=[], metavar="TEXT", help="an answer to choose from; repeat it")
    parser.add_argument("--answer", help="the right option, or a text to score (default: what the model answers)")
    parser.add_argument("--reference", metavar="FILE", help="what the candidates are compared with")
    parser.add_argument("--instruction", help="text of the prompt instead of the benchmarks' own; may be empty")
    parser.add_argument(
        "--route", action="append", metavar="ROUTE", help="such as audio->question; repeat it (default: the figures')"
    )
    parser.add_argument("--window", type=int, metavar="N", help="layers of a window (default: as config.yaml says)")
    parser.add_argument("--controls", type=int, default=1, metavar="N", help="random draws of as many keys (default: 1)")
    parser.add_argument("--sampling", help="how media are sampled, a name of config.yaml (default: the model's)")
    parser.add_argument("--device", default="auto", help="auto (the default), cpu or cuda")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16", "float64"], help="default: the model's")
    parser.add_argument("--png", type=Path, default=Path("trace.png"), help="the picture (default: trace.png); .pdf works, too")
    parser.add_argument(
        "--rows", type=Path, default=Path("trace.parquet"), help="the rows, .parquet or .csv (default: trace.parquet)"
    )
    return parser.parse_args()


def check(arguments) -> None:
    """Raise InputError for what no model is needed to see."""
    for path, kinds in ((arguments.png, (".png", ".pdf")), (arguments.rows, (".parquet", ".csv"))):
        if path.suffix not in kinds:
            raise InputError(f"{path}: its name must end in {' or '.join(kinds)}")
        if not path.parent.is_dir():
            raise InputError(f"{path}: there is no folder {path.parent}; make it first")
    if arguments.controls < 0:
        raise InputError(f"--controls {arguments.controls} is negative; give the number of random draws, or 0")


def said(question, answer) -> str:
    """The answer and its probabilities, one line each."""
    if question.free:
        return "\n".join([f"answer: {answer.answer}", *(f"{p:8.3f}  {token!r}" for token, p in answer.probabilities)])
    lines = [f"{answer.probabilities[o.label]:8.3f}  {o.label}  {o.text}" for o in question.options]
    other = max(0.0, 1 - sum(answer.probabilities.values()))
    text = next(o.text for o in question.options if o.label == answer.answer)
    return "\n".join([f"answer: {answer.answer}  {text}", *lines, f"{other:8.3f}  anything else"])


def main():
    arguments = arguments_of()
    check(arguments)
    about = dict(options=arguments.option, answer=arguments.answer, reference=arguments.reference)
    question = question_about(arguments.media, arguments.question, **about, instruction=arguments.instruction)
    clock, spent = time.perf_counter(), {}

    def step(name):
        nonlocal clock
        now = time.perf_counter()
        spent[name], clock = now - clock, now

    chosen = {"sampling": arguments.sampling, "window": arguments.window}
    model = load(arguments.model, arguments.device, arguments.dtype, **{k: v for k, v in chosen.items() if v is not None})
    step("loading")
    features = encode(model, question)
    step("decoding and encoding")
    print(said(question, ask(model, question, features)), flush=True)
    step("answering")
    rows = trace(model, question, arguments.route, controls=arguments.controls, features=features)
    step(f"{len(rows) - 1} cuts")
    if not question.free and rows.attrs["answer"] not in [o.label for o in question.options]:
        print(f"{rows.attrs['answer']!r} is the most probable token, and no option's letter: the cuts below are measured on it")
    print(in_terminal(rows))
    save(draw(rows), arguments.png)
    with whole(arguments.rows) as part:
        rows.to_csv(part, index=False) if arguments.rows.suffix == ".csv" else rows.to_parquet(part, index=False)
    print(f"{arguments.png}, {arguments.rows}: {', '.join(f'{name} {s:.1f} s' for name, s in spent.items())}; {memory(model)}")


def memory(model) -> str:
    """The most memory that this process took, in words."""
    if model.device.type == "cuda":
        return f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB of GPU memory"
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB of memory"


if __name__ == "__main__":
    cli.run(main)

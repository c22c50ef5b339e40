"""Compare the choice of frames and their sizes with qwen-omni-utils.

    pip install --no-deps --target <folder> qwen-omni-utils==0.0.9
    PYTHONPATH=<folder> python workflow_scripts/check_frames.py
    PYTHONPATH=<folder> python workflow_scripts/check_frames.py --record tests/data/qwen_omni_utils.json

The package's own `_read_video_torchvision` and `fetch_video` run, on videos that consist of nothing but a number of pictures, a
rate and a size. Stand-ins take the place of torchvision, which only reads and resizes there.

Prints the number of cases. Exits with 1 if a frame, a rate or a size differs. Takes a few seconds. `--record` keeps what the
package gives; tests compare with it where the package is not installed.
"""

import argparse
import json
import sys
import types
from fractions import Fraction
from pathlib import Path
from unittest import mock

import torch

from avflow import cli
from avflow.errors import InputError
from avflow.media import Clip, Sampling, frame_plan
from avflow.storage import whole

RATES = ("24000/1001", "24", "25", "30000/1001", "30", "50", "60000/1001", "60")
SECONDS = (0.1, 0.5, 1.9, 5.9, 10.0, 10.01, 11.99, 61.3, 383.9, 400.0)
PICTURES = (1, 2, 3, 5, 301)
SIZES = ((720, 1280), (720, 960), (360, 640), (1080, 1920), (100, 1000))
LENGTHS = (4, 20, 64, 66, 128, 300, 364, 366, 600, 768)
OMNI = dict(fps=2, frames="official", min_frames=4, max_frames=768, multiple=28)  # the package's defaults
OMNI |= dict(min_pixels=100352, max_pixels=602112, total_pixels=19267584)  # total_pixels: that of config.yaml


def package():
    """The module of qwen-omni-utils that reads videos. Raises InputError if it is not installed."""
    stand_ins = {name: types.ModuleType(name) for name in ("torchvision", "torchvision.io", "torchvision.transforms")}
    top, io, transforms = stand_ins.values()
    top.__version__, top.io, top.transforms = "1.0", io, transforms
    transforms.InterpolationMode, transforms.functional = types.SimpleNamespace(BICUBIC="bicubic"), types.SimpleNamespace()
    stand_ins["torchvision.transforms"].InterpolationMode = transforms.InterpolationMode
    try:
        with mock.patch.dict(sys.modules, stand_ins):
            from qwen_omni_utils.v2_5 import vision_process
    except ImportError as error:
        raise InputError(f"{error}; pip install --no-deps --target <folder> qwen-omni-utils==0.0.9 and set PYTHONPATH") from None
    return vision_process


def lengths(rate: float) -> list[int]:
    """Numbers of pictures of the cases at one rate."""
    return sorted({*PICTURES, *(int(seconds * rate + 1e-9) for seconds in SECONDS)})


def official_frames(module, pictures: int, rate: float) -> dict | None:
    """The frames that the package takes and the rate that it returns. None if it refuses the video."""
    facts = {"video_fps": rate}
    module.io.read_video = lambda *_, **__: (torch.arange(pictures), None, facts)
    try:
        frames, _, fps = module._read_video_torchvision({"video": "clip", "fps": 2.0})
    except ValueError:
        return None
    return {"indices": frames.tolist(), "fps": fps}


def official_size(module, count: int, height: int, width: int) -> list[int]:
    """Height and width to which the package resizes a video of `count` frames."""
    sizes = []
    module.VIDEO_READER_BACKENDS["torchvision"] = lambda _: (torch.zeros(1).expand(count, 3, height, width), {}, 2.0)
    module.get_video_reader_backend = lambda: "torchvision"
    module.transforms.functional.resize = lambda frames, size, **_: sizes.append(size) or torch.zeros(1)
    module.fetch_video({"video": "clip", "total_pixels": OMNI["total_pixels"]})
    return list(sizes[0])


def official() -> dict:
    """What the package gives: frames by rate and number of pictures, and pairs of [count, height, width] and a size."""
    module = package()
    frames = {
        rate: {n: official_frames(module, n, float(Fraction(rate))) for n in lengths(float(Fraction(rate)))} for rate in RATES
    }
    sizes = [[[n, *size], official_size(module, n, *size)] for n in LENGTHS for size in SIZES]
    return {"package": "qwen-omni-utils 0.0.9", "frames": frames, "sizes": sizes}


def differences(record: dict) -> tuple[int, list[str]]:
    """The number of cases of a record, and those in which ours differs."""
    how, found, count = Sampling.of(OMNI), [], 0
    for rate, cases in record["frames"].items():
        for pictures, wanted in cases.items():
            n, fps = int(pictures), float(Fraction(rate))
            planned = frame_plan.plan(Clip(n, n / fps, fps, 720, 1280), how)
            shown = types.SimpleNamespace(times=range(n))
            ours = {"indices": frame_plan.indices(shown, how, planned).tolist(), "fps": planned.fps}
            count += 1
            if ours != (wanted or {"indices": [0, 0], "fps": 2 * fps}):
                found.append(f"{pictures} pictures at {rate}")
    for (n, height, width), size in record["sizes"]:
        planned = frame_plan.plan(Clip(15 * n, n / 2, 30.0, height, width), how)
        count += 1
        if (planned.count, [planned.height, planned.width]) != (n, size):
            found.append(f"{n} frames of {height} x {width}")
    return count, found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, help="keep what the package gives, JSON")
    arguments = parser.parse_args()
    record = official()
    count, found = differences(record)
    for name in found:
        print(f"differs: {name}")
    print(f"{count} cases, {len(found)} differ")
    if arguments.record:
        with whole(arguments.record) as part:
            part.write_text(json.dumps(record) + "\n", encoding="utf-8")
    sys.exit(bool(found))


if __name__ == "__main__":
    cli.run(main)

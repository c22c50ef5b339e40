"""Whether this machine can run a study: each check is one line that says what was found and, if that will not do, what helps.

Nothing is computed or downloaded. The hub is asked what each repository holds, and for a file of those with terms to accept.
"""

import math
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import httpx

from ..errors import InputError
from ..hub import Backoff, read_pin
from ..hub.repository import Source, Transient, describe, refusal, unreachable
from .costs import Shape, kv_bytes

GB = 1e9
CODECS = ("h264", "hevc", "vp9", "av1", "aac", "mp3", "opus", "vorbis", "flac", "pcm_s16le")  # of the benchmarks and usual clips
TEXT_AND_SOUND = 1000  # tokens beside the frames of a clip, in samplings without a budget
INDEX = "https://download.pytorch.org/whl"
BUILDS = {12: "cu126", 13: "cu130"}  # CUDA that a driver knows -> the build of torch for it
UNLIMITED = ("infinite", "UNLIMITED", "n/a")


@dataclass(frozen=True)
class Finding:
    """The outcome of a check. fits: True, False, or None if it could not be checked here. said: what was found, with a remedy."""

    what: str
    fits: bool | None
    said: str

    def __str__(self):
        word = {True: "ok", False: "stop", None: "?"}[self.fits]
        return f"{word:4}  {self.what}: {self.said}"


# GPU memory.


def longest_prompt(sampling: dict) -> int:
    """The most tokens that a prompt has in a sampling of config.yaml."""
    if "max_tokens" in sampling:
        return sampling["max_tokens"]
    return math.ceil(sampling["max_frames"] / 2) * math.ceil(sampling["max_pixels"] / sampling["multiple"] ** 2) + TEXT_AND_SOUND


def needed_bytes(shape: Shape, item_bytes: int, tokens: int) -> float:
    """GPU memory in bytes for a model's weights and one prompt: its keys and values, and the rows of one layer at work.

    Sweeps take what is left, in smaller passes if that is little, so this is what a model needs at least. A test holds the
    prompt's part to the peaks in benchmarks/full_size.json.
    """
    copies = 2.5 * shape.chosen  # of a row's states, for its experts
    rows = tokens * (2 * shape.intermediate + (10 + copies) * shape.hidden) * item_bytes
    return shape.parameters * item_bytes + kv_bytes(shape, [tokens] * shape.layers, item_bytes) + rows


def check_gpus(models: dict, samplings: dict, shapes: dict[str, Shape], gpus: list[tuple[str, int]]) -> list[Finding]:
    """One finding per model that runs on GPUs. gpus: (name, bytes) of each GPU here; shapes: by model."""
    found, sizes = [], {"float32": 4, "float64": 8}
    for name, model in models.items():
        what = f"GPU memory for {name}"
        if not model.get("gpus", 1):
            found.append(Finding(what, True, "it runs on the CPU"))
        elif name not in shapes:
            found.append(Finding(what, None, "its size is not known; add a row to resources/published/models.csv"))
        else:
            tokens = longest_prompt(samplings[model["sampling"]])
            needed = needed_bytes(shapes[name], sizes.get(model["dtype"], 2), tokens)
            told = f"{needed / GB:.0f} GB with a prompt of {tokens:,} tokens in {model['dtype']}"
            found.append(_fit(what, told, needed, gpus))
    return found


def _fit(what: str, told: str, needed: float, gpus: list) -> Finding:
    if not gpus:
        return Finding(what, None, f"{told}; no GPU is here, so look at those of your nodes (nvidia-smi)")
    name, most = min(gpus, key=lambda gpu: gpu[1])
    there = f"{told}; the {'smallest GPU' if len(gpus) > 1 else 'GPU'}, {name}, has {most / GB:.0f} GB"
    if needed < most:
        return Finding(what, True, there)
    return Finding(what, False, f"{there}: use a larger GPU, a smaller model, or fewer frames or pixels (sampling)")


def check_driver(built_for: str | None, driver_for: str | None, usable: bool, wanted: bool) -> Finding:
    """Whether torch can use the GPU's driver. built_for: torch's CUDA, or None; driver_for: the driver's newest CUDA, or None.

    usable: torch finds a GPU. wanted: a model of the study runs on a GPU.
    """
    what = "driver"
    if not wanted:
        return Finding(what, True, "no model of this study needs a GPU")
    if usable:
        return Finding(what, True, f"torch for CUDA {built_for} uses it")
    if driver_for is None:
        return Finding(what, None, "no NVIDIA driver is here (nvidia-smi); on a cluster, run this on a node with a GPU")
    build = BUILDS.get(_major(driver_for))
    remedy = f"run: rm -r .venv && make TORCH_INDEX={INDEX}/{build}" if build else ""
    if built_for is None:
        said = f"it knows CUDA {driver_for}, but torch is built for the CPU; {remedy or 'update the driver'}"
        return Finding(what, False, said)
    told = f"it knows CUDA {driver_for}, and torch is built for {built_for}"
    if _major(built_for) > _major(driver_for):
        return Finding(what, False, f"{told}; update the driver{', or ' + remedy if remedy else ''}")
    return Finding(what, False, f"{told}, but torch finds no GPU; is CUDA_VISIBLE_DEVICES empty? nvidia-smi says more")


def _major(version: str) -> int:
    return int(version.partition(".")[0])


# Disk, pins and the hub.


def check_disk(needs: dict[str, float], more: bool) -> list[Finding]:
    """One finding per file system. needs: folder -> bytes still to come there. more: sizes are lower bounds."""
    disks: dict[int, list] = {}
    for folder, size in needs.items():
        there = next(p for p in (Path(folder).absolute(), *Path(folder).absolute().parents) if p.is_dir())
        disks.setdefault(there.stat().st_dev, []).append((folder, there, size))
    found = []
    for parts in disks.values():
        needed, free = sum(size for *_, size in parts), shutil.disk_usage(parts[0][1]).free
        told = f"{'more than ' if more else ''}{needed / GB:.0f} GB are to come, {free / GB:.0f} GB are free"
        remedy = "; free some, or move them: pathvars in a configuration file, or symbolic links" if needed > free else ""
        found.append(Finding(f"disk of {' and '.join(folder for folder, *_ in parts)}", needed <= free, told + remedy))
    return found


def check_pins(wanted: dict[str, str], folder: Path, study: str) -> list[Finding]:
    """Whether everything that comes from the hub is pinned. wanted: name -> repository; folder: that of the pins."""
    if not wanted:
        return [Finding("pins", True, "nothing of this study comes from the hub")]
    lacking = {}
    for name, repo in wanted.items():
        try:
            pinned = read_pin(folder / f"{name}.json").repo
            if pinned != repo:
                lacking[name] = f"{name} pins {pinned}, but config.yaml names {repo}"
        except InputError as error:
            lacking[name] = str(error).partition(";")[0]
    if not lacking:
        return [Finding("pins", True, f"all {len(wanted)} are there")]
    first = next(iter(lacking.values()))
    said = (
        f"{len(lacking)} of {len(wanted)} are missing: {', '.join(lacking)} ({first}); run: snakemake pin --config study={study}"
    )
    return [Finding("pins", False, said)]


def check_access(targets: list[dict], backoff: Backoff) -> list[Finding]:
    """Whether the hub gives each repository to this user: one finding each, or one if the hub cannot be reached.

    targets: repo, repo_type, and revision if any.
    """
    found = []
    for target in targets:
        what = f"access to {target['repo']}"
        try:
            source = Source(target["repo"], target["repo_type"], target.get("revision") or "main")
            listing = describe(source, backoff)
            if listing.gated:
                _ask(source, min(listing.files, key=lambda file: file.size).path)
        except Transient as error:
            found.append(Finding(what, None, f"{error}; try again later"))
        except InputError as error:
            if "cannot be reached" in str(error):
                return [*found, Finding("access to the hub", None, str(error))]
            found.append(Finding(what, False, str(error)))
        else:
            terms = "its terms are accepted" if listing.gated else "it is open to all"
            found.append(Finding(what, True, f"{terms}; licence: {listing.licence or 'not stated'}"))
    return found


def _ask(source: Source, path: str) -> None:
    """Ask for a file and read none of it. Raises InputError if the hub refuses it, and Transient if it does not answer."""
    headers = {"Authorization": f"Bearer {source.token}"} if source.token else {}
    try:
        with httpx.stream("GET", source.url(path), headers=headers, timeout=30) as response:
            if response.status_code >= 400:
                raise refusal(source, response, path)
    except httpx.HTTPError as error:
        raise Transient(unreachable(source, error)) from None


# Readers, and the partitions of a cluster.


def check_readers(reader: str) -> list[Finding]:
    """Whether the library that reads media is there and knows the usual codecs. reader: as in config.yaml."""
    try:
        import av
    except ImportError as error:
        return [Finding("reader", False, f"PyAV cannot be loaded ({error}); run: sh setup.sh")]
    lacking = [codec for codec in CODECS if codec not in av.codecs_available]
    found = [Finding("reader", not lacking, f"PyAV {av.__version__} reads {', '.join(CODECS)}")]
    if lacking:
        said = f"PyAV {av.__version__} cannot read {', '.join(lacking)}; install its wheel: sh setup.sh"
        found = [Finding("reader", False, said)]
    if reader == "decord":
        try:
            import decord
        except ImportError:
            found.append(Finding("reader decord", False, "it is not installed; install it, or set reader: auto in config.yaml"))
        else:
            found.append(Finding("reader decord", True, f"decord {decord.__version__} is there"))
    return found


def minutes(text: str) -> float:
    """A time limit of `sinfo`, or of a partition file, in minutes: "1-00:00:00", "30:00", "12h", "3d", 90, "infinite"."""
    text = str(text).strip()
    if text in UNLIMITED:
        return math.inf
    if text[-1] in "smhdw":
        return float(text[:-1]) * {"s": 1 / 60, "m": 1, "h": 60, "d": 1440, "w": 10080}[text[-1]]
    days, _, clock = text.rpartition("-")
    parts = [float(part) for part in clock.split(":")]
    if len(parts) == 1 and not days:
        return parts[0]
    hours, mins, seconds = (parts + [0.0, 0.0, 0.0])[:3] if days else ([0.0] * (3 - len(parts)) + parts)
    return 1440 * float(days or 0) + 60 * hours + mins + seconds / 60


def partitions_here() -> dict[str, dict] | None:
    """Partition -> minutes, MB per node and whether it has GPUs, as sinfo says; None without Slurm."""
    try:
        command = ["sinfo", "--noheader", "--format=%R|%l|%m|%G"]
        text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found: dict[str, dict] = {}
    for line in text.splitlines():
        name, limit, memory, features = line.split("|")
        one = {"minutes": minutes(limit), "mb": int(memory.rstrip("+")), "gpu": "gpu" in features}
        known = found.setdefault(name, one)
        found[name] = {"minutes": one["minutes"], "mb": max(known["mb"], one["mb"]), "gpu": known["gpu"] or one["gpu"]}
    return found


def check_partitions(
    configured: dict[str, dict], here: dict[str, dict] | None, jobs: dict[str, dict], path: str
) -> list[Finding]:
    """Whether each kind of job fits a partition. configured: name -> limits of the file `path`; here: from `partitions_here`.

    jobs: what a kind of job is called -> its largest `mem_mb`, `runtime` in minutes and `gpu`, in the first try.
    """
    if here is None:
        return [Finding("Slurm", False, "sinfo does not answer; log in to a node of the cluster that submits jobs")]
    found = []
    if unknown := [name for name in configured if name not in here]:
        said = f"{path} names {', '.join(unknown)}, but sinfo has {', '.join(here)}; edit {path}"
        found.append(Finding("partitions", False, said))
    for kind, asked in jobs.items():
        told = f"{asked['mem_mb'] / 1000:.0f} GB of memory, {asked['runtime']} min{', a GPU' if asked['gpu'] else ''}"
        reasons = {name: _misfit(configured[name], here[name], asked) for name in configured if name in here}
        fit = [name for name, reason in reasons.items() if not reason]
        if fit:
            found.append(Finding(kind, True, f"{told}: partition {' or '.join(fit)}"))
        else:
            why = "; ".join(f"{name} {reason}" for name, reason in reasons.items()) or "none is there"
            found.append(Finding(kind, False, f"{told}: no partition fits ({why}); edit {path}, or ask your site"))
    return found


def _misfit(limits: dict, here: dict, asked: dict) -> str:
    """Why a job does not fit a partition; empty if it does."""
    if asked["gpu"] and not limits.get("max_gpu"):
        return "has no max_gpu"
    if asked["gpu"] and not here["gpu"]:
        return "has no GPU on its nodes"
    longest = min(minutes(limits.get("max_runtime", "infinite")), here["minutes"])
    if asked["runtime"] > longest:
        return f"ends jobs after {longest:.0f} min"
    most = min(float(limits.get("max_mem_mb", math.inf)), here["mb"])
    return f"has {most / 1000:.0f} GB" if asked["mem_mb"] > most else ""


def read_partitions(path: Path) -> dict[str, dict]:
    """The partitions of a file for the Slurm executor. Raises InputError if it has none."""
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))["partitions"]
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        raise InputError(f"{path} holds no partitions; write them as in profiles/slurm/partitions.yaml") from None
    return {str(name): limits or {} for name, limits in found.items()}

"""Where files lie: the user's, the repository's, and caches when the home folder cannot be written.

The working directory need not be the repository (`snakemake --directory`, or a module of another workflow). A relative path of a
configuration starts at the working directory. If nothing is there, and the repository has a file of this path, that one is meant.
Nothing heavy is imported, since the workflow imports this.
"""

import os
import re
from pathlib import Path

from .errors import InputError

REPOSITORY = Path(__file__).resolve().parents[2]
UNUSABLE = (  # (pattern, what it is): what Snakemake cannot have in a path
    (re.compile(r"[{}]"), "a brace, which Snakemake takes for a wildcard"),
    (re.compile(r"<[a-z][a-z0-9_]*>"), "a name in <>, which Snakemake takes for a path variable"),
    (re.compile(r"[\n\r\0]"), "a line break"),
)
CACHES = {  # variable -> folder of caches: what programs write to the home folder otherwise
    "MPLCONFIGDIR": "matplotlib",
    "NUMBA_CACHE_DIR": "numba",
    "IPYTHONDIR": "ipython",
    "JUPYTER_CONFIG_DIR": "jupyter/config",
    "JUPYTER_DATA_DIR": "jupyter/data",
    "JUPYTER_RUNTIME_DIR": "jupyter/runtime",
    "XDG_CACHE_HOME": "cache",
}


def is_repository(folder) -> bool:
    """Whether a working directory is the repository itself. Its files then keep relative paths."""
    return Path(folder).resolve() == REPOSITORY


def own(path: str, folder) -> str:
    """A file of the repository: as it is if the working directory `folder` is the repository, else an absolute path."""
    return path if is_repository(folder) else f"{REPOSITORY}/{path}"


def found(path: str, folder) -> str:
    """A path of the configuration: the user's in the working directory `folder`, else the repository's, else as it is.

    A path that begins with a dash becomes absolute, because programs would take it for an option.
    """
    if not Path(path).is_absolute() and not (Path(folder) / path).exists() and (REPOSITORY / path).exists():
        return own(path, folder)
    return str((Path(folder) / path).absolute()) if path.startswith("-") else path


def merged(base, changes):
    """Mappings key by key, as --configfile merges files; everything else is replaced."""
    both = isinstance(base, dict) and isinstance(changes, dict)
    return {**base, **{key: merged(base.get(key), value) for key, value in changes.items()}} if both else changes


def completed(config: dict) -> dict:
    """The repository's config.yaml with the keys of `config` in their place, as --configfile merges files."""
    import yaml

    return merged(yaml.safe_load((REPOSITORY / "config.yaml").read_text(encoding="utf-8")), config)


def check(where: str, path: str, remedy: str = "rename that folder, or name a symbolic link to it") -> None:
    """Raises InputError that names `where`, the path and the remedy if Snakemake cannot have such a path."""
    for pattern, what in UNUSABLE:
        if pattern.search(path):
            raise InputError(f"{where} is {path!r}, which holds {what}; {remedy}")


def check_all(study) -> None:
    """Raises InputError for a path of a study that Snakemake, or the programs of its rules, cannot have."""
    check("the folder of the workflow", str(REPOSITORY), "rename that folder")
    for name, path in study.config.get("pathvars", {}).items():
        check(f"config.yaml: pathvars/{name}", path)
        if path.startswith("-"):
            raise InputError(f"config.yaml: pathvars/{name} is {path!r}, which begins with a dash; write it as an absolute path")
    given = [(f"studies/{study.name}/claims", study.chosen.get("claims"))]
    given += [(f"models/{name}/checkpoint", study.model(name).get("checkpoint")) for name in study.models]
    for name in dict.fromkeys([*study.datasets, *study.tried]):
        given += [(f"datasets/{name}/{key}", study.dataset(name).get(key)) for key in ("media_folder", "questions_file")]
    for where, path in given:
        check(f"config.yaml: {where}", path or "")


def _writable(folder: Path) -> bool:
    """Whether a folder can be written, or be made."""
    there = next(p for p in (folder, *folder.parents) if p.exists())
    return there.is_dir() and os.access(there, os.W_OK)


def caches(folder, environment=os.environ) -> dict[str, str]:
    """Variables that put programs' caches below `folder` if the home folder cannot be written; else none.

    Variables that the user has set stay.
    """
    home = Path(os.path.expanduser("~")).absolute()
    if _writable(home):
        return {}
    moved = {name: str(Path(folder).absolute() / part) for name, part in CACHES.items()}
    token = home / ".cache/huggingface/token"  # a home that can be read keeps the hub's token
    if not {"XDG_CACHE_HOME", "HF_HOME"} & set(environment) and os.access(token, os.R_OK):
        moved["HF_TOKEN_PATH"] = str(token)
    return {name: path for name, path in moved.items() if name not in environment}

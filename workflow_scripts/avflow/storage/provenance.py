"""The code behind a script's numbers, and the versions it ran with. Standard library only, since the workflow imports it, too."""

import ast
import errno
import hashlib
import json
import os
import platform
import stat
from functools import cache, lru_cache
from importlib import metadata
from pathlib import Path

LIBRARY = Path(__file__).resolve().parents[1]
NO_NUMBERS = (  # modules that cannot change a result's values; no `__init__` can, either
    "cli",
    "errors",
    "models/cpu_memory",
    "models/devices",
    "storage/manifest",
    "storage/partial_rows",
    "storage/provenance",
    "storage/whole_files",
)


_parsed = lru_cache(maxsize=None)(ast.parse)  # source text -> syntax tree; trees are large, so they are soon forgotten again


def _inside(node) -> list:
    """The statements, and clauses with statements, that a statement holds. Expressions hold none, and are most of a tree."""
    return [part for name in ("body", "orelse", "finalbody", "handlers", "cases") for part in getattr(node, name, None) or ()]


@cache
def _named(text: str) -> list[tuple[int, str, str]]:
    """(dots, module, name) for every import statement in a source text. Cached, because rules share most modules."""
    found, waiting = [], list(_parsed(text).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found += [(0, name.name, "") for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(node.level, node.module or "", name.name) for name in node.names]
        else:
            waiting += _inside(node)
    return found


@cache
def _offered(text: str) -> dict[str, str]:
    """Name -> module, from the call of `attach` in the source text of a package's `__init__`."""
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    calls = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "attach"]
    return {name: module for call in calls for module, names in ast.literal_eval(call.args[1]).items() for name in names}


@cache
def _imports(source: Path, text: str) -> set[Path]:
    """The avflow modules that a source text imports itself. source: where it stands. Cached, because rules share most modules."""
    found = set()

    def add(folder: Path, dotted: str):
        path = folder.joinpath(*dotted.split(".")) if dotted else folder
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                found.add(file)
                return True
        return False

    def take(folder: Path, dotted: str, name: str):
        """Add what `from dotted import name` loads: a module, or the module from which a package offers the name."""
        if add(folder, f"{dotted}.{name}".lstrip(".")):
            return
        package = folder.joinpath(*dotted.split(".")) if dotted else folder
        if (package / "__init__.py").is_file():
            module = _offered((package / "__init__.py").read_text(encoding="utf-8")).get(name)
            if module and add(package, module):
                take(package, module, name)

    for dots, module, name in _named(text):
        if dots:
            folder = source.parents[dots - 1]
        elif module.split(".")[0] == "avflow":
            folder = LIBRARY.parent
        else:
            continue
        add(folder, module)
        if name:  # `from . import world` names a module; `from .world import Scenes` does not
            take(folder, module, name)
    return {p.resolve() for p in found}


def sources(script, *also: str) -> list[Path]:
    """The script, every avflow module that it imports directly or indirectly, and their packages' `__init__`; sorted.

    also: modules that the script loads by name at run time, such as "models.qwen_omni".
    """
    found = _sources(script, *also)
    _parsed.cache_clear()
    return found


def _sources(script, *also: str) -> list[Path]:
    return _closure([Path(script).resolve(), *(LIBRARY.joinpath(*name.split(".")).with_suffix(".py") for name in also)])


def notebook_sources(notebook) -> list[Path]:
    """Every avflow module that a notebook's code cells import directly or indirectly, and their packages; sorted."""
    cells = json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    return _closure(_imports(Path(notebook), code))


def _closure(start) -> list[Path]:
    waiting = list(start)
    seen = set(waiting)
    while waiting:
        module = waiting.pop()
        packages = [p / "__init__.py" for p in module.parents if p == LIBRARY or LIBRARY in p.parents]
        for path in (*_imports(module, module.read_text(encoding="utf-8")), *packages):
            if path not in seen:
                seen.add(path)
                waiting.append(path)
    return sorted(seen)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    """The tree itself, from which docstrings are removed."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
                node.body = node.body[1:] or [ast.Pass()]
        waiting += _inside(node)
    return tree


def code_hash(script, *also: str) -> str:
    """sha256 over the syntax trees of `sources(script, *also)`, without comments and docstrings.

    A changed comment or docstring keeps finished questions. Any change that could affect a number recomputes them.
    """
    digest = hashlib.sha256()
    for path in _sources(script, *also):
        name = str(path.relative_to(LIBRARY).with_suffix("")) if LIBRARY in path.parents else path.stem
        if path.stem != "__init__" and name not in NO_NUMBERS:
            tree = _without_docstrings(_parsed(path.read_text(encoding="utf-8")))
            digest.update(f"{name}\n{ast.dump(tree)}\n".encode())
    _parsed.cache_clear()
    return digest.hexdigest()


def file_hash(*paths) -> str:
    """sha256 over the bytes of the files, in the given order."""
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
    return digest.hexdigest()


def text_hash(*texts: str) -> str:
    """sha256 over texts, in the given order."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def file_state(path) -> list[int]:
    """Size in bytes, date of the content, date of the entry (both in ns) and inode: another file or content changes them.

    Raises OSError if there is no such file, or if it is a pipe or a device, which would never end.
    """
    facts = os.stat(path)
    if not stat.S_ISREG(facts.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return [facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino]


def folder_state(folder, leave_out=()) -> str:
    """A digest of the names and `file_state`s of all files below a folder. Follows symbolic links.

    leave_out: folders that are not looked into. A folder's own date does not count. Takes about 0.1 s for 10,000 files.
    """
    digest, seen = hashlib.sha256(), {os.path.realpath(path) for path in leave_out}
    for root, folders, files in os.walk(folder, followlinks=True):
        for name in list(folders):
            real = os.path.realpath(os.path.join(root, name))
            if real in seen or name == ".snakemake":  # left out, or a link that leads back
                folders.remove(name)
            seen.add(real)
        folders.sort()
        for name in sorted(files):
            path = os.path.join(root, name)
            try:
                state = file_state(path)
            except OSError:  # a link to nothing
                state = []
            digest.update(os.fsencode(f"{os.path.relpath(path, folder)}\0{state}\n"))
    return digest.hexdigest()


def versions(*packages: str) -> dict[str, str]:
    """The versions of Python and of the given installed packages."""
    return {"python": platform.python_version(), **{p: metadata.version(p) for p in packages}}

"""A stand-in for the command `conda`, as wide as Snakemake needs it; it is not to be had from a package index.

Solving, downloading and linking are real: py-rattler is the library behind pixi and rattler-build. A pip section is really
installed by the environment's own pip. CONDA_CHANNEL_ALIAS says where channels lie, as it does for conda.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from rattler import Channel, MatchSpec, VirtualPackage, install, solve

PLATFORM = "linux-64"


def option(arguments: list[str], name: str) -> str:
    return next(a.partition("=")[2] or arguments[i + 1] for i, a in enumerate(arguments) if a == name or a.startswith(f"{name}="))


def create(prefix: str, channels: list[str], specs: list[str]) -> None:
    async def made():
        places = [Channel(name if "://" in name else f"{os.environ['CONDA_CHANNEL_ALIAS']}/{name}") for name in channels]
        wanted = [MatchSpec(spec, strict=False) for spec in specs]
        found = await solve(places, wanted, platforms=[PLATFORM, "noarch"], virtual_packages=VirtualPackage.detect())
        await install(found, target_prefix=prefix, show_progress=False)

    asyncio.run(made())


def from_yaml(prefix: str, file: str) -> None:
    asked = yaml.safe_load(Path(file).read_text())
    create(prefix, asked["channels"], [d for d in asked["dependencies"] if isinstance(d, str)])
    for wheels in (d["pip"] for d in asked["dependencies"] if isinstance(d, dict)):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as listed:
            listed.write("\n".join(wheels))
            listed.flush()
            subprocess.run([f"{prefix}/bin/python", "-m", "pip", "install", "-r", listed.name], check=True)


def main(arguments: list[str]) -> None:
    match arguments:
        case ["info", *_]:
            print(json.dumps({"conda_prefix": str(Path(__file__).parent), "platform": PLATFORM, "conda_version": "25.9.1"}))
        case ["--version"]:
            print("conda 25.9.1")
        case ["config", "--get", *_]:
            print(json.dumps({"get": {"channel_priority": "strict"}}))
        case ["env", "create", *more]:
            from_yaml(option(more, "--prefix"), option(more, "--file"))
        case ["clean", *_]:
            pass
        case _:
            sys.exit(f"the stand-in for conda does not know: {' '.join(arguments)}")


try:
    main(sys.argv[1:])
    code = 0
except SystemExit as left:
    code = left.code if isinstance(left.code, int) else print(left.code, file=sys.stderr) or 1
except Exception as error:
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
    code = 1
sys.stdout.flush()
sys.stderr.flush()
os._exit(code)  # after work of its own threads py-rattler may crash while Python ends

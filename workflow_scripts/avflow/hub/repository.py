"""What a repository of the Hugging Face hub holds at one commit, and a one-line error for every refusal of the hub.

huggingface_hub lists files, resolves revisions and finds the user's token. It does not fetch files (`fetch.py` does), because
huggingface_hub 1.33 restarts a file after a kill, and checks its size but not its hash.
"""

import email.utils
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import quote

import httpx
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

from ..errors import InputError
from . import proxies

HUB = "https://huggingface.co"
PASSING = (408, 429, 500, 502, 503, 504)  # HTTP codes of failures that may soon pass
LONGEST_ASKED = 900.0  # seconds; a longer Retry-After is an error


class Transient(Exception):
    """A failure that may pass. `asked`: the seconds that the server wants us to wait before the next try."""

    def __init__(self, reason: str, asked: float = 0.0):
        super().__init__(reason)
        self.asked = asked


@dataclass(frozen=True)
class Backoff:
    """How often to try without any progress, and how long to wait in between: `first` seconds, doubled up to `longest`."""

    tries: int = 6
    first: float = 1.0
    longest: float = 60.0
    sleep: Callable[[float], object] | None = None  # tests pass their own

    def pause(self, what: str, error: Transient, failures: int, stop: threading.Event) -> None:
        """Wait before the next try and print that. Raises InputError if the server asks for more than LONGEST_ASKED seconds."""
        if error.asked > LONGEST_ASKED:
            raise InputError(f"{what}: {error}, and asks to wait {error.asked:.0f} s; run again after that to continue")
        seconds = max(error.asked, min(self.first * 2 ** (failures - 1), self.longest))
        print(f"{what}: {error}; trying again in {seconds:g} s", file=sys.stderr, flush=True)
        (self.sleep or stop.wait)(seconds)


def endpoint() -> str:
    """The hub's address. Raises InputError if HF_ENDPOINT is not an http(s) address."""
    address = (os.environ.get("HF_ENDPOINT") or HUB).strip().rstrip("/")
    try:
        host = httpx.URL(address).host
    except httpx.InvalidURL:
        host = ""
    if not host or not address.startswith(("https://", "http://")):
        raise InputError(f"HF_ENDPOINT is {address!r}, which is not an address; set it to one such as {HUB}, or unset it")
    return address


@dataclass(frozen=True)
class Source:
    """A repository at one revision, on the hub that HF_ENDPOINT names. repo_type: "model" or "dataset"."""

    repo: str
    repo_type: str
    revision: str
    endpoint: str = field(default_factory=endpoint)
    token: str | None = field(default_factory=proxies.token, repr=False)

    @property
    def page(self) -> str:
        """The web page where a person reads the card and accepts the terms."""
        return f"{HUB}/{'datasets/' if self.repo_type == 'dataset' else ''}{self.repo}"

    def url(self, path: str) -> str:
        """The address of a file's content."""
        kind = "datasets/" if self.repo_type == "dataset" else ""
        return f"{self.endpoint}/{kind}{self.repo}/resolve/{quote(self.revision, safe='')}/{quote(path)}"

    def ours(self, url: httpx.URL) -> bool:
        """Whether an address is on the hub itself, not on the storage that it redirects to."""
        own = httpx.URL(self.endpoint)
        return (url.scheme, url.host, url.port) == (own.scheme, own.host, own.port)


@dataclass(frozen=True)
class HubFile:
    """A file as the hub describes it. LFS files have a sha256; other files have a git blob id. size is in bytes."""

    path: str
    size: int
    sha256: str | None
    blob: str | None


@dataclass(frozen=True)
class Listing:
    """The files of a repository at one commit, and what its card and the hub state."""

    revision: str  # 40 hexadecimal digits
    licence: str | None
    gated: str | bool
    files: tuple[HubFile, ...]


def retry_after(headers) -> float:
    """The seconds that a Retry-After header asks for, given as a number or as a date. 0 without a valid header."""
    text = headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError):
        return 0.0


def refusal(source: Source, response: httpx.Response, path: str = "") -> Exception:
    """The error for an answer with status 400 or more: `Transient` if it may pass, else InputError with the remedy."""
    status, code = response.status_code, response.headers.get("X-Error-Code", "")
    what = f"{source.repo}/{path}" if path else source.repo
    if status in PASSING:
        return Transient(f"the hub answers HTTP {status}", retry_after(response.headers))
    if source.token and code in ("GatedRepo", "RepoNotFound") and not source.ours(response.url):
        there = f"{response.url.scheme}://{response.url.netloc.decode()}"
        return InputError(
            f"{what}: {source.endpoint} redirects to {there}, which refuses access (HTTP {status}); the token is not sent to"
            f" another host, so set HF_ENDPOINT={there}"
        )
    if status in (401, 403) and not code and not source.ours(response.url):
        return Transient(f"the storage behind the hub answers HTTP {status}")  # the signed link expired; a retry gets a new one
    if code == "GatedRepo" or status in (401, 403) and code != "RepoNotFound":
        token = "the token of HF_TOKEN has no access to it" if source.token else "no token is set"
        return InputError(
            f"{what}: the hub refuses access (HTTP {status}) and {token}; accept the terms at {source.page} and set HF_TOKEN"
            " to a token of that account"
        )
    if code == "RepoNotFound" or status == 404 and not path and not code:
        return InputError(
            f"{source.repo}: there is no such {source.repo_type} on {source.endpoint}; correct its repo in config.yaml, or set"
            " HF_TOKEN if it is private"
        )
    if code == "RevisionNotFound":
        return InputError(
            f"{source.repo}: it has no revision {source.revision!r}; correct the revision in config.yaml and pin again"
        )
    if status == 404:
        return InputError(
            f"{what}: it is not in revision {source.revision}; pin the files that are there: snakemake pin --config study=paper"
        )
    return InputError(f"{what}: the hub answers HTTP {status} {code}".rstrip() + f"; see {source.page}")


def unreachable(source: Source, error: Exception) -> str:
    """One line for a connection that could not be made, or that broke."""
    host = f"{source.endpoint} cannot be reached" if isinstance(error, httpx.ConnectError) else "the connection broke"
    return f"{host} ({str(error).splitlines()[0] if str(error) else type(error).__name__})"


def describe(source: Source, backoff: Backoff) -> Listing:
    """Resolve the source's revision and list its files. Raises InputError with the remedy if the hub cannot provide them."""
    proxies.settle()
    api = HfApi(endpoint=source.endpoint, token=source.token or False)
    known = dict(repo_id=source.repo, repo_type=source.repo_type)
    facts = _patiently(source, backoff, lambda: api.repo_info(**known, revision=source.revision, timeout=30))
    tree = _patiently(source, backoff, lambda: list(api.list_repo_tree(**known, revision=facts.sha, recursive=True)))
    files = [
        HubFile(entry.path, entry.size, entry.lfs.sha256 if entry.lfs else None, None if entry.lfs else entry.blob_id)
        for entry in tree
        if hasattr(entry, "blob_id")  # folders have a tree id instead
    ]
    files = tuple(sorted(files, key=lambda f: f.path))
    for file in files:
        if PurePosixPath(file.path).is_absolute() or ".." in PurePosixPath(file.path).parts:
            raise InputError(f"{source.repo}: it holds a file named {file.path!r}, which would leave its folder; do not use it")
    return Listing(facts.sha, _licence(facts.card_data), facts.gated or False, files)


def _licence(card) -> str | None:
    """The licence that a card states. For "other" it is the license_name, if the card has one."""
    stated = card.get("license") if card else None
    name = card.get("license_name") if card else None
    return name if stated == "other" and name else ", ".join(stated) if isinstance(stated, list) else stated


def _patiently(source: Source, backoff: Backoff, call):
    """Return `call()`. Failures that may pass are tried again."""
    for failures in range(1, backoff.tries + 1):
        try:
            return call()
        except HfHubHTTPError as error:
            said = refusal(source, error.response)
        except httpx.TransportError as error:
            said = Transient(unreachable(source, error))
        except OfflineModeIsEnabled:
            raise InputError("HF_HUB_OFFLINE is set, so the hub cannot be asked; unset it on a networked machine") from None
        except HFValidationError as error:
            raise InputError(f"{source.repo}: not a name on the hub ({str(error).splitlines()[0]}); use owner/name") from None
        except (ValueError, TypeError, KeyError):  # the answer cannot be parsed
            raise InputError(
                f"{source.repo}: {source.endpoint} does not answer like a hub (a login page, a proxy?); check the network and"
                " HF_ENDPOINT"
            ) from None
        if isinstance(said, InputError):
            raise said
        if failures < backoff.tries:
            backoff.pause(source.repo, said, failures, threading.Event())
    raise InputError(f"{source.repo}: {said} after {failures} tries; check the network, HF_ENDPOINT and proxies, and run again")

"""Fetch one file of a pinned revision. A killed download continues where it stopped, and wrong content is never kept.

Bytes go to a `.part` file. Its name depends only on the file and its hash, so the next process finds what the last one left. A
Range header then asks the server for the rest only. The hash is computed as the bytes arrive. The file gets its name when hash
and size equal the pinned ones. Wrong content is removed and fetched once more; the second time it is an error.
"""

import errno
import hashlib
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import httpx

from ..errors import InputError
from . import proxies
from .repository import Backoff, HubFile, Source, Transient, refusal, unreachable

BLOCK = 1 << 20
TIMEOUT = httpx.Timeout(60.0, connect=15.0)


class Stopped(Exception):
    """Another file failed, so this download stops. Its part stays on disk."""


class WrongContent(Exception):
    """The server's content cannot be the pinned file."""


def new_hash(file: HubFile):
    """A new hash object of the kind that the pin uses: sha256, or git's sha1, which starts with the size."""
    return hashlib.sha256() if file.sha256 else hashlib.sha1(b"blob %d\0" % file.size)


def pinned_hash(file: HubFile) -> str:
    """The hash, in hexadecimal, that the content must have."""
    return file.sha256 or file.blob


def add_bytes(digest, path: Path, moved: Callable[..., object] = lambda count: None) -> int:
    """Feed a file's bytes to a hash. Returns their number. moved: called with the size of each block."""
    size = 0
    with open(path, "rb") as opened:
        while block := opened.read(BLOCK):
            digest.update(block)
            moved(len(block))
            size += len(block)
    return size


def part_of(file: HubFile, target: Path) -> Path:
    """The part file of a download. Its name holds the hash, so a part of another revision is never continued."""
    return target.with_name(f".{target.name}.{pinned_hash(file)[:12]}.part")


def client(source: Source) -> httpx.Client:
    """Connections that send the token. On a redirect to another host httpx drops it."""
    proxies.settle()
    headers = {"Authorization": f"Bearer {source.token}"} if source.token else {}
    return httpx.Client(headers=headers, timeout=TIMEOUT, follow_redirects=True)


def fetch(
    connections: httpx.Client,
    source: Source,
    file: HubFile,
    target: Path,
    backoff: Backoff | None = None,
    moved: Callable[..., object] = lambda count, fetched=True: None,
    stop: threading.Event | None = None,
) -> None:
    """Fetch one file to `target`, and continue a part that an earlier process left.

    moved: called with the number of bytes gained (negative if they are discarded), and with False for bytes that were on disk
    already. stop: ends the download early once it is set. Raises InputError with the remedy, or `Stopped`.
    """
    backoff, stop, what = backoff or Backoff(), stop or threading.Event(), f"{source.repo}/{file.path}"
    part = part_of(file, target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for last in (False, True):
            receiver = _Receiver(connections, source, file, part, moved)
            try:
                receiver.receive_all(backoff, stop)
                if receiver.digest.hexdigest() == pinned_hash(file):
                    os.replace(part, target)
                    return
                wrong = f"its hash is {receiver.digest.hexdigest()}, the pin says {pinned_hash(file)}"
            except WrongContent as error:
                wrong = str(error)
            moved(-receiver.have)
            part.unlink(missing_ok=True)
            if not last:
                print(f"{what}: {wrong}; removed, fetching it once more", file=sys.stderr, flush=True)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(f"{target}: the disk is full; free some space and run again to continue") from None
        raise InputError(f"{target}: cannot be written ({error.strerror}); fix that and run again to continue") from None
    raise InputError(
        f"{what}: {wrong}, twice, so it was removed; a proxy or HF_ENDPOINT ({source.endpoint}) may change files: use another one"
        " and run again"
    )


class _Receiver:
    """The part file, its hash, and the number of bytes that it has."""

    def __init__(self, connections, source, file, part, moved):
        self.connections, self.source, self.file, self.part, self.moved = connections, source, file, part, moved
        self.digest, self.have, self.restarted = new_hash(file), 0, False
        if part.exists() and part.stat().st_size <= file.size:
            self.have = add_bytes(self.digest, part)
            moved(self.have, False)
        else:
            part.unlink(missing_ok=True)

    def receive_all(self, backoff: Backoff, stop: threading.Event) -> None:
        """Send requests until the file is complete. Gives up after `backoff.tries` failures without progress in between."""
        what, failures, furthest = f"{self.source.repo}/{self.file.path}", 0, self.have
        with open(self.part, "ab", buffering=0) as out:
            while self.have < self.file.size:
                if stop.is_set():
                    raise Stopped
                try:
                    self._ask(out, stop)
                except httpx.TransportError as error:
                    said = Transient(f"{unreachable(self.source, error)} at byte {self.have} of {self.file.size}")
                except httpx.TooManyRedirects:
                    raise InputError(f"{what}: redirected in a loop; correct HF_ENDPOINT ({self.source.endpoint})") from None
                except Transient as error:
                    said = error
                else:
                    continue
                failures, furthest = (1, self.have) if self.have > furthest else (failures + 1, furthest)
                if failures >= backoff.tries:
                    ignored = "; the server ignores Range, so every interruption restarts the file" if self.restarted else ""
                    raise InputError(
                        f"{what}: {said}, {failures} times without progress{ignored}; check the network, HF_ENDPOINT and proxies,"
                        f" and run again: {self.have} bytes are kept"
                    )
                backoff.pause(what, said, failures, stop)
            os.fsync(out.fileno())

    def _ask(self, out, stop: threading.Event) -> None:
        """Request the missing bytes once, and write them as they arrive."""
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={self.have}-"} if self.have else {})
        with self.connections.stream("GET", self.source.url(self.file.path), headers=headers) as response:
            self._check(response)
            if self.have and response.status_code == 200:
                self._begin_anew(out)
            for block in response.iter_raw():
                if stop.is_set():
                    raise Stopped
                if self.have + len(block) > self.file.size:
                    raise WrongContent(f"the server sends more than the pinned {self.file.size} bytes")
                out.write(block)
                self.digest.update(block)
                self.have += len(block)
                self.moved(len(block))
        if self.have < self.file.size:
            raise Transient(f"the server ended at byte {self.have} of {self.file.size}")

    def _check(self, response: httpx.Response) -> None:
        """Raise an error unless the answer is a file of the pinned size, or the rest of one."""
        status, headers, what = response.status_code, response.headers, f"{self.source.repo}/{self.file.path}"
        if status == 416:
            raise WrongContent(f"the server has fewer than {self.have} of the pinned {self.file.size} bytes")
        if status not in (200, 206):
            if status < 400:
                raise InputError(f"{what}: the hub answers HTTP {status}; correct HF_ENDPOINT ({self.source.endpoint})")
            raise refusal(self.source, response, self.file.path)
        if headers.get("Content-Type", "").startswith("text/html") and not self.file.path.endswith((".html", ".htm")):
            raise InputError(
                f"{what}: {response.url.host} sends an HTML page instead of the file (a login page, a proxy?); check the network"
                f" and HF_ENDPOINT ({self.source.endpoint}), and run again"
            )
        said = headers.get("Content-Range", "").rpartition("/")[2] if status == 206 else headers.get("Content-Length", "")
        if said.isdigit() and int(said) != self.file.size:
            raise WrongContent(f"the server has {said} bytes, the pin says {self.file.size}")
        if status == 206 and not headers.get("Content-Range", "").startswith(f"bytes {self.have}-"):
            raise WrongContent(f"the server sends {headers.get('Content-Range')!r}, not the bytes from {self.have} on")

    def _begin_anew(self, out) -> None:
        """Discard the part: the server ignored Range and sends the file from its first byte."""
        print(f"{self.source.repo}/{self.file.path}: the server ignores Range; starting over", file=sys.stderr, flush=True)
        self.moved(-self.have)
        out.truncate(0)
        self.digest, self.have, self.restarted = new_hash(self.file), 0, True

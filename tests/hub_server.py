"""A stand-in for the Hugging Face hub on this computer: what huggingface_hub and avflow.hub ask of it, and its faults.

    with Hub() as hub:
        commit = hub.add("model", "owner/name", {"config.json": b"{}", "weights.safetensors": folder / "weights.safetensors"})
        os.environ["HF_ENDPOINT"] = hub.url

A repository is a dict of path -> bytes or file, or a folder. As on the hub, large files are answered by a redirect to storage on
another host (here "localhost" instead of "127.0.0.1"). `hub.faults[path]` lists what goes wrong in the next requests for a
file's content, "api" what goes wrong in questions about repositories; `hub.log` holds all requests.
"""

import hashlib
import json
import re
import sys
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

LARGE = 1000  # bytes from which a file is kept apart (LFS)
BLOCK = 1 << 16


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    status: the answer's status instead of the content, with `headers`. cut: close the connection after so many bytes of the
    answer. flip: change the byte at this place of the file. html: send a page instead. whole: send everything, whatever range
    was asked for.
    """

    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    cut: int | None = None
    flip: int | None = None
    html: bool = False
    whole: bool = False


@dataclass(frozen=True)
class Request:
    """What was asked: `host` without its port, `range` and `token` as the headers said, `status` of the answer."""

    host: str
    path: str
    range: str | None
    token: str | None
    status: int


@dataclass
class Repository:
    files: dict[str, bytes | Path]
    commit: str
    card: dict
    gated: str | bool


def read(content: bytes | Path) -> bytes:
    return content if isinstance(content, bytes) else content.read_bytes()


def blob_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Server(ThreadingHTTPServer):
    """A thread a connection; says nothing about connections that the other side broke."""

    daemon_threads = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Hub:
    """Serves repositories on a free port while it is used as a context manager.

    token: what gated repositories ask for. speed: bytes a second and connection, None for no limit. relative: redirect to storage
    on the same host, without naming the host.
    """

    def __init__(self, token: str = "hf_the_right_token", speed: int | None = None):
        self.token, self.speed, self.relative = token, speed, False
        self.commits: dict[tuple[str, str, str], Repository] = {}
        self.names: dict[tuple[str, str, str], str] = {}
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.log: list[Request] = []
        self.lock = threading.Lock()

    def add(self, repo_type: str, repo: str, files, branch: str = "main", card: dict | None = None, gated=False) -> str:
        """Put a commit at the head of a branch; returns the commit."""
        if not isinstance(files, dict):
            files = {p.relative_to(files).as_posix(): p for p in sorted(Path(files).rglob("*")) if p.is_file()}
        content = "".join(f"{path} {hashlib.sha256(read(data)).hexdigest()}\n" for path, data in sorted(files.items()))
        commit = hashlib.sha1(f"{repo_type} {repo}\n{content}".encode()).hexdigest()
        self.commits[repo_type, repo, commit] = Repository(dict(files), commit, card or {}, gated)
        self.names[repo_type, repo, branch] = commit
        return commit

    def contents(self) -> list[Request]:
        """The requests for file contents that were answered with bytes or a fault, redirects left out."""
        return [r for r in self.log if "/api/" not in r.path and r.status != 302]

    def __enter__(self):
        handler = type("Bound", (Handler,), {"hub": self})
        self.server = Server(("127.0.0.1", 0), handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def next_fault(self, key: str) -> Fault:
        with self.lock:
            return self.faults[key].pop(0) if self.faults[key] else Fault()


class Mirror:
    """A server that redirects every request to a hub, under the name of another host. Use as a context manager."""

    def __init__(self, hub: Hub, status: int = 307):
        self.hub, self.status = hub, status

    def __enter__(self):
        target, status = f"http://localhost:{self.hub.port}", self.status

        class Redirect(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.send_header("Location", f"{target}{self.path}")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Redirect)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        api = re.fullmatch(r"/api/(model|dataset)s/([^/]+/[^/]+)/(revision|tree)/([^/]+)", path)
        content = re.fullmatch(r"/(datasets/|storage/models/|storage/datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        if api:
            self.about(*api.groups())
        elif content:
            self.content(*content.groups())
        else:
            self.answer(404, b"", {"X-Error-Code": "NotFound"})

    def find(self, repo_type, repo, revision) -> Repository | None:
        """The repository at a revision, or None after an answer of 404 with the hub's code."""
        commit = self.hub.names.get((repo_type, repo, revision), revision)
        found = self.hub.commits.get((repo_type, repo, commit))
        if found is None:
            known = any(key[:2] == (repo_type, repo) for key in self.hub.commits)
            self.answer(404, b"{}", {"X-Error-Code": "RevisionNotFound" if known else "RepoNotFound"})
        return found

    def about(self, repo_type, repo, question, revision):
        fault = self.hub.next_fault("api")
        if fault.status or fault.html:
            return self.go_wrong(fault)
        found = self.find(repo_type, repo, revision)
        if found is None:
            return None
        if question == "revision":
            body = {"id": repo, "sha": found.commit, "gated": found.gated, "cardData": found.card, "tags": [], "siblings": []}
        else:
            folders = {str(p) for path in found.files for p in Path(path).parents if str(p) != "."}
            body = [{"type": "directory", "path": f, "size": 0, "oid": "0" * 40} for f in sorted(folders)]
            for path, data in sorted(found.files.items()):
                data = read(data)
                entry = {"type": "file", "path": path, "size": len(data), "oid": blob_id(data)}
                if len(data) >= LARGE:
                    entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
                body.append(entry)
        return self.answer(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def content(self, where, repo, revision, path):
        stored = where is not None and where.startswith("storage/")
        found = self.find("dataset" if where and where.endswith("datasets/") else "model", repo, revision)
        if found is None:
            return None
        token = self.headers.get("Authorization")
        if found.gated and not stored and token != f"Bearer {self.hub.token}":
            return self.answer(403 if token else 401, b"", {"X-Error-Code": "GatedRepo"})
        if path not in found.files:
            return self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})
        data = read(found.files[path])
        if len(data) >= LARGE and not stored:
            rest = self.path.removeprefix("/datasets").lstrip("/")
            host = "" if self.hub.relative else f"http://localhost:{self.hub.port}"
            return self.answer(302, b"", {"Location": f"{host}/storage/{where or 'models/'}{rest}"})
        return self.send(data, self.hub.next_fault(path))

    def send(self, data: bytes, fault: Fault):
        """The content, or the rest of it that was asked for, with a fault."""
        if fault.status or fault.html:
            return self.go_wrong(fault)
        if fault.flip is not None:
            data = data[: fault.flip] + bytes([data[fault.flip] ^ 1]) + data[fault.flip + 1 :]
        headers, status = {"Content-Type": "application/octet-stream"}, 200
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if asked and not fault.whole:
            start = int(asked[1])
            if start >= len(data):
                return self.answer(416, b"", {"Content-Range": f"bytes */{len(data)}"})
            headers["Content-Range"], status = f"bytes {start}-{len(data) - 1}/{len(data)}", 206
            data = data[start:]
        return self.answer(status, data, headers, fault.cut)

    def go_wrong(self, fault: Fault):
        if fault.html:
            return self.answer(200, b"<!doctype html><title>Please log in</title>", {"Content-Type": "text/html; charset=utf-8"})
        return self.answer(fault.status, b"", dict(fault.headers))

    def answer(self, status: int, body: bytes, headers: dict[str, str], cut: int | None = None):
        host = (self.headers.get("Host") or "").split(":")[0]
        asked = Request(host, urlsplit(self.path).path, self.headers.get("Range"), self.headers.get("Authorization"), status)
        with self.hub.lock:
            self.hub.log.append(asked)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        body = body[:cut]
        for start in range(0, len(body), BLOCK):
            block = body[start : start + BLOCK]
            try:
                self.wfile.write(block)
            except OSError:  # the other side is gone
                self.close_connection = True
                return
            if self.hub.speed:
                time.sleep(len(block) / self.hub.speed)
        if cut is not None:
            self.wfile.flush()
            self.close_connection = True

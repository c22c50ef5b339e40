"""Proxies, tokens and mirrors: each works, or is one line with its remedy."""

import sys

import httpx
import pytest
from hub_server import Fault, Mirror
from pinned import BIG, QUICK, get, pinned, weights

from avflow.errors import InputError
from avflow.hub import fetch, proxies
from avflow.hub.repository import Source, describe, endpoint

VARIABLES = [name for kind in (*proxies.KINDS, "no_proxy") for name in (kind, kind.upper())]


@pytest.fixture
def no_proxies(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("[::1],localhost", "::1,localhost"),
        ("[::1]:8080, [fe80::1]", "::1,fe80::1"),
        ("::1,10.0.0.0/8,.example.org,*.example.org,host:8080", "::1,10.0.0.0/8,.example.org,*.example.org,host:8080"),
        ("*", "*"),
        ("fd00::/8,localhost,a b:x", "localhost"),
    ],
)
def test_no_proxy_is_read_with_brackets_ranges_and_ports(no_proxies, monkeypatch, given, read):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, given)
        proxies.settle()
        assert proxies.os.environ[name] == read
        httpx.Client().close()
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", "proxy.example:3128"),
        ("https_proxy", "http://me:secret@proxy.example:3128"),
        ("ALL_PROXY", "https://[::1]:3128"),
    ],
)
def test_proxies_with_and_without_a_scheme_are_taken(no_proxies, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    proxies.settle()
    httpx.Client().close()
    assert proxies.os.environ[name] == value, "what httpx can read is left as it is"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("ALL_PROXY", "socks5://me:secret@h", "ALL_PROXY is 'socks5://***@h', and SOCKS proxies need the package socksio; run:"),
        ("all_proxy", "socks4://h", "all_proxy is 'socks4://h', but only proxies of http, https, socks5, socks5h can be used"),
        ("HTTPS_PROXY", "ftp://h", "HTTPS_PROXY is 'ftp://h', but only proxies of http,"),
        ("HTTPS_PROXY", "http://[::1", "HTTPS_PROXY is 'http://[::1', which is not an address"),
        ("HTTP_PROXY", "http://h:port", "HTTP_PROXY is 'http://h:port', which is not an address"),
    ],
)  # fmt: skip
def test_a_proxy_that_cannot_be_used_is_one_line_with_the_remedy(no_proxies, pin, tmp_path, monkeypatch, name, value, message):
    monkeypatch.setitem(sys.modules, "socksio", None)  # as if it were not installed
    monkeypatch.setenv(name, value)
    for ask in (lambda: get(pin, tmp_path), lambda: describe(Source("owner/tiny", "model", "main"), QUICK)):
        with pytest.raises(InputError) as refused:
            ask()
        assert str(refused.value).startswith(message) and "\n" not in str(refused.value) and "secret" not in str(refused.value)


def test_a_socks_proxy_that_is_not_asked_stops_nothing(no_proxies, monkeypatch):
    for name, value in (("ALL_PROXY", "socks5://h:1"), ("HTTP_PROXY", "http://h:1"), ("HTTPS_PROXY", "http://h:1")):
        monkeypatch.setenv(name, value)
    proxies.settle()
    httpx.Client().close()
    assert "ALL_PROXY" not in proxies.os.environ and proxies.os.environ["HTTP_PROXY"] == "http://h:1"


def test_a_mirror_that_redirects_to_another_host_gives_the_files_and_resumes(hub, tmp_path, monkeypatch):
    with Mirror(hub) as mirror:
        monkeypatch.setenv("HF_ENDPOINT", mirror.url)
        pin = pinned(hub, tmp_path)
        hub.faults["model.safetensors"] = [Fault(cut=1_000_000), Fault(status=503)]
        assert (get(pin, tmp_path) / "model.safetensors").read_bytes() == BIG
    assert weights(hub) == [(None, 200), ("bytes=1000000-", 503), ("bytes=1000000-", 206)]


def test_redirects_without_a_host_are_followed_with_the_range(hub, pin, tmp_path):
    hub.relative = True
    hub.faults["model.safetensors"] = [Fault(cut=1_000_000)]
    assert (get(pin, tmp_path) / "model.safetensors").read_bytes() == BIG
    assert weights(hub) == [(None, 200), ("bytes=1000000-", 206)]


def test_a_mirror_that_redirects_a_gated_repository_says_which_address_to_set(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", hub.token)
    pin = pinned(hub, tmp_path, gated="auto")
    with Mirror(hub) as mirror:
        monkeypatch.setenv("HF_ENDPOINT", mirror.url)
        with pytest.raises(InputError) as refused:
            get(pin, tmp_path)
    there = f"http://localhost:{hub.port}"
    assert f"redirects to {there}, which refuses access (HTTP 401); the token is not sent" in str(refused.value)
    assert str(refused.value).endswith(f"so set HF_ENDPOINT={there}")
    assert all(r.token is None for r in hub.log if r.host == "localhost")


def test_access_that_ends_in_the_middle_of_a_download_is_named_and_the_part_stays(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", hub.token)
    pin = pinned(hub, tmp_path, gated="auto")
    hub.faults["model.safetensors"] = [Fault(cut=1_000_000)]
    end = hub.next_fault

    def next_fault(key):
        found = end(key)
        if found.cut:
            hub.token = "hf_another"  # from now on, the user's token has no access
        return found

    monkeypatch.setattr(hub, "next_fault", next_fault)
    with pytest.raises(
        InputError, match=r"refuses access \(HTTP 403\) and the token of HF_TOKEN has no access to it; accept the"
    ):
        get(pin, tmp_path)
    part = fetch.part_of(next(f for f in pin.files if f.sha256), tmp_path / "out/model.safetensors")
    assert part.stat().st_size == 1_000_000


def test_a_token_that_cannot_be_sent_is_named_and_not_shown(monkeypatch):
    for wrong in ("hf_ä", "hf_a b"):
        monkeypatch.setenv("HF_TOKEN", wrong)
        with pytest.raises(InputError, match="HF_TOKEN holds signs that no token has .*; copy it again") as refused:
            Source("owner/tiny", "model", "main")
        assert wrong not in str(refused.value)


def test_a_home_that_cannot_be_read_holds_no_token(monkeypatch):
    import huggingface_hub

    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", "/dev/null/home/token")
    assert proxies.token() is None


@pytest.mark.parametrize("address", ["http://[::1", "https://", "hub.example"])
def test_an_endpoint_that_is_no_address_is_one_line(monkeypatch, address):
    monkeypatch.setenv("HF_ENDPOINT", address)
    with pytest.raises(InputError, match="HF_ENDPOINT is .*, which is not an address; set it to one such as"):
        endpoint()

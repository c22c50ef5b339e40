"""Proxies and tokens as the user's environment gives them. What httpx cannot read is put right, or named in one line.

The variables are those that curl reads: http_proxy, https_proxy, all_proxy and no_proxy, in lower or upper case.
"""

import ipaddress
import os
import re
import sys

import httpx
from huggingface_hub import get_token

from ..errors import InputError

KINDS = ("http_proxy", "https_proxy", "all_proxy")
SCHEMES = ("http", "https", "socks5", "socks5h")


def _known(entry: str) -> str | None:
    """An entry of no_proxy as httpx reads it: without brackets around an IPv6 address. None if it cannot be read."""
    bare = re.sub(r"^\[(.*)\](:\d+)?$", r"\1", entry.strip())
    if bare == "*":
        return bare
    if "://" not in bare and bare.count(":") > 1:
        try:
            return str(ipaddress.IPv6Address(bare))
        except ValueError:
            return None
    try:
        httpx.URL(bare if "://" in bare else f"all://*{bare}")
    except httpx.InvalidURL:
        return None
    return bare


def settle(environment=os.environ) -> None:
    """Make the variables readable for httpx, in place. Raises InputError that names the variable, its value and a remedy.

    Entries of no_proxy that httpx cannot read, such as a range of IPv6 addresses, are left out, and that is printed.
    """
    for name in ("no_proxy", "NO_PROXY"):
        entries = [entry for entry in environment.get(name, "").split(",") if entry.strip()]
        if unread := [entry.strip() for entry in entries if _known(entry) is None]:
            print(f"{name}: {', '.join(unread)} cannot be read and is left out", file=sys.stderr, flush=True)
        if entries:
            environment[name] = ",".join(filter(None, map(_known, entries)))
    set_now = [name for kind in KINDS for name in (kind, kind.upper()) if environment.get(name)]
    kinds = {name.lower() for name in set_now}
    if {"http_proxy", "https_proxy"} <= kinds:  # all_proxy is not asked then, but httpx would open it
        for name in ("all_proxy", "ALL_PROXY"):
            environment.pop(name, None)
    for name in set_now:
        if name in environment:
            _check(name, environment[name])


def _check(name: str, value: str) -> None:
    shown = re.sub(r"//[^/@]*@", "//***@", value)
    scheme = value.partition("://")[0].lower() if "://" in value else "http"
    example = f"write it as {name}=http://host:port, or unset it"
    if scheme not in SCHEMES:
        raise InputError(f"{name} is {shown!r}, but only proxies of {', '.join(SCHEMES)} can be used; {example}")
    try:
        httpx.Client(proxy=value if "://" in value else f"http://{value}", trust_env=False).close()
    except ImportError:
        raise InputError(
            f"{name} is {shown!r}, and SOCKS proxies need the package socksio; run: {sys.executable} -m pip install socksio,"
            f" or name an HTTP proxy: {name}=http://host:port"
        ) from None
    except (ValueError, httpx.InvalidURL) as error:
        raise InputError(f"{name} is {shown!r}, which is not an address ({error}); {example}") from None


def token() -> str | None:
    """The user's token of the hub, or None. Raises InputError if it cannot be sent. A home that cannot be read has no token."""
    try:
        found = get_token()
    except OSError:
        return None
    if found and not (found.isascii() and found.isprintable() and " " not in found):
        raise InputError("HF_TOKEN holds signs that no token has (a blank, a line break, a letter with accents); copy it again")
    return found

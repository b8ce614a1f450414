"""Where a server is, and the key to it."""

from __future__ import annotations

import ipaddress
import os
import urllib.parse

import httpx

from dragoman.errors import ConfigError

NO_KEY = "no-key"
"""Stands for the key where none is needed, since the client wants one."""

LONGEST = 2000
"""Characters of a URL."""


def check_url(url: str, *, allow_http: bool) -> bool:
    """Return whether a base URL leads to this machine.

    Raises:
        ConfigError: It is not a URL, carries a secret, or is not encrypted.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        # What the client could not take, such as control characters and foreign hosts.
        httpx.URL(url)
        is_url = is_url and url.isprintable() and " " not in url and len(url) <= LONGEST
    except (ValueError, httpx.InvalidURL):
        is_url = False
    if not is_url or not parts.hostname:
        # What stands before an @ may be a secret.
        shown = url.rpartition("@")[2][:100]
        raise ConfigError(f"{shown!r} is not a URL of a server", cure="write https://HOST/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigError(
            f"the URL of the server {parts.hostname!r} holds more than a host and a path",
            cure="keep secrets in the environment: api_key_env of the connection names it",
        )
    is_here = _is_loopback(parts.hostname)
    if parts.scheme == "http" and not is_here and not allow_http:
        raise ConfigError(
            f"{url!r} would send prompts and key unencrypted to another machine",
            cure="use https, or set allow_http of the connection in a network that you trust",
        )
    return is_here


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def api_key(variable: str, url: str, *, is_needed: bool) -> str:
    """Return the API key in an environment variable, or a stand-in where none is needed.

    Raises:
        ConfigError: It is needed, and not there, or no header could carry it.
    """
    key = os.environ.get(variable, "").strip()
    if not key and is_needed:
        raise ConfigError(
            f"the environment variable {variable} is not set, so there is no API key for {url}",
            cure=f"export {variable}=..., or name another variable in api_key_env",
        )
    wrong = next((i for i, c in enumerate(key, 1) if not (c.isascii() and c.isprintable())), None)
    if wrong is not None:
        raise ConfigError(
            f"the API key in the environment variable {variable} has {len(key)} characters, and "
            f"number {wrong} of them is no printable ASCII",
            cure="copy the key again, without quotes, ellipses and line breaks",
        )
    return key or NO_KEY

"""Where a server is, and the key to it."""

from __future__ import annotations

import ipaddress
import os
import urllib.parse

from dragoman.errors import ConfigError


def check_url(url: str, *, allow_http: bool) -> bool:
    """Return whether a base URL leads to this machine.

    Raises:
        ConfigError: It is not a URL, carries a secret, or is not encrypted.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{url!r} is not a URL of a server", cure="write https://HOST/v1")
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
        ConfigError: It is needed, and not there.
    """
    key = os.environ.get(variable, "").strip()
    if not key and is_needed:
        raise ConfigError(
            f"the environment variable {variable} is not set, so there is no API key for {url}",
            cure=f"export {variable}=..., or name another variable in api_key_env",
        )
    return key or "no-key"

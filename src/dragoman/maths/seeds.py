"""Independent seeds from names, the same on every machine and in every process."""

from __future__ import annotations

import zlib


def derive_seed(*parts: str | int) -> int:
    """Return a 32-bit seed for a purpose, such as ``derive_seed("evaluate", 0, 17)``.

    Bytes are hashed rather than objects, because ``hash()`` differs between processes.
    """
    return zlib.crc32("/".join(str(part) for part in parts).encode())

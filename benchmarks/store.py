"""Which embedded database keeps answers on disk: SQLite in WAL mode or LMDB.

    python benchmarks/store.py [--entries 20000] [--out FOLDER]

Both keep the same answers of one hidden state each, and are read in batches of 16 as an agent
would, interleaved. Writing is one transaction for each batch of 16.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from pathlib import Path

import lmdb

sys.path.insert(0, str(Path(__file__).parent))

from measuring import Figure, interleaved, publish

from dragoman.models.store import Store

ANSWER_BYTES, BATCH, ROUNDS = 576 * 4, 16, 200


class Lmdb:
    """The same promises with LMDB: durable when the process dies, not when the machine does."""

    def __init__(self, folder: str) -> None:
        self.env = lmdb.open(folder, map_size=2**32, metasync=False, sync=False)

    def put(self, answers: dict[bytes, bytes]) -> None:
        with self.env.begin(write=True) as transaction:
            for key, value in answers.items():
                transaction.put(key, value)

    def get(self, keys: list[bytes]) -> dict[bytes, bytes]:
        with self.env.begin() as transaction:
            return {key: bytes(transaction.get(key)) for key in keys}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--entries", type=int, default=20_000)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    keys = [os.urandom(20) for _ in range(options.entries)]
    with tempfile.TemporaryDirectory() as ours, tempfile.TemporaryDirectory() as theirs:
        sqlite, other = Store(ours), Lmdb(theirs)

        def new() -> dict[bytes, bytes]:
            return {os.urandom(20): os.urandom(ANSWER_BYTES) for _ in range(BATCH)}

        for start in range(0, len(keys), 1000):
            page = {key: os.urandom(ANSWER_BYTES) for key in keys[start : start + 1000]}
            sqlite.put(page)
            other.put(page)
        writes = interleaved([sqlite.put, other.put], new, ROUNDS)
        reads = interleaved([sqlite.get, other.get], lambda: random.sample(keys, BATCH), ROUNDS)
    figures = [
        Figure(f"read {BATCH} answers of {options.entries:,}", "LMDB", *reads),
        Figure(f"write {BATCH} answers", "LMDB", *writes),
    ]
    about = "The store, SQLite in WAL mode with a checksum an answer. Times in ms."
    publish(figures, options.out / "store.md", "Speed of the store on disk", about)


if __name__ == "__main__":
    main()

from __future__ import annotations

import numpy as np

from dragoman.tasks.atari_memory import Breakout, Pong


def memory(**values) -> np.ndarray:
    ram = np.zeros(128, dtype=np.uint8)
    for address, value in values.items():
        ram[int(address.removeprefix("at"))] = value
    return ram


def test_breakout_in_words():
    ram = memory(at72=99, at99=121, at101=118, at105=255, at103=254, at57=5, at76=1, at77=0x23)
    assert Breakout.read(ram).text() == (
        "The ball is 13 pixels right of the paddle and 60 pixels above it, and moves 1 right and "
        "2 up a frame. The paddle is 52 pixels from the left wall and 92 from the right one. "
        "Lives 5, score 123."
    )


def test_breakout_without_a_ball():
    assert Breakout.read(memory(at72=99, at57=2)).text() == (
        "There is no ball: fire to serve one. The paddle is 52 pixels from the left wall and 92 "
        "from the right one. Lives 2, score 0."
    )


def test_pong_in_words():
    ram = memory(at49=100, at54=127, at51=121, at50=123, at58=2, at56=1, at14=3, at13=20)
    assert Pong.read(ram).text() == (
        "The ball is 88 pixels left of your paddle and level with it, and moves 2 left and 1 down "
        "a frame. Your paddle, on the right, is 81 pixels from the top and 79 from the bottom; "
        "the opponent's is 1 pixel below that. You 3, opponent 20."
    )

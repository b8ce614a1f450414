from dragoman.maths.seeds import derive_seed


def test_golden_numbers() -> None:
    # The CRC-32 that gzip puts behind the bytes "evaluate/0/17".
    assert derive_seed("evaluate", 0, 17) == 0x957E09A7
    assert derive_seed("evaluate", 0, 17) != derive_seed("evaluate", 1, 17)

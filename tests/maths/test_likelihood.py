import numpy as np
import pytest

from dragoman.errors import ConfigError
from dragoman.maths.likelihood import domain_pmi, normalise

LOG_PROBS = [np.log(np.array(p, dtype=np.float32)) for p in ([0.5, 0.25], [0.125], [0.1, 0.2, 0.4])]
TEXTS = ["go left", "stay", "pick up the red ball"]


@pytest.mark.parametrize(
    ("how", "counts"), [("sum", [1, 1, 1]), ("token", [2, 1, 3]), ("word", [2, 1, 5])]
)
def test_closed_forms(how, counts) -> None:
    expected = np.log([0.125, 0.125, 0.008]) / counts
    got = normalise(LOG_PROBS, TEXTS, how)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_a_candidate_that_is_likely_anywhere_gains_nothing() -> None:
    here, anywhere = np.float32([-1.0, -2.0]), np.float32([-1.0, -5.0])
    np.testing.assert_array_equal(domain_pmi(here, anywhere), [0, 3])


def test_no_candidates() -> None:
    assert normalise([], []).shape == (0,)


def test_an_unknown_normalisation_is_named() -> None:
    with pytest.raises(ConfigError, match=r"'tokn' \(did you mean 'token'"):
        normalise(LOG_PROBS, TEXTS, "tokn")

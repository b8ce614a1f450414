"""Fixed scores, and strategies for others."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

X = np.array(
    [
        [0.31, 1.20, 0.05],
        [0.47, 0.90, 0.00],
        [0.52, 1.40, 0.11],
        [0.28, 0.75, 0.02],
        [0.66, 1.10, 0.30],
        [0.40, 1.31, 0.07],
    ]
)
Y = np.array(
    [
        [0.25, 1.00, 0.05],
        [0.47, 0.80, 0.00],
        [0.35, 1.50, 0.09],
        [0.30, 0.60, 0.02],
        [0.41, 1.05, 0.12],
    ]
)

NUMBERS = st.floats(-100, 100, width=32)


@st.composite
def scores(draw, *, runs=(2, 8), tasks=(1, 3)):
    shape = draw(st.tuples(st.integers(*runs), st.integers(*tasks)))
    return draw(arrays(np.float64, shape, elements=NUMBERS))

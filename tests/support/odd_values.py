"""Values that no function was made for, and what every function should make of them."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst


class Unreadable:
    """What libraries' tensors can be: something of which nothing can be read."""

    def fail(self, *_, **__):
        raise RuntimeError("several\nlines")

    __array__ = __len__ = __iter__ = __float__ = __index__ = __bool__ = __repr__ = fail


SMALL = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
SHAPES = st.one_of(SMALL, st.sampled_from([(2, 28, 28), (4, 10), (4,), (3, 784)]))
DTYPES = st.sampled_from(["uint8", "int64", "float32", "bool", "complex64", "U2", "M8[s]", "O"])
# All zeros: it is shape and type that matter, and what is drawn one by one takes long.
ARRAYS = st.builds(np.zeros, SHAPES, DTYPES)
NUMBERS = st.one_of(st.integers(), st.floats(), st.sampled_from([0, 1, 0.5, 10**400, True]))
OTHERS = st.sampled_from(
    [None, "", "x", "1", b"1", (), {}, object, [[1], [2, 3]], 1j, range(1000), [None, 1], ...]
    + [np.array([0, 10]), np.array([-1, 3]), np.full((2, 28, 28), np.nan), np.array([0.5, np.inf])]
    + [np.ma.masked_array([1, 2], [0, 1]), np.array([object(), None]), Unreadable()]
)
ODD_VALUES = st.one_of(ARRAYS, NUMBERS, OTHERS)


def one_line_errors(function, *arguments, **options):
    """Call a function; it returns, or raises a ValueError or TypeError of one short line."""
    try:
        function(*arguments, **options)
    except (ValueError, TypeError) as error:
        assert str(error).strip()
        assert len(str(error)) < 700
        assert len(str(error).splitlines()) == 1

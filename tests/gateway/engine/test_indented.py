"""What ``inspect`` prints is what the standard library would print."""

import json

from hypothesis import given
from hypothesis import strategies as st

from wingman_gateway.engine.indented import indented

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(VALUES)
def test_it_is_as_the_standard_library_has_it(value: object):
    assert indented(value) == json.dumps(value, ensure_ascii=False, indent=4)

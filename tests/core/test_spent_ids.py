"""A spent id stays spent, however many there are, in few bytes each."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from wingman_core.spent_ids import FIRST_SLOTS, SpentIds


@given(st.lists(st.text(max_size=3)))
def test_it_is_a_set(texts: list[str]):
    ids, known = SpentIds(), set()
    for text in texts:
        assert ids.spend(text) is (text not in known)
        known.add(text)
    assert len(ids) == len(known)


def test_it_grows_and_forgets_nothing_in_few_bytes_each():
    tracemalloc.start()
    ids = SpentIds()
    number = 8 * FIRST_SLOTS
    assert all(ids.spend(f"id {each}") for each in range(number))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 33 * number
    assert not any(ids.spend(f"id {each}") for each in range(number))
    assert len(ids) == number

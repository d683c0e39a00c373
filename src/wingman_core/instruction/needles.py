"""One pass over a text for every string that could matter to any check, so that all else is never looked at.

Guarantees: every occurrence of every needle is found, in time linear in the text (Aho-Corasick). An ordinary
instruction has few, and is checked in a fraction of the time that a search for each would take.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Generic, TypeVar

from ahocorasick_rs import AhoCorasick, Implementation

Topic = TypeVar("Topic")


class Needles(Generic[Topic]):
    """Strings by topic; a string may belong to several."""

    def __init__(self, topics: Mapping[Topic, Iterable[str]]) -> None:
        """Prepare the search; needles are found as they are written, so in lower case in a lower-case text."""
        self._topics: Final = tuple(topics)
        owners: dict[str, list[Topic]] = {}
        for topic, needles in topics.items():
            for needle in dict.fromkeys(needles):
                owners.setdefault(needle, []).append(topic)
        self._owners: Final = tuple(tuple(each) for each in owners.values())
        self._automaton: Final = AhoCorasick(tuple(owners), implementation=Implementation.DFA)

    def find(self, text: str) -> dict[Topic, list[int]]:
        """Return where needles of each topic begin, in the order in which they end."""
        found: dict[Topic, list[int]] = {topic: [] for topic in self._topics}
        for needle, start, _ in self._automaton.find_matches_as_indexes(text, overlapping=True):
            for topic in self._owners[needle]:
                found[topic].append(start)
        return found


def lower_case(text: str) -> str:
    """Return ``text`` in lower case, character for character: letters that would become two stay."""
    lower = text.lower()
    return lower if len(lower) == len(text) else text.translate(_ASCII_LOWER)


_ASCII_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}

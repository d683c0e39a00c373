"""How the modules of this package write down lists of words."""


def words(text: str) -> frozenset[str]:
    """Return the different words of ``text``."""
    return frozenset(text.split())

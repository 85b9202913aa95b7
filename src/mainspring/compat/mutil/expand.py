"""`mutil.expand`. Ours refuses what would give more than 10 000 texts."""

from mainspring.tools import expand_braces as expand_string_curly_braces

__all__ = ("expand_string_curly_braces", "expand_string_numeric")


def expand_string_numeric(part: str) -> list[str]:
    """Return the numbers of `A..B`, both included, as text; another text as it is."""
    return expand_string_curly_braces(f"{{{part}}}")

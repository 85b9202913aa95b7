"""`expand_braces`: one text with alternatives in braces becomes many."""

import itertools
import re
from typing import Final

from mainspring.errors import InvalidArgumentError
from mainspring.resilience import check_count
from mainspring.tools._values import check_text

_GROUP: Final = re.compile(r"\{([^{}]*)\}")


def expand_braces(text: str, *, limit: int = 10_000) -> list[str]:
    """Return every text that the groups `{a,b}` and `{1..3}` of `text` describe, the last group varying fastest.

    Alternatives are kept as they are, blanks and empty ones too; `{A..B}` counts up or down, both ends included,
    and may be one of several alternatives. Of nested groups only the innermost is expanded; a brace without its
    partner stands for itself.

    Args:
        text: what to expand.
        limit: how many texts may come out.

    Raises:
        InvalidArgumentError: more than `limit` would come out, or a range is not of whole numbers.

    Example:
        >>> expand_braces("host{1..3}.{a,b}")
        ['host1.a', 'host1.b', 'host2.a', 'host2.b', 'host3.a', 'host3.b']
    """
    check_text("text", text, empty=True)
    check_count("limit", limit, at_least=0)
    pieces = _GROUP.split(text)
    choices = [_alternatives(piece, limit) if place % 2 else [piece] for place, piece in enumerate(pieces)]
    count = 1
    for choice in choices:
        count *= len(choice)
        _check_count(count, limit)
    return ["".join(parts) for parts in itertools.product(*choices)]


def _alternatives(group: str, limit: int) -> list[str]:
    found: list[str] = []
    for part in group.split(","):
        if ".." not in part:
            found.append(part)
            continue
        numbers = _range(part)
        _check_count(len(found) + abs(numbers.stop - numbers.start), limit)
        found += [str(number) for number in numbers]
    return found


def _range(part: str) -> range:
    first, _, last = part.partition("..")
    try:
        start, end = int(first), int(last)
    except ValueError:
        raise InvalidArgumentError(argument="text", value=part, expected="a range of whole numbers, as 1..3") from None
    return range(start, end + 1) if start <= end else range(start, end - 1, -1)


def _check_count(count: int, limit: int) -> None:
    if count > limit:
        raise InvalidArgumentError(argument="text", value=count, expected=f"at most {limit} texts", hint="raise limit=")

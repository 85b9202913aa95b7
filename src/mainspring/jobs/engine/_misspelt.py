"""Says which names in the settings are most likely misspelt: they have no effect, and nobody would notice.

A settings file may hold tables of others, and jobs of another app on the same store, so what is unknown is no error.
"""

import logging
from collections.abc import Collection, Iterable
from difflib import get_close_matches

log = logging.getLogger(__name__)

_LIKENESS = 0.75  # "slotz" and "slots" have 0.8


def say_misspelt(what: str, names: Iterable[str], known: Collection[str]) -> None:
    """Warn about each name that nobody knows and that is much like a known one.

    Args:
        what: what they are names of.
    """
    for name in sorted(set(names).difference(known)):
        near = get_close_matches(name, known, n=1, cutoff=_LIKENESS)
        if near:
            log.warning("the settings name a %s %r that nobody knows; is %r meant?", what, name, near[0])

"""Compat: the import paths, names and spellings of the older libraries, over our own classes.

`from mainspring.compat import aiomisc` in the place of `import aiomisc`; or `install("aiomisc")` once, and the
plain imports work; or `python -m mainspring.compat -m app`, without touching the program.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.compat._install import install as install
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(__name__, {"_install": ("install",)})

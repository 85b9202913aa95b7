"""`mutil.dcache`: web answers through the disk. An error of the server is an error, and never kept."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any  # Any: the session of any HTTP client

from mainspring.base import make_private_folder
from mainspring.storage import FetchCache as _FetchCache

__all__ = ("FetchCache",)


class FetchCache(_FetchCache):
    """`mainspring.storage.FetchCache` with the older spellings; the directory is made at once."""

    def __init__(
        self,
        session: Any,
        url: str,
        filename: str,
        refreshMinutes: float | None = None,  # noqa: N803  # the older spelling
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        filepath: str | Path | None = None,
        cacheDir: str | Path = Path(".cache"),  # noqa: N803  # the older spelling
    ) -> None:
        super().__init__(session, url, filename, refreshMinutes, headers, params, filepath, cacheDir)
        make_private_folder(Path(cacheDir))

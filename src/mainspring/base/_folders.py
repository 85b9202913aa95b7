"""Folders that nobody else can read, and names that outlive a power cut."""

import os
from pathlib import Path


def make_private_folder(folder: Path) -> None:
    """Make a folder and its missing parents, all of them for this user only (0700); what is there stays as it is.

    `Path.mkdir(parents=True, mode=0o700)` leaves the parents open to all.

    Raises:
        NotADirectoryError: something else has the folder's or a parent's place.
        OSError: it cannot be made.
    """
    if folder.is_dir():
        return
    make_private_folder(folder.parent)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not folder.is_dir():
            raise NotADirectoryError(20, "Not a directory", str(folder)) from None


def sync_path(path: Path) -> None:
    """Make a file's bytes, or the names in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

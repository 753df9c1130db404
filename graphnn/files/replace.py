"""A file replaced as a whole: whatever happens, its old content or its new content stands there.

    write a new file beside it -> fsync -> rename over it -> fsync the directory

The rename puts all of the new content in place at once; it comes after the content is on the disk,
and the directory is synced so that it outlives a power failure. A process killed on the way leaves
one file behind, which the next one that saves to the same path removes.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path

__all__ = ["replace_file"]

Buffer = bytes | memoryview

_AT_ONCE = 1 << 26  # bytes in one write


def replace_file(path: str | os.PathLike[str], parts: Iterable[Buffer]) -> None:
    """Write ``parts``, one after the other, as the file ``path``; a file's mode is kept, a link's target replaced.

    Raises OSError, and leaves the old file as it was.
    """
    target = Path(os.path.realpath(path))
    _remove_abandoned(target)
    mode = _mode(target)
    if not target.parent.exists():
        raise FileNotFoundError(
            f"{target} cannot be written: there is no directory {target.parent}"
        )
    new = target.with_name(f".{target.name[:100]}.{os.getpid()}.{secrets.token_hex(4)}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        try:
            for part in parts:
                _write(descriptor, part)
            if mode is not None:
                os.chmod(new, mode)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(new, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(new)
        raise
    _sync_directory(target.parent)


def _write(descriptor: int, part: Buffer) -> None:
    """All of it, however little the system takes at a time."""
    rest = memoryview(part)
    while rest:
        rest = rest[os.write(descriptor, rest[:_AT_ONCE]) :]


def _mode(target: Path) -> int | None:
    """The permissions of the file that is there. Raises OSError for what is no file."""
    try:
        status = os.stat(target)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(f"{target} is a directory")
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"{target} is not a regular file")
    return stat.S_IMODE(status.st_mode)


def _sync_directory(directory: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_abandoned(target: Path) -> None:
    """Unfinished files of processes that are no more."""
    pattern = re.compile(re.escape(f".{target.name[:100]}.") + r"(\d+)\.[0-9a-f]{8}\.new")
    with contextlib.suppress(OSError):
        for name in os.listdir(target.parent):
            found = pattern.fullmatch(name)
            if found and not _is_running(int(found[1])):
                os.unlink(target.with_name(name))


def _is_running(process: int) -> bool:
    if os.name != "posix":
        return True  # there, signal 0 is no mere question
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True

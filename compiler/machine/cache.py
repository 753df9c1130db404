"""Compiled code kept on disk between processes, and never trusted blindly.

    directory   ours alone: mode 0700, and refused if others own it or may write to it
    file        MAGIC + sha256(key + payload) + payload, named by its key; put in place by one rename
    key         sha256 of all that the code depends on: the text, this package's own source, llvmlite and LLVM,
                the processor with its full list of features; the names of tensors are none of it

A file that is damaged, truncated, swapped or foreign is not executed: it counts as absent, is written anew, and one
warning is logged. Without a home or on a read-only disk everything works, only slower. The least recently used files
go when the directory grows above its limit, give or take a 64th: to look through it for each file would take the
longer the more it holds.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import logging
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

from ..language.form import Form, form
from ..language.system import System
from ..options import Settings
from ..target import Target

__all__ = ["LIMIT", "Cache", "generator_version", "module_key", "opened", "program_key"]

MAGIC = b"graphnn cache 1\n"
LIMIT = 512 << 20
_SHARES = 64
_DIGEST = hashlib.sha256().digest_size
_log = logging.getLogger("graphnn")


@functools.cache
def generator_version() -> str:
    """A digest of this package's source: other code would write other code."""
    digest = hashlib.sha256()
    package = Path(__file__).parents[1]
    for path in sorted(package.rglob("*.py")):
        digest.update(f"{path.relative_to(package)}:".encode() + path.read_bytes())
    return digest.hexdigest()


def _key(kind: str, *parts: object) -> str:
    return hashlib.sha256(json.dumps([kind, generator_version(), *parts]).encode()).hexdigest()


def module_key(text: str, target: Target, versions: str) -> str:
    """Key of the object made from one module's text."""
    return _key("module", versions, astuple(target), text)


def program_key(system: System, settings: Settings, versions: str) -> str:
    """Key of everything made from a system, whatever its tensors are called: found, it saves every stage."""
    described = _described(system)
    return _key("program", versions, astuple(settings.target), settings.windows, *described)


def _described(system: System) -> Iterator[object]:
    """All that a system is but names; of equations that are alike the first, and the tensors of the others."""
    numbers = {t.name: k for k, t in enumerate(system.tensors)}
    forms: dict[Form, int] = {}
    firsts, equations = list[str](), list[object]()
    for equation in system.equations:
        own, names = form(equation)
        if own not in forms:
            forms[own] = len(forms)
            firsts.append(repr(own.nameless))
        equations.append((forms[own], [numbers[name] for name in names]))
    yield [(t.shape, t.dtype, t.role) for t in system.tensors]
    yield from (
        firsts,
        equations,
        [(numbers[state], numbers[new]) for state, new in system.updates],
    )


@functools.cache  # one warning for one cause
def _warn(message: str) -> None:
    _log.warning(message)


@dataclass(frozen=True, slots=True)
class Cache:
    """Bytes by key in a directory that is known to be safe; see `opened`."""

    directory: Path
    limit: int = LIMIT

    def get(self, key: str) -> bytes | None:
        """What was put under ``key``, if it is whole."""
        path = self.directory / key
        try:
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
            with open(descriptor, "rb") as file:
                data = file.read() if _is_ours(os.fstat(descriptor)) else b""
        except FileNotFoundError:
            return None
        except OSError as error:
            _warn(
                f"the cache in {self.directory} cannot be read ({error.strerror}); compiling anew"
            )
            return None
        start = len(MAGIC) + _DIGEST
        payload = data[start:]
        if data[:start] != MAGIC + _checksum(key, payload):
            _warn(f"damaged or foreign file in the cache: {path}; compiling anew")
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # recently used
        return payload

    def put(self, key: str, payload: bytes) -> None:
        """Keep ``payload``; readers see all of it or nothing."""
        try:
            descriptor, name = tempfile.mkstemp(dir=self.directory, prefix=".new-")
            checksum = _checksum(key, payload)
            try:
                with open(descriptor, "wb") as file:
                    file.write(MAGIC + checksum + payload)
                os.replace(name, self.directory / key)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(name)
                raise
            if self._is_due(checksum, len(payload)):
                self._shrink()
        except OSError as error:
            _warn(f"the cache in {self.directory} cannot be written ({error.strerror})")

    def _is_due(self, checksum: bytes, size: int) -> bool:
        """Once for each 64th of the limit that is written, by all processes together: the checksum is the die."""
        return int.from_bytes(checksum[:4]) * self.limit < (size * _SHARES) << 32

    def _shrink(self) -> None:
        """Drop what was not used for longest until the rest fits the limit."""
        files = []
        for entry in os.scandir(self.directory):
            with contextlib.suppress(OSError):  # another process may have dropped it
                status = entry.stat(follow_symlinks=False)
                files.append((status.st_mtime_ns, status.st_size, entry.path))
        excess = sum(size for _, size, _ in files) - self.limit
        for _, size, path in sorted(files):
            if excess <= 0:
                return
            with contextlib.suppress(OSError):
                os.unlink(path)
            excess -= size


def _checksum(key: str, payload: bytes) -> bytes:
    return hashlib.sha256(key.encode() + payload).digest()


def _is_ours(status: os.stat_result) -> bool:
    """Nobody else could have written it."""
    if not hasattr(os, "geteuid"):
        return True
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def opened(directory: Path | None, limit: int = LIMIT) -> Cache | None:
    """The cache in ``directory``, made if need be; None where there is none or it is not safe to use."""
    if directory is None:
        return None
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = os.stat(directory)
    except OSError as error:
        _warn(f"no cache: {directory} cannot be made ({error.strerror})")
        return None
    if not _is_ours(status):
        _warn(f"no cache: {directory} belongs to another user, or others may write to it")
        return None
    return Cache(directory, limit)

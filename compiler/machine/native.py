"""Native: machine code that all executables share, made once for a machine: how threads wait and share, and the loop.

native("alone")(address)        the function of `barrier`, `pieces` or `loop` with this name
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

from ..code.barrier import barrier_text
from ..options import cache_directory
from ..target import Target, host
from . import jit
from .cache import module_key, opened
from .locks import lock
from .loop import loop_text

__all__ = ["address", "native", "native_text"]

_POINTER, _NUMBER = ctypes.c_void_p, ctypes.c_int64
_FUNCTIONS = {
    "barrier": (_POINTER, _NUMBER),
    "run": (_POINTER, _POINTER),
    "give": (_POINTER, _NUMBER, _POINTER),
    "work": (_POINTER, _NUMBER),
    "drive": (_POINTER, _POINTER, _NUMBER, _NUMBER),
    "alone": (_POINTER,),
    "control": (),
    "take": (_POINTER, *4 * (_NUMBER,)),
}


def native_text(target: Target) -> str:
    """The module."""
    return barrier_text(target) + loop_text(target)


_making = lock()


def _library() -> jit.Library:
    """The one library: with a second one, the code of the first would be gone while threads run it."""
    with _making:
        return _made()


@cache
def _made() -> jit.Library:
    text, store = native_text(host()), opened(cache_directory())
    key = module_key(text, host(), jit.versions())
    data = store.get(key) if store else None
    if data is None:
        (data,) = jit.compile_modules([text], host())
        if store:
            store.put(key, data)
    return jit.load([data], list(_FUNCTIONS))


def address(symbol: str) -> int:
    """Where a function is."""
    return _library().addresses[symbol]


@cache
def native(symbol: str) -> Callable[..., None]:
    """A function, for Python."""
    return jit.function(_library(), symbol, *_FUNCTIONS[symbol])

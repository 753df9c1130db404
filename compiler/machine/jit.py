"""LLVM assembly in, callable machine code out: text -> object bytes -> memory of this process.

Two steps that are apart on purpose: an object can be kept (see `cache`) and loaded by another
process. No pass of LLVM's optimizer runs, only its code generator; the text says exactly what shall
be computed.

Several modules are compiled on several threads. llvmlite holds one lock around every call, so the
threads speak to the same shared library through a handle of their own; LLVM itself is safe with one
context per thread. Where the functions that this needs are missing, the modules are compiled one
after the other, to the same bytes.
"""

from __future__ import annotations

import ctypes
import itertools
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from queue import PriorityQueue, SimpleQueue
from typing import Any

from ..errors import CompilerError
from ..target import Target, host
from .locks import lock

__all__ = [
    "OPTIMIZATION",
    "Library",
    "assembly",
    "compile_modules",
    "compiling",
    "function",
    "load",
    "versions",
]

OPTIMIZATION = 2
PLAIN = 0  # of functions that only call others: all else takes LLVM longer than the kernels do, and gains nothing
_names = itertools.count()
_linking = lock()


@cache
def versions() -> str:
    """What object code depends on besides its text and target."""
    import llvmlite

    llvm = ".".join(map(str, _binding().llvm_version_info))
    return f"llvmlite {llvmlite.__version__}, LLVM {llvm}, optimization {OPTIMIZATION} {PLAIN}"


@cache
def _binding() -> Any:
    """llvmlite, ready to make code. Lazy: loading LLVM takes longer than all else."""
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding


def _machine(target: Target, optimization: int = OPTIMIZATION) -> Any:
    binding = _binding()
    if target.triple.split("-")[0] != binding.get_process_triple().split("-")[0]:
        binding.initialize_all_targets()
        binding.initialize_all_asmprinters()
    return binding.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu,
        features=target.features,
        opt=optimization,
        reloc="pic",
        codemodel="small",
    )


def _addressed(text: str, target: Target, machine: Any) -> str:
    """The module's text with the machine that it is for."""
    layout = f'target datalayout = "{machine.target_data}"'
    return f'{layout}\ntarget triple = "{target.triple}"\n{text}'


def _refused(error: object) -> CompilerError:
    return CompilerError(f"the code that was written is no valid LLVM: {error}")


def _parsed(text: str, target: Target, machine: Any) -> Any:
    binding = _binding()
    try:
        module = binding.parse_assembly(_addressed(text, target, machine), binding.create_context())
        module.verify()
    except RuntimeError as error:
        raise _refused(error) from error
    return module


def assembly(text: str, target: Target, is_plain: bool = False) -> str:
    """Machine assembly of a module, for any target."""
    machine = _machines(target)[is_plain]
    return str(machine.emit_assembly(_parsed(text, target, machine)))


def compile_modules(
    texts: Sequence[str], target: Target, threads: int = 1, plain: Collection[str] = ()
) -> tuple[bytes, ...]:
    """One object file per module; those in ``plain`` do nothing but call others."""
    with compiling(target, min(threads, len(texts))) as begin:
        made = [begin(text, text in plain) for text in texts]
    return tuple(each.result() for each in made)


@contextmanager
def compiling(target: Target, threads: int = 1) -> Iterator[Callable[[str, bool], Future[bytes]]]:
    """To begin with the object file of a module, which may do nothing but call others; there is one in the end.

    On one thread it is made at once; several make what is longest first, while more modules are written.
    """
    library = _unlocked() if threads > 1 else None
    if library is None:
        yield partial(_compile_now, target, _machines(target))
        return
    with ThreadPoolExecutor(threads) as pool:
        yield _Workers(library, target, threads, pool).begin


def _compile_now(
    target: Target, machines: tuple[Any, Any], text: str, is_plain: bool
) -> Future[bytes]:
    machine, made = machines[is_plain], Future[bytes]()
    made.set_result(machine.emit_object(_parsed(text, target, machine)))
    return made


def _machines(target: Target) -> tuple[Any, Any]:
    """One for kernels, one for what is plain."""
    return _machine(target), _machine(target, PLAIN)


# --- the same without llvmlite's lock ----------------------------------------------------------------

_POINTER, _TEXT, _NUMBER = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
_MESSAGE = ctypes.POINTER(ctypes.c_void_p)
_PROTOTYPES: dict[str, tuple[Any, ...]] = {  # name: result, arguments
    "ContextCreate": (_POINTER,),
    "ContextDispose": (None, _POINTER),
    "ParseAssembly": (_POINTER, _POINTER, _TEXT, _MESSAGE),
    "VerifyModule": (ctypes.c_bool, _POINTER, _MESSAGE),
    "DisposeModule": (None, _POINTER),
    "TargetMachineEmitToMemory": (_POINTER, _POINTER, _POINTER, _NUMBER, _MESSAGE),
    "GetBufferStart": (_POINTER, _POINTER),
    "GetBufferSize": (ctypes.c_size_t, _POINTER),
    "DisposeMemoryBuffer": (None, _POINTER),
    "DisposeString": (None, _POINTER),
}
# Others may go on meanwhile. To all else the interpreter's lock is kept: who gives it away waits for it afterwards.
_LONG = ("ParseAssembly", "VerifyModule", "TargetMachineEmitToMemory")


@cache
def _unlocked() -> dict[str, Callable[..., Any]] | None:
    """The functions of llvmlite's library through an own handle; None where one is missing."""
    _binding()
    try:
        from llvmlite.binding import ffi

        long, short = ctypes.CDLL(ffi.lib._name), ctypes.PyDLL(ffi.lib._name)
        found = {}
        for name, (result, *arguments) in _PROTOTYPES.items():
            found[name] = getattr(long if name in _LONG else short, f"LLVMPY_{name}")
            found[name].restype, found[name].argtypes = result, arguments
    except (AttributeError, ImportError, OSError):
        return None
    return found


def _compile_unlocked(
    library: dict[str, Callable[..., Any]], text: str, target: Target, machine: Any
) -> bytes:
    """The object of a module, in a context of its own."""
    message = ctypes.c_void_p()
    source = _addressed(text, target, machine).encode()
    context = library["ContextCreate"]()
    try:
        module = library["ParseAssembly"](context, source, message)
        if not module:
            raise _refused(_taken(library, message))
        try:
            broken = library["VerifyModule"](module, message)
            cause = _taken(library, message)  # there is one, if empty, for a right module too
            if broken:
                raise _refused(cause)
            address = ctypes.cast(machine._ptr, _POINTER)
            buffer = library["TargetMachineEmitToMemory"](address, module, 1, message)
            if not buffer:
                raise _refused(_taken(library, message))
        finally:
            library["DisposeModule"](module)
    finally:
        library["ContextDispose"](context)
    size = library["GetBufferSize"](buffer)
    data = ctypes.string_at(library["GetBufferStart"](buffer), size)
    library["DisposeMemoryBuffer"](buffer)
    return data


class _Workers:
    """The threads of a pool, each with machines of its own."""

    def __init__(
        self,
        library: dict[str, Callable[..., Any]],
        target: Target,
        threads: int,
        pool: ThreadPoolExecutor,
    ) -> None:
        self.library, self.target, self.threads, self.pool = library, target, threads, pool
        self.count = 0  # of what has begun
        self.machines = SimpleQueue[tuple[Any, Any]]()  # that are free
        self.waiting = PriorityQueue[tuple[int, int, str, bool, Future[bytes]]]()

    def begin(self, text: str, is_plain: bool) -> Future[bytes]:
        if self.count < self.threads:
            self.machines.put(_machines(self.target))
        self.count += 1
        made = Future[bytes]()
        self.waiting.put((-len(text), self.count, text, is_plain, made))
        self.pool.submit(self.work)
        return made

    def work(self) -> None:
        *_, text, is_plain, made = self.waiting.get()
        machines = self.machines.get()
        try:
            machine = machines[is_plain]
            made.set_result(_compile_unlocked(self.library, text, self.target, machine))
        except Exception as error:
            made.set_exception(error)
        finally:
            self.machines.put(machines)


def _taken(library: dict[str, Callable[..., Any]], message: ctypes.c_void_p) -> str:
    """LLVM's message, its memory given back."""
    text = ctypes.string_at(message.value).decode(errors="replace") if message.value else ""
    library["DisposeString"](message)
    message.value = None
    return text


# --- into this process -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Library:
    """Loaded code: addresses by symbol. The code lives as long as this object does, no longer:
    whoever keeps an address keeps the library."""

    addresses: dict[str, int]
    _tracker: Any


@cache
def _linker() -> Any:
    binding = _binding()
    modern = sys.platform.startswith("linux")  # elsewhere JITLink is not complete
    machine = _machine(host())
    return binding.create_lljit_compiler(machine, use_jit_link=modern, suppress_errors=True)


def load(objects: Sequence[bytes], symbols: Sequence[str]) -> Library:
    """Link objects into this process and find the symbols."""
    with _linking:
        builder = _binding().JITLibraryBuilder()
        for data in objects:
            builder.add_object_img(data)
        builder.add_current_process()
        for symbol in symbols:
            builder.export_symbol(symbol)
        try:
            tracker = builder.link(_linker(), f"graphnn.{next(_names)}")
        except RuntimeError as error:
            raise CompilerError(f"compiled code cannot be linked: {error}") from error
        return Library({symbol: tracker[symbol] for symbol in symbols}, tracker)


def function(library: Library, symbol: str, *argument_types: Any) -> Callable[..., None]:
    """A foreign function that releases the interpreter's lock; keep ``library`` while it is used."""
    prototype: Callable[[int], Callable[..., None]] = ctypes.CFUNCTYPE(None, *argument_types)
    return prototype(library.addresses[symbol])

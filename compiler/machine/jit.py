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
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..errors import CompilerError
from ..target import Target, host
from .locks import lock

__all__ = [
    "OPTIMIZATION",
    "Library",
    "assembly",
    "compile_modules",
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
    count = min(threads, len(texts))
    if count > 1 and (library := _unlocked()) is not None:
        machines = [_machines(target) for _ in range(count)]
        with ThreadPoolExecutor(count) as pool:
            parts = [
                pool.submit(_compile_unlocked, library, texts[k::count], target, own, plain)
                for k, own in enumerate(machines)
            ]
            by_thread = [part.result() for part in parts]
        return tuple(by_thread[k % count][k // count] for k in range(len(texts)))
    own = _machines(target)
    return tuple(
        own[text in plain].emit_object(_parsed(text, target, own[text in plain])) for text in texts
    )


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


@cache
def _unlocked() -> dict[str, Callable[..., Any]] | None:
    """The functions of llvmlite's library through an own handle; None where one is missing."""
    _binding()
    try:
        from llvmlite.binding import ffi

        library = ctypes.CDLL(ffi.lib._name)
        found = {}
        for name, (result, *arguments) in _PROTOTYPES.items():
            found[name] = getattr(library, f"LLVMPY_{name}")
            found[name].restype, found[name].argtypes = result, arguments
    except (AttributeError, ImportError, OSError):
        return None
    return found


def _compile_unlocked(
    library: dict[str, Callable[..., Any]],
    texts: Sequence[str],
    target: Target,
    machines: tuple[Any, Any],
    plain: Collection[str],
) -> list[bytes]:
    """Objects of some modules, in a context of their own."""
    message = ctypes.c_void_p()
    context = library["ContextCreate"]()

    def emit(text: str) -> bytes:
        machine = machines[text in plain]
        source = _addressed(text, target, machine).encode()
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
        size = library["GetBufferSize"](buffer)
        data = ctypes.string_at(library["GetBufferStart"](buffer), size)
        library["DisposeMemoryBuffer"](buffer)
        return data

    try:
        return [emit(text) for text in texts]
    finally:
        library["ContextDispose"](context)


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

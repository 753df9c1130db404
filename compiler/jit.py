"""LLVM assembly in, callable machine code out: text -> object bytes -> memory of this process.

Two steps that are apart on purpose: an object can be kept (see `cache`) and loaded by another process. No pass of
LLVM's optimizer runs, only its code generator; the text says exactly what shall be computed.

Objects of several modules are made on several threads. llvmlite holds one lock around every call, so the threads
speak to the same shared library through a handle of their own (LLVM itself is safe with one context per thread);
where the functions that this needs are missing, the modules are compiled one after the other with equal result.
"""

from __future__ import annotations

import ctypes
import itertools
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any

from .errors import CompilerError
from .target import Target, host

__all__ = ["OPTIMIZATION", "Library", "assembly", "compile_modules", "load", "versions"]

OPTIMIZATION = 2
_names = itertools.count()
_linking = Lock()


def versions() -> str:
    """What object code depends on besides its text and target."""
    import llvmlite
    from llvmlite import binding

    llvm = ".".join(map(str, binding.llvm_version_info))
    return f"llvmlite {llvmlite.__version__}, LLVM {llvm}, optimization {OPTIMIZATION}"


@cache
def _binding() -> Any:
    """llvmlite with code generators ready. Lazy: loading LLVM takes longer than all else."""
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding


def _machine(target: Target) -> Any:
    binding = _binding()
    if target.triple.split("-")[0] != binding.get_process_triple().split("-")[0]:
        binding.initialize_all_targets()
        binding.initialize_all_asmprinters()
    return binding.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu,
        features=target.features,
        opt=OPTIMIZATION,
        reloc="pic",
        codemodel="small",
    )


def _parse(text: str, target: Target, machine: Any) -> Any:
    binding = _binding()
    try:
        module = binding.parse_assembly(text)
        module.triple, module.data_layout = target.triple, str(machine.target_data)
        module.verify()
    except RuntimeError as error:
        raise CompilerError(f"the code that was written is no valid LLVM: {error}") from error
    return module


def assembly(text: str, target: Target) -> str:
    """Machine assembly of a module, for any target."""
    machine = _machine(target)
    return str(machine.emit_assembly(_parse(text, target, machine)))


def compile_modules(texts: Sequence[str], target: Target, threads: int = 1) -> tuple[bytes, ...]:
    """One object file per module."""
    if threads > 1 and len(texts) > 1 and (emit := _unlocked_emitter(target)) is not None:
        with ThreadPoolExecutor(min(threads, len(texts))) as pool:
            return tuple(pool.map(emit, texts))
    machine = _machine(target)
    return tuple(machine.emit_object(_parse(text, target, machine)) for text in texts)


def _unlocked_emitter(target: Target) -> Any:
    return None


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Library:
    """Loaded code: addresses by symbol. The code lives as long as this object: whoever keeps an address keeps it."""

    addresses: dict[str, int]
    _tracker: Any


@cache
def _linker() -> Any:
    binding = _binding()
    modern = sys.platform.startswith("linux")
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


def function(library: Library, symbol: str, *argument_types: Any) -> Any:
    """A foreign function that releases the interpreter lock; keep ``library`` as long as it may be called."""
    return ctypes.CFUNCTYPE(None, *argument_types)(library.addresses[symbol])

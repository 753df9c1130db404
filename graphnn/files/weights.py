"""Weights alone in a file, .safetensors or .npz, by names that do not depend on what was built before.

A layer that was not named bears a number that counts through the process (``dense_7``); in a file it
bears its number in the model (``dense_1``), so that the same program finds its weights again.
"""

from __future__ import annotations

import io
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from ..errors import FormatError, GraphnnError, ShapeError
from ..graph.node import Parameter
from ..layers.base import Layer, assign_all, snake_case
from .container import pack, read_container
from .limits import DEFAULT, Limits
from .replace import replace_file

if TYPE_CHECKING:
    from ..model import Model

__all__ = ["PRIVATE", "load_weights", "save_weights", "unique", "weight_names"]

_LONGEST_HEADER = 10_000
_HEADER = re.compile(  # what numpy writes, and no more: a header is not evaluated
    rb"\{'descr': '(?P<dtype>[<>|]([iu][1248]|f[248]|b1))', 'fortran_order': (?P<by_columns>True|False),"
    rb" 'shape': \((?P<shape>[0-9, ]{0,700})\), \}[ \n]*"
)
PRIVATE = "graphnn:"  # begins the names of arrays of a model file that are no weights


def save_weights(model: Model, path: str | os.PathLike[str]) -> None:
    """Write the weights, as .npz if the path ends so, else as safetensors. Raises OSError."""
    arrays = {name: p.value for name, p in weight_names(model.layers, model.weights).items()}
    if _is_npz(path):
        replace_file(path, [_packed_npz(arrays)])
    else:
        replace_file(path, pack(arrays, {"format": "np"}))


def load_weights(model: Model, path: str | os.PathLike[str], limits: Limits = DEFAULT) -> None:
    """Read the weights from such a file, or from that of a whole model; nothing is written before all fit.

    Raises OSError, `FormatError`, `GraphnnError` where names differ, `ShapeError` and `DtypeError`.
    """
    wanted = weight_names(model.layers, model.weights)
    if _is_npz(path):
        arrays = _read_npz(path, wanted)
    else:
        found = read_container(path, limits).arrays
        arrays = {name: array for name, array in found.items() if not name.startswith(PRIVATE)}
    _check_names(list(wanted), list(arrays), path)
    assign_all(list(wanted.values()), [arrays[name] for name in wanted], os.fspath(path))


def weight_names(layers: Sequence[Layer], weights: Sequence[Parameter]) -> dict[str, Parameter]:
    """The weights by their names in files."""
    owners = {id(p): layer for layer in layers for p in layer.weights}
    names = _layer_names(layers)
    within = {layer: _names_within(layer) for layer in dict.fromkeys(owners.values())}
    found: dict[str, Parameter] = {}
    for weight in weights:
        name = weight.name
        if owner := owners.get(id(weight)):
            name = f"{names[owner]}.{within[owner][weight]}"
        found[unique(name, found)] = weight
    return found


def _names_within(layer: Layer) -> dict[Parameter, str]:
    """The names of a layer's weights in it; those of a model are what they are in a file of its own."""
    if layer.layers:
        return {p: name for name, p in weight_names(layer.layers, layer.weights).items()}
    return {p: p.name.removeprefix(f"{layer.name}.") for p in layer.weights}


def _layer_names(layers: Sequence[Layer]) -> dict[Layer, str]:
    """Numbers of layers that were not named, counted anew."""
    layer_of: dict[str, Layer] = {}
    for layer in layers:
        base = snake_case(layer.kind)
        is_counted = layer.name == base or layer.name.removeprefix(f"{base}_").isdecimal()
        layer_of[unique(base if is_counted else layer.name, layer_of)] = layer
    return {layer: name for name, layer in layer_of.items()}


def unique(name: str, taken: Container[str]) -> str:
    """``name``, or with the first number that makes it new."""
    number, found = 0, name
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    return found


def _check_names(wanted: list[str], found: list[str], path: str | os.PathLike[str]) -> None:
    missing = [name for name in wanted if name not in found]
    foreign = [name for name in found if name not in wanted]
    if missing or foreign:
        parts = [
            f"{what} {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"
            for what, names in (("it lacks", missing), ("the model has no", foreign))
            if names
        ]
        raise GraphnnError(f"{os.fspath(path)} holds other weights: {'; '.join(parts)}")


def _is_npz(path: str | os.PathLike[str]) -> bool:
    return Path(path).suffix.lower() == ".npz"


def _packed_npz(arrays: Mapping[str, np.ndarray]) -> memoryview:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, array, allow_pickle=False)
    return memory.getbuffer()


def _read_npz(
    path: str | os.PathLike[str], wanted: Mapping[str, Parameter]
) -> dict[str, np.ndarray]:
    """The arrays; how large they are is known from the model, so that nothing larger is unpacked."""
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return _unpacked(archive, wanted, path)
        except GraphnnError:
            raise
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            OSError,  # a place that no file has
            RuntimeError,  # encrypted, or packed in a way that is not known
            ValueError,  # no text, no number, a name that is none
            struct.error,
            OverflowError,
            MemoryError,
        ) as error:
            raise FormatError(f"{os.fspath(path)}: damaged, or no .npz file: {error}") from None


def _unpacked(
    archive: zipfile.ZipFile, wanted: Mapping[str, Parameter], path: str | os.PathLike[str]
) -> dict[str, np.ndarray]:
    entries = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
    if len(entries) != len(archive.infolist()):
        raise FormatError(f"{os.fspath(path)}: a name stands twice")
    _check_names(list(wanted), list(entries), path)
    arrays = {}
    for name, entry in entries.items():
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise FormatError(f"{os.fspath(path)}: {name} is packed in an unknown way")
        with archive.open(entry) as stream:
            arrays[name] = _read_npy(stream, wanted[name])
    return arrays


def _read_npy(stream: IO[bytes], parameter: Parameter) -> np.ndarray:
    """One array of the parameter's shape; the header says so before the data are read."""
    start = stream.read(8)
    width = {b"\x93NUMPY\x01\x00": 2, b"\x93NUMPY\x02\x00": 4}.get(start)
    if width is None:
        raise FormatError(f"{parameter.name}: no array of numpy, or of an unknown version")
    length = int.from_bytes(stream.read(width), "little")
    header = _HEADER.fullmatch(stream.read(min(length, _LONGEST_HEADER)))
    if header is None:
        raise FormatError(f"{parameter.name}: the array is damaged, or not one of plain numbers")
    shape = tuple(int(size) for size in header["shape"].split(b",") if size.strip())
    if shape != parameter.value.shape:
        raise ShapeError(
            f"{parameter.name}: expected an array of shape {parameter.value.shape}, got {shape}"
        )
    dtype = np.dtype(header["dtype"].decode())
    size = parameter.value.size * dtype.itemsize
    data = stream.read(size + 1)
    if len(data) != size:
        raise FormatError(f"{parameter.name}: expected {size} bytes, there are fewer or more")
    array = np.frombuffer(data, dtype)
    return array.reshape(shape, order="F" if header["by_columns"] == b"True" else "C")

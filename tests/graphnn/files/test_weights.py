"""Weights alone in files: safetensors and npz, checked against the model before anything is written."""

import contextlib
import io
import zipfile

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import graphnn as gn
from graphnn.layers import Dense

from .models import classifier, same

FORMATS = ("weights.safetensors", "weights.npz", "weights")


def filled(model, value):
    """The model with all weights of one value."""
    for weight in model.weights:
        weight.assign(np.full(weight.value.shape, value))
    return model


@pytest.mark.parametrize("name", FORMATS)
def test_weights_come_back(name, tmp_path):
    """What was saved is loaded, bit for bit, into another model of the same program."""
    model = classifier()
    model.save_weights(tmp_path / name)
    other = filled(classifier(), 7)
    assert other.layers[0].name != model.layers[0].name
    other.load_weights(tmp_path / name)
    assert same(other.get_weights(), model.get_weights())


def test_other_tools_read_and_write_them(tmp_path):
    """The names count layers within the model; safetensors and NumPy read and write the same."""
    model = classifier()
    names = ["dense.kernel", "dense.bias", "dense_1.kernel", "dense_1.bias"]
    arrays = dict(zip(names, model.get_weights(), strict=True))
    model.save_weights(tmp_path / "ours.safetensors")
    model.save_weights(tmp_path / "ours.npz")
    with np.load(tmp_path / "ours.npz") as theirs:
        assert same([theirs[n] for n in names], arrays.values())
    theirs = load_file(tmp_path / "ours.safetensors")
    assert same([theirs[n] for n in names], arrays.values())
    save_file(arrays, tmp_path / "theirs.safetensors")
    np.savez(tmp_path / "theirs.npz", **arrays)
    np.savez_compressed(tmp_path / "packed.npz", **arrays)
    for name in ("theirs.safetensors", "theirs.npz", "packed.npz"):
        other = filled(classifier(), 7)
        other.load_weights(tmp_path / name)
        assert same(other.get_weights(), model.get_weights())


def test_weights_of_a_whole_model(tmp_path):
    """load_weights takes them from a model's file too, and leaves its states aside."""
    model = classifier()
    model.save(tmp_path / "model")
    other = filled(classifier(), 7)
    other.load_weights(tmp_path / "model")
    assert same(other.get_weights(), model.get_weights())


def test_given_names_are_kept(tmp_path):
    """A layer that was named is found by its name; two of one name are told apart by their order."""
    x = gn.Input((None, 4), "x")
    y = Dense(2, name="twin")(Dense(4, name="twin")(Dense(4, name="first")(x)))
    model = gn.Model(x, y)
    model.save_weights(tmp_path / "w.safetensors")
    assert set(load_file(tmp_path / "w.safetensors")) == {
        f"{layer}.{kind}" for layer in ("first", "twin", "twin_1") for kind in ("kernel", "bias")
    }
    before = model.get_weights()
    filled(model, 7).load_weights(tmp_path / "w.safetensors")
    assert same(model.get_weights(), before)


@pytest.mark.parametrize("name", FORMATS)
def test_what_does_not_fit_writes_nothing(name, tmp_path):
    """Other names, other shapes, other kinds of numbers: an error that says which, and no weight changed."""

    def check(arrays, error, message):
        path = tmp_path / name
        if name.endswith("npz"):
            np.savez(path, **arrays)
        else:
            save_file(arrays, path)
        with pytest.raises(error, match=message):
            model.load_weights(path)
        assert all((w == 7).all() for w in model.get_weights())

    model = filled(classifier(), 7)
    names = ["dense.kernel", "dense.bias", "dense_1.kernel", "dense_1.bias"]
    arrays = {n: np.zeros_like(w) for n, w in zip(names, model.get_weights(), strict=True)}
    fewer = {n: a for n, a in arrays.items() if n != "dense_1.bias"}
    check(fewer, gn.GraphnnError, "it lacks dense_1.bias")
    check(
        {**fewer, "dense_1.gamma": np.zeros(3)}, gn.GraphnnError, "the model has no dense_1.gamma"
    )
    check({**arrays, "dense_1.bias": np.zeros(4, "float32")}, gn.ShapeError, r"\(3,\).*got \(4,\)")
    check({**arrays, "dense.kernel": np.zeros((5, 4), "float32")}, gn.ShapeError, r"\(4, 5\)")


def test_a_real_number_is_no_whole_number(tmp_path):
    """Float arrays do not go into integer parameters; float64 goes into float32."""
    x = gn.Input((None, 4), "x", "int64")
    model = gn.Model(x, x * gn.Parameter(np.arange(4), "steps"))
    save_file({"steps": np.ones(4)}, tmp_path / "w")
    with pytest.raises(gn.DtypeError, match="steps: expected int64"):
        model.load_weights(tmp_path / "w")
    other = classifier()
    save_file(
        {
            f"{'dense' if k < 2 else 'dense_1'}.{'kernel' if k % 2 == 0 else 'bias'}": w.astype(
                "float64"
            )
            for k, w in enumerate(other.get_weights())
        },
        tmp_path / "w64",
    )
    other.load_weights(tmp_path / "w64")


def test_a_missing_file_is_an_ordinary_error(tmp_path):
    """FileNotFoundError, as from open; a directory is none either."""
    for load in (classifier().load_weights, gn.load_model):
        with pytest.raises(FileNotFoundError):
            load(tmp_path / "nothing")
        with pytest.raises(IsADirectoryError):
            load(tmp_path)


def test_weights_are_no_model(tmp_path):
    """load_model of weights says what they are."""
    classifier().save_weights(tmp_path / "w")
    with pytest.raises(gn.FormatError, match="load_weights"):
        gn.load_model(tmp_path / "w")


def rewritten(data, change):
    """An .npz with its entries changed."""
    memory = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(memory, "w") as new:
        for entry in old.infolist():
            new.writestr(entry.filename, change(entry.filename, old.read(entry)))
    return memory.getvalue()


def test_hostile_archives(tmp_path):
    """Objects to unpickle, other shapes, more or fewer bytes, unknown packing: FormatError, nothing written."""
    model = filled(classifier(), 7)
    path = tmp_path / "w.npz"
    model.save_weights(path)
    data = path.read_bytes()
    objects = io.BytesIO()
    np.save(objects, np.array([print, None, 1], object), allow_pickle=True)
    changes = [
        lambda name, body: objects.getvalue() if name == "dense_1.bias.npy" else body,
        lambda name, body: body[:-1],
        lambda name, body: body + b"\0",
        lambda name, body: body[:5],
        lambda name, body: b"",
        lambda name, body: body.replace(b"NUMPY\x01", b"NUMPY\x09"),
        lambda name, body: body.replace(b"'<f4'", b"'|O' "),
        lambda name, body: body.replace(b"(3,)", b"(-3,"),
        lambda name, body: body.replace(b"{", b"["),
    ]
    for change in changes:
        path.write_bytes(rewritten(data, change))
        with pytest.raises(gn.GraphnnError):
            model.load_weights(path)
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_LZMA) as archive:
        for name in ("dense.kernel", "dense.bias", "dense_1.kernel", "dense_1.bias"):
            archive.writestr(f"{name}.npy", b"\0" * 1000)
    path.write_bytes(memory.getvalue())
    with pytest.raises(gn.FormatError, match="packed in an unknown way"):
        model.load_weights(path)
    assert all((w == 7).all() for w in model.get_weights())


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_damaged_archives(tmp_path):
    """Cut anywhere or with flipped bits, an .npz gives GraphnnError or the weights themselves, nothing else."""
    model = classifier()
    before = model.get_weights()
    path = tmp_path / "w.npz"
    model.save_weights(path)
    data = path.read_bytes()
    rng = np.random.default_rng(3)
    mutants = [data[:n] for n in range(0, len(data), 9)]
    for _ in range(1000):
        mutant = bytearray(data)
        for _ in range(rng.integers(1, 4)):
            mutant[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        mutants.append(bytes(mutant))
    for mutant in mutants:
        path.write_bytes(mutant)
        with contextlib.suppress(gn.GraphnnError):
            model.load_weights(path)
        assert same(model.get_weights(), before)

"""The structure of the code, read from its imports and its words: what may know what."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("compiler", "graphnn")

# Both packages from the ground up: a module imports from its own row and the rows above it.
COMPILER = (
    ("caches", "errors", "options", "target", "uncollected"),
    ("language",),
    ("reference", "rewriting"),
    ("scheduling",),
    ("code",),
    ("machine",),
    ("explain",),
    ("pipeline",),
    ("__init__",),
)
GRAPHNN = (
    ("errors", "random"),
    ("notation",),
    ("calculus",),
    ("graph",),
    ("catalogue",),
    ("activations", "comparisons", "functions", "initializers", "regularizers", "slicing"),
    (
        "gradients",
        "function",
        "layers",
        "losses",
        "metrics",
        "optimizers",
        "reduction",
    ),
    ("drawing", "files", "nested", "summary", "training", "verification"),
    ("callbacks", "model"),
    ("loading", "sequential"),
    ("__init__",),
    ("guide",),
    ("__main__",),
)
# Where a foreign library, and only there, may be imported.
FENCES = {
    "sympy": ("graphnn/calculus/", "graphnn/verification/"),
    "llvmlite": ("compiler/machine/jit.py", "compiler/target.py"),
    "fpdf": ("graphnn/drawing/",),
    "graphviz": ("graphnn/drawing/",),
    "jinja2": ("graphnn/guide/",),
    "latex2mathml": ("graphnn/drawing/",),
    "pygraphviz": ("graphnn/drawing/",),
    "resvg_py": ("graphnn/drawing/",),
    "rich": ("graphnn/__main__.py",),
    "typer": ("graphnn/__main__.py",),
    "ziafont": ("graphnn/drawing/",),
    "ziamath": ("graphnn/drawing/",),
}
# Libraries that are not imported under the name they are installed by.
IMPORT_NAMES = {"fpdf": "fpdf2", "sklearn": "scikit_learn"}
SLOW_IMPORTS = (
    "graphviz",
    "llvmlite",
    "matplotlib",
    "mpmath",
    "networkx",
    "pygraphviz",
    "sklearn",
    "sympy",
    "ziamath",
)
# The compiler sees equations; these are words of those who write them.
LAYER_WORDS = re.compile(
    r"adam|attention|batch_?norm(alization)?|conv[123]?d?|dense|dropout|embedding|gru|layer_?norm"
    r"(alization)?|lstm|(max|average)_?pool(ing)?(2d)?|relu|rmsprop|rnn|sgd|softmax"
)
# Names through which text becomes running code.
CODE_RUNNERS = {"__import__", "eval", "exec", "lambdify", "parse_expr", "sympify"}
CODE_RUNNING_MODULES = {"dill", "cloudpickle", "joblib", "marshal", "pickle", "shelve"}


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module, and whether that happens only when a function is called."""

    module: str
    late: bool


@dataclass(frozen=True)
class Source:
    """One file: its path from the root, its dotted module name, its text and its syntax tree."""

    path: str
    module: str
    text: str
    tree: ast.Module

    @cached_property
    def imports(self) -> list[Import]:
        return list(_imports(self.tree, self, late=False))


def sources(*folders: str) -> list[Source]:
    """The Python files below some folders of the repository, folder by folder, sorted by path."""
    return [source for folder in folders for source in _sources(folder)]


@cache
def _sources(folder: str) -> tuple[Source, ...]:
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        relative = path.relative_to(ROOT)
        module = ".".join(relative.with_suffix("").parts).removesuffix(".__init__")
        text = path.read_text(encoding="utf-8")
        found.append(Source(relative.as_posix(), module, text, ast.parse(text)))
    return tuple(found)


def _imports(node: ast.AST, source: Source, late: bool) -> Iterator[Import]:
    match node:
        case ast.Import(names):
            yield from (Import(name.name, late) for name in names)
        case ast.ImportFrom(module, names, level):
            package = source.module.split(".")
            if not source.path.endswith("__init__.py"):
                package = package[:-1]
            parents = package[: len(package) - level + 1] if level else []
            origin = ".".join([*parents, *([module] if module else [])])
            for name in names:
                inner = f"{origin}.{name.name}"
                yield Import(inner if inner in modules() else origin, late)
        case ast.FunctionDef() | ast.Lambda():
            late = True
        case ast.If(ast.Name("TYPE_CHECKING")):
            return  # names for annotations: nothing is loaded
    for child in ast.iter_child_nodes(node):
        yield from _imports(child, source, late)


@cache
def modules() -> frozenset[str]:
    return frozenset(source.module for source in sources(*PACKAGES))


def offenders(found: Iterator[str]) -> str:
    """What a failing test shows: one offence a line."""
    return "\n".join(dict.fromkeys(found))


def words(text: str) -> list[str]:
    """The words of a text in lower case, identifiers split at capitals and underscores."""
    split = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", text).lower()
    return re.findall(r"[a-z][a-z0-9]*", split)


def layer_of(module: str, layers: tuple[tuple[str, ...], ...]) -> int | None:
    """Row of a module of a package in its layers, or None where it is not listed."""
    name = module.split(".")[1] if "." in module else "__init__"
    return next((row for row, names in enumerate(layers) if name in names), None)


def declared_requirements(*groups: str) -> set[str]:
    """Import names of the core requirements and of some extras in pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"]]
    for group in groups:
        lines += project["optional-dependencies"][group]
    names = {re.split(r"[<>=\[]", line)[0].replace("-", "_").lower() for line in lines}
    return names | {imported for imported, name in IMPORT_NAMES.items() if name in names}


def test_compiler_never_imports_graphnn() -> None:
    """Imports point one way: the compiler knows equations and nothing of who wrote them."""
    assert not offenders(
        f"{source.path} imports {each.module}"
        for source in sources("compiler")
        for each in source.imports
        if each.module.split(".")[0] == "graphnn"
    )


def test_imports_have_no_cycle() -> None:
    """The modules of both packages can be read in an order in which nothing refers forward."""
    graph = nx.DiGraph()
    graph.add_edges_from(
        (source.module, each.module)
        for source in sources(*PACKAGES)
        for each in source.imports
        if each.module in modules()
    )
    assert [sorted(part) for part in nx.strongly_connected_components(graph) if len(part) > 1] == []


@pytest.mark.parametrize(("package", "layers"), [("compiler", COMPILER), ("graphnn", GRAPHNN)])
def test_package_is_layered(package: str, layers: tuple[tuple[str, ...], ...]) -> None:
    """A module stands in a layer of its package and imports from that one and those below."""
    unlisted = (s.path for s in sources(package) if layer_of(s.module, layers) is None)
    assert not offenders(unlisted), "to be put into a layer"
    assert not offenders(
        f"{source.path} imports {each.module}, which is of a higher layer"
        for source in sources(package)
        for each in source.imports
        if each.module.split(".")[0] == package
        and (layer_of(each.module, layers) or 0) > (layer_of(source.module, layers) or 0)
    )


@pytest.mark.parametrize("library", sorted(FENCES))
def test_foreign_library_stays_in_its_fence(library: str) -> None:
    """A foreign library is imported only where its work is done."""
    assert not offenders(
        f"{source.path} imports {library}"
        for source in sources(*PACKAGES)
        for each in source.imports
        if each.module.split(".")[0] == library and not source.path.startswith(FENCES[library])
    )


def test_every_import_is_declared() -> None:
    """What is imported is required; what comes from an extra is imported late, or by drawing."""
    required = declared_requirements() | set(PACKAGES) | set(sys.stdlib_module_names)
    optional = required | declared_requirements("viz", "demo", "guide")
    assert not offenders(
        f"{source.path} imports {each.module}"
        for source in sources(*PACKAGES)
        for each in source.imports
        for late in [each.late or source.path.startswith("graphnn/drawing/")]
        if each.module.split(".")[0] not in (optional if late else required)
    )


def test_diff_is_called_in_one_file() -> None:
    """sympy's differentiation has a single door."""
    found = {
        source.path
        for source in sources(*PACKAGES)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).split(".")[-1] in ("diff", "Derivative")
        and not ast.unparse(node.func).startswith(("np.", "numpy."))
    }
    assert len(found) <= 1, sorted(found)


def test_text_never_becomes_code() -> None:
    """No eval, exec, sympify or pickle: formulas and files are read, never run."""
    names = (
        f"{source.path}:{node.lineno} uses {ast.unparse(node)}"
        for source in sources(*PACKAGES)
        for node in ast.walk(source.tree)
        if isinstance(node, (ast.Name, ast.Attribute))
        and ast.unparse(node).split(".")[-1] in CODE_RUNNERS
    )
    assert not offenders(names)
    assert not offenders(
        f"{source.path} imports {each.module}"
        for source in sources(*PACKAGES)
        for each in source.imports
        if each.module.split(".")[0] in CODE_RUNNING_MODULES
    )


def test_environment_is_read_in_one_file() -> None:
    """Environment variables are options of the compiler and are read where those are."""
    assert not offenders(
        source.path
        for source in sources(*PACKAGES)
        if source.path != "compiler/options.py" and re.search(r"os\.(environ|getenv)", source.text)
    )


def test_compiler_speaks_no_layer_names() -> None:
    """No word of neural networks stands in the compiler, in code, comment or docstring."""
    assert not offenders(
        f"{source.path}:{number}: {word}"
        for source in sources("compiler")
        for number, line in enumerate(source.text.splitlines(), 1)
        for word in [*words(line), *re.findall(r"\w+", line.lower())]
        if LAYER_WORDS.fullmatch(word)
    )


def test_files_are_short() -> None:
    """A file that passes 400 lines holds more than one idea."""
    assert not offenders(
        f"{source.path}: {len(source.text.splitlines())} lines"
        for source in sources(*PACKAGES, "benchmarks", "examples")
        if len(source.text.splitlines()) > 400
    )


def test_files_say_what_they_are() -> None:
    """Every file begins with a docstring, every test has one that names its property."""
    files = (
        source.path
        for source in sources(*PACKAGES, "benchmarks", "examples", "tests")
        if source.tree.body and not ast.get_docstring(source.tree)
    )
    assert not offenders(files)
    assert not offenders(
        f"{source.path}:{node.lineno} {node.name}"
        for source in sources("tests")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    )


def test_tests_take_no_times() -> None:
    """Tests check results and counts; times are measured in benchmarks/."""
    assert not offenders(
        f"{source.path} imports {each.module}"
        for source in sources("tests")
        for each in source.imports
        if each.module.split(".")[0] in ("time", "timeit")
    )


def test_import_is_light() -> None:
    """`import graphnn` loads none of the slow libraries; each comes when it is first needed."""
    program = (
        f"import sys, graphnn; print(*(name for name in {SLOW_IMPORTS!r} if name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []

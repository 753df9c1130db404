"""The machine: systems of equations in, native code out.

evaluate(system, arrays)            what a system means, computed slowly and plainly
compile(system)(arrays)             the same, compiled for this machine
"""

from .errors import ArrayError, CompilerError
from .interpret import evaluate
from .options import Options
from .pipeline import compile_system as compile
from .run import Executable
from .system import Equation, System, Tensor

__all__ = [
    "ArrayError",
    "CompilerError",
    "Equation",
    "Executable",
    "Options",
    "System",
    "Tensor",
    "compile",
    "evaluate",
]

"""The machine: systems of equations in, native code out.

evaluate(system, arrays)            what a system says, computed slowly and plainly, formulas as they are written
stabilize(system)                   an equal system whose formulas neither overflow nor cancel
compile(system)(arrays)             the stable system, compiled for this machine
"""

from .errors import ArrayError, CompilerError
from .language.system import Equation, System, Tensor
from .machine.run import Executable
from .options import Options
from .pipeline import compile_system as compile
from .reference.interpret import evaluate
from .rewriting.stabilize import stabilize

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
    "stabilize",
]

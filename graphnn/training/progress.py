"""Progress: a bar for each epoch on a terminal, one line for each epoch in a log file."""

from __future__ import annotations

import sys
from time import perf_counter
from typing import Any

from ..errors import GraphnnError
from .callbacks import Callback, Logs

__all__ = ["Progress", "shown", "text", "write"]


def shown(verbose: int | str) -> str:
    """ "nothing", "bar" or "line", for Keras's 0, 1, 2 and "auto"; a bar needs a terminal or a notebook."""
    if verbose not in (0, 1, 2, "auto"):
        raise GraphnnError(f"verbose is 0, 1, 2 or 'auto', got {verbose!r}")
    if verbose in (0, 2):
        return "line" if verbose else "nothing"
    return "bar" if sys.stdout.isatty() or "ipykernel" in sys.modules else "line"


class Progress(Callback):
    """Shows the epoch, the loss and the metrics, on standard output."""

    def __init__(self, style: str) -> None:
        self.style = style
        self.bar: Any = None
        self.start = 0.0

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:
        self.start = perf_counter()
        if self.style == "bar":
            from tqdm.auto import tqdm  # finds out whether this is a notebook, which takes its time

            self.bar = tqdm(
                total=self.params["steps"], desc=self._title(epoch), file=sys.stdout, unit="batch"
            )

    def show(self, batches: int, logs: Logs) -> None:
        """So many batches of the epoch are done."""
        if self.bar is not None:
            self.bar.set_postfix_str(text(logs), refresh=False)
            self.bar.update(batches - self.bar.n)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        if self.bar is not None:
            self.bar.set_postfix_str(text(logs), refresh=False)
            self.bar.close()
            self.bar = None
        elif self.style == "line":
            seconds = perf_counter() - self.start
            write(f"{self._title(epoch)}  {text(logs)}  ({seconds:.1f} s)")

    def on_train_end(self, logs: Logs) -> None:
        if self.bar is not None:
            self.bar.close()

    def _title(self, epoch: int) -> str:
        total = str(self.params["epochs"])
        return f"Epoch {epoch + 1:>{len(total)}}/{total}"


def write(line: str) -> None:
    """A line on standard output, seen at once also in a log file."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def text(logs: Logs) -> str:
    """``loss 0.1234  accuracy 0.9700``"""
    return "  ".join(f"{name} {value:.4g}" for name, value in logs.items())

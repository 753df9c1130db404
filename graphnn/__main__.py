"""The command line: ``python -m graphnn guide OUT`` writes the guide as a site of static pages."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["main"]


def main() -> None:
    """Run a command; says what to install where its libraries are missing."""
    try:
        import typer
        from rich.console import Console
    except ImportError as error:
        sys.exit(f"the command line needs {error.name}: pip install 'graphnn[guide]'")
    application = typer.Typer(add_completion=False, help="Neural networks as formulas.")

    @application.callback()
    def commands() -> None:
        """Keeps `guide` a command by name, though it is the only one."""

    @application.command()
    def guide(
        out: Path = typer.Argument(help="The folder to write; made if it is not there."),  # noqa: B008
        small: bool = typer.Option(False, help="Without pictures and long derivations."),
    ) -> None:
        """Write the guide: every concept with its formula, derived gradient, picture and code."""
        from .errors import GraphnnError
        from .guide import build

        console = Console()
        try:
            with console.status("Writing the guide") as status:
                pages = build(out, small, lambda title: status.update(f"Writing {title}"))
        except GraphnnError as error:
            console.print(f"[red]{error}")
            raise typer.Exit(1) from error
        console.print(f"{len(pages)} pages; begin with [bold]{pages[0]}")

    application()


if __name__ == "__main__":
    main()

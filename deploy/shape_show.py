"""`foundation shape show`: draws a locustfile's planned load as text, and as a PNG when asked.

Two processes: one loads the locustfile, and Locust with it, and tells what it plans; this one draws
and may import the plotting library. Nothing is started but the former, and nothing is written but
OUT.png. This module must not import Locust.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

from shapes.sketch import Sketch
from shapes.text_plot import LEAST_WIDTH, MOST_WIDTH, drawn

LOAD_TIMEOUT_S = 60.0
"""Loading takes a second or two; a locustfile that waits for something at import never ends."""

BAD_CONFIGURATION = 4
"""As for every command that judges or plans a run (results.verdict.ExitCode)."""

DEFAULT_WIDTH = 80
_PNG_BEGINS = b"\x89PNG\r\n\x1a\n"


class CannotDraw(Exception):
    """Why nothing is drawn, with the remedy. Empty when it was said already."""


def main(arguments: list[str] | None = None) -> None:
    """Draw; exit code 4 when that is not possible."""
    asked = _parser().parse_args(arguments)
    try:
        if asked.png is not None:
            _require_writable(asked.png)
        sketch = _loaded(
            asked.file, ["--time-scale", asked.time_scale, "--load-scale", asked.load_scale]
        )
        sys.stdout.write(drawn(sketch, width=asked.width or _width(), plain=_is_plain()))
        if asked.png is not None:
            _write_png(sketch, asked.png)
            print(f"\nwritten: {asked.png}")
    except CannotDraw as error:
        if str(error):
            print(f"error: {error}", file=sys.stderr)
        sys.exit(BAD_CONFIGURATION)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(BAD_CONFIGURATION, f"error: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="foundation shape show",
        description="Draw the load that a locustfile plans, without running it.",
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", help="a locustfile with one PhasedShape")
    parser.add_argument(
        "--time-scale", metavar="F", default="1", help="as the run's option of that name"
    )
    parser.add_argument(
        "--load-scale", metavar="F", default="1", help="as the run's option of that name"
    )
    parser.add_argument("--png", metavar="OUT.png", type=Path, help="also draw it in this file")
    parser.add_argument(
        "--width",
        metavar="N",
        type=_columns,
        help=f"columns of the text (default: the terminal's, else {DEFAULT_WIDTH})",
    )
    return parser


def _columns(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not LEAST_WIDTH <= int(text) <= MOST_WIDTH:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of columns from {LEAST_WIDTH} to {MOST_WIDTH}"
        )
    return int(text)


def _width() -> int:
    if not sys.stdout.isatty():
        return DEFAULT_WIDTH
    return shutil.get_terminal_size((DEFAULT_WIDTH, 24)).columns


def _is_plain() -> bool:
    """Whether standard output cannot take the characters of bars and axes."""
    try:
        "█│└".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return True
    return False


def _loaded(file: str, options: list[str]) -> Sketch:
    command = [sys.executable, "-P", "-m", "locustfiles.harness.shape_view", *options, "--", file]
    # In memory alone: what is told may be more than a pipe holds.
    with os.fdopen(os.memfd_create("sketch"), "r+", encoding="utf-8") as told:
        try:
            done = subprocess.run(
                [*command, str(told.fileno())],
                stdin=subprocess.DEVNULL,
                # What the locustfile prints is not the drawing.
                stdout=sys.stderr,
                pass_fds=(told.fileno(),),
                timeout=LOAD_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CannotDraw(
                f"{file} was not loaded within {LOAD_TIMEOUT_S:.0f} s: start nothing and wait for "
                "nothing at import"
            ) from None
        told.seek(0)
        text = told.read()
    if done.returncode == BAD_CONFIGURATION:
        raise CannotDraw("")
    if done.returncode or not text:
        raise CannotDraw(
            f"{file} ended the process that loaded it (exit code {done.returncode}): end nothing "
            "at import"
        )
    return Sketch.from_text(text)


def _write_png(sketch: Sketch, path: Path) -> None:
    with tempfile.TemporaryDirectory() as cache:
        # The library would keep a cache of fonts in the user's home.
        os.environ["MPLCONFIGDIR"] = cache
        from shapes.png_plot import png

        data = png(sketch)
    try:
        path.write_bytes(data)
    except OSError as error:
        raise CannotDraw(f"cannot write {path}: {error.strerror}") from None


def _require_writable(path: Path) -> None:
    """Before anything slow. Raises CannotDraw."""
    # Not imported yet: that would make the library's folder in the user's home.
    if importlib.util.find_spec("matplotlib") is None:
        raise CannotDraw(
            "--png needs the plotting library: install the extra with "
            "`pip install 'foundation-load[plot]'`, or leave --png out"
        )
    if path.suffix.lower() != ".png":
        raise CannotDraw(f"--png {path}: name a file that ends in .png")
    if not path.parent.is_dir():
        raise CannotDraw(f"--png {path}: there is no folder {path.parent}")
    if path.exists() and not _is_png(path):
        raise CannotDraw(f"--png {path}: that is no picture, and is not written over")


def _is_png(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_PNG_BEGINS)) in (_PNG_BEGINS, b"")
    except OSError:
        return False


if __name__ == "__main__":
    main()

"""Loads a locustfile as Locust does and tells what its shape plans, without running anything.

`python -m locustfiles.harness.shape_view FILE FD` writes the sketch to the file descriptor FD that
it was given, for the process that draws (deploy/shape_show.py): what the locustfile itself prints
stays apart from it. Exit code 4 with one line that says what is wrong. No target is contacted, no
port opened: importing a locustfile only registers its listeners. This module must not draw.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from locust import LoadTestShape, User
from locust.util.load_locustfile import load_locustfile

from locustfiles.harness.arrivals.open_load import require_sound_arrivals
from locustfiles.harness.failure import BadConfiguration
from locustfiles.harness.options import scale
from results.verdict import ExitCode
from shapes.locust_shape import PhasedShape
from shapes.sketch import Sketch

_PR_SET_PDEATHSIG = 1
"""Of linux/prctl.h."""


class CannotShow(Exception):
    """Why the plan cannot be told, with the remedy."""


def main(arguments: list[str] | None = None) -> None:
    """Write the sketch, or exit with code 4."""
    # The kernel ends this process with the one that draws: a locustfile may wait for ever.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    parser = argparse.ArgumentParser(prog="foundation shape show", exit_on_error=False)
    parser.add_argument("file")
    parser.add_argument("descriptor", type=int)
    parser.add_argument("--time-scale", type=scale, default=1.0)
    parser.add_argument("--load-scale", type=scale, default=1.0)
    try:
        asked = parser.parse_args(arguments)
        sketch = sketch_of(Path(asked.file), asked.time_scale, asked.load_scale)
    except (CannotShow, argparse.ArgumentError) as error:
        _exit(f"error: {error}")
    with os.fdopen(asked.descriptor, "w", encoding="utf-8") as out:
        out.write(sketch.as_text())


def sketch_of(path: Path, time_scale: float = 1.0, load_scale: float = 1.0) -> Sketch:
    """Raises CannotShow."""
    if path.suffix != ".py":
        raise CannotShow(f"{path} is not a locustfile: name a Python file, FILE.py")
    if not path.is_file():
        raise CannotShow(f"there is no file {path}")
    users, shapes = _loaded(path)
    shape = _only_shape(path, shapes)
    try:
        shape.configure(users=users)
    except ValueError as error:
        raise CannotShow(f"{path}: {type(shape).__name__}: {error}") from None
    try:
        shape.configure(users=users, time_scale=time_scale, load_scale=load_scale)
    except ValueError as error:
        raise CannotShow(
            f"--time-scale {time_scale:g} with --load-scale {load_scale:g} does not fit "
            f"{type(shape).__name__} ({error}): use factors nearer to 1"
        ) from None
    try:
        # What a run refuses is not drawn as if it would be carried out.
        require_sound_arrivals(shape.plan, users)
    except BadConfiguration as error:
        raise CannotShow(f"{path}: {error}") from None
    notes = _notes(shape, time_scale, load_scale)
    return Sketch.of(type(shape).__name__, shape.plan, notes)


def _loaded(path: Path) -> tuple[list[type[User]], list[LoadTestShape]]:
    # As Locust's own command line would look like to it.
    sys.argv = ["locust", "-f", str(path)]
    try:
        users, shapes = load_locustfile(str(path.resolve()))
    except (Exception, SystemExit) as error:
        # The edge to somebody else's code: whatever it raises is told, and where.
        raise CannotShow(f"{path} cannot be loaded: {_what_and_where(error, path)}") from None
    return list(users.values()), shapes


def _what_and_where(error: BaseException, path: Path) -> str:
    what = " ".join("".join(traceback.format_exception_only(error)).split())
    if isinstance(error, SyntaxError):
        return what
    frames = traceback.extract_tb(error.__traceback__)
    # The locustfile's own line says more than that of a library that it called.
    own = [frame for frame in frames if Path(frame.filename) == path.resolve()]
    if not (own or frames):
        return what
    place = (own or frames)[-1]
    return f"{what} ({Path(place.filename).name}, line {place.lineno}: {place.line})"


def _only_shape(path: Path, shapes: list[LoadTestShape]) -> PhasedShape:
    by_class = {type(shape): shape for shape in shapes}
    names = ", ".join(sorted(one.__name__ for one in by_class))
    if not by_class:
        raise CannotShow(f"{path} has no shape: define one subclass of PhasedShape in it")
    if len(by_class) > 1:
        raise CannotShow(
            f"{path} has {len(by_class)} shapes ({names}), of which Locust runs the first that it "
            "finds: keep one, and set `abstract = True` on those that are only bases"
        )
    (shape,) = by_class.values()
    if not isinstance(shape, PhasedShape):
        raise CannotShow(
            f"{path}: {names} is a shape of Locust's own kind, whose load is known only while it "
            "runs: write it as a profile of a PhasedShape (docs/shapes.md)"
        )
    return shape


def _notes(shape: PhasedShape, time_scale: float, load_scale: float) -> list[str]:
    found = []
    if (time_scale, load_scale) != (1.0, 1.0):
        found.append(f"scaled: time {time_scale:g}, load {load_scale:g}")
    if shape.until is not None:
        found.append(
            f"ends at the first phase over which this does not hold: {shape.until.expression}"
        )
    return found


def _exit(text: str) -> NoReturn:
    print(text, file=sys.stderr)
    sys.exit(int(ExitCode.BAD_CONFIGURATION))


if __name__ == "__main__":
    main()

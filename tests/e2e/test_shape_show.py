"""`foundation shape show`: what a locustfile plans, drawn without running anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from shapes.sketch import Sketch
from tests.e2e.scenario import P1, ROOT, wait_until

FOUNDATION = Path(sys.executable).with_name("foundation")
PNG_BEGINS = b"\x89PNG\r\n\x1a\n"

SHAPE = """
from locust import User
from shapes.locust_shape import PhasedShape
from shapes.profile import steady

class Visitor(User):
    pass

class Plan(PhasedShape):
    profile = steady(5, 60)
"""

WATCH = """
import sys

WATCHED = {"socket.bind", "socket.connect", "socket.sendto", "subprocess.Popen", "os.fork"}

def note(event, arguments):
    writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if event in WATCHED or writes:
        with open(RECORD, "ab", buffering=0) as record:
            what = arguments if event.startswith("socket") else arguments[0]
            record.write(f"{event} {what!r}\\n".encode())

inside = False

def hook(event, arguments):
    global inside
    if not inside:
        inside = True
        try:
            note(event, arguments)
        finally:
            inside = False

sys.addaudithook(hook)
"""


def show(
    *arguments: str | Path, environment: Mapping[str, str] | None = None, cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FOUNDATION, "shape", "show", *arguments],
        capture_output=True,
        text=True,
        timeout=90,
        cwd=cwd,
        env={**os.environ, "PYTHONUTF8": "1", **(environment or {})},
    )


def written(tmp_path: Path, text: str, name: str = "plan.py") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_p1_is_drawn_with_its_phases_and_classes() -> None:
    done = show(P1)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "SaasShape: 5:00 in 4 phases"
    assert max(map(len, lines)) <= 80
    assert "peak    1:30  4:30       1,200       216,000" in lines
    assert "SaasUser       2,156  users  weight 49 of 50" in lines
    assert "JobUser            8  users  fixed_count, beside the profile" in lines
    assert "2,200 │       █████" in done.stdout
    assert done.stdout in (ROOT / "docs/shapes.md").read_text(), "the page shows what is drawn"


def test_scales_are_those_of_a_run() -> None:
    done = show(P1, "--time-scale", "0.2", "--load-scale=0.1", "--width", "120")
    assert done.returncode == 0, done.stderr
    assert "SaasShape: 1:00 in 4 phases\nscaled: time 0.2, load 0.1\n" in done.stdout
    assert "peak    0:18  0:54         120         4,320" in done.stdout.splitlines()
    assert max(map(len, done.stdout.splitlines())) == 120


def test_output_that_is_not_utf_8_gets_plain_characters() -> None:
    done = show(P1, environment={"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert "2,200 |       #####" in done.stdout


def test_a_check_that_ends_the_load_is_told(tmp_path: Path) -> None:
    until = "    until = latency(quantile=0.99, below_ms=250)\n"
    text = "from results.check import latency\n" + SHAPE + until
    done = show(written(tmp_path, text))
    assert "this does not hold: p99 < 250ms" in done.stdout, done.stderr


def test_what_a_locustfile_prints_is_not_in_the_drawing(tmp_path: Path) -> None:
    done = show(written(tmp_path, SHAPE + "print('hello from the locustfile')\n"))
    assert done.stdout.startswith("Plan: 1:00 in 1 phase\n")
    assert "hello" not in done.stdout
    assert "hello" in done.stderr


def watched(tmp_path: Path, *arguments: str | Path) -> list[str]:
    """What the processes of a drawing did to the world, by the interpreter's own audit."""
    record = tmp_path / "record"
    folder = tmp_path / "watch"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(f"RECORD = {str(record)!r}\n{WATCH}")
    environment = {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = show(*arguments, environment=environment)
    assert done.returncode == 0, done.stderr
    return record.read_text().splitlines()


def test_nothing_is_started_contacted_or_written_but_the_picture(tmp_path: Path) -> None:
    picture = tmp_path / "out.png"
    picture.write_bytes(PNG_BEGINS + b"of before: a picture may be written over")
    found = watched(tmp_path, P1, "--png", picture)
    # Where IPv6 is known by: a library binds a port of its own choice as it is imported.
    ours = [line for line in found if line.startswith("socket") and "('::1', 0)" not in line]
    assert ours == []
    # The process that loads the locustfile; and the library asks the system for its fonts.
    started = {line.partition(" ")[2].strip("'") for line in found if line.startswith("subprocess")}
    assert sys.executable in started
    assert started <= {sys.executable, "fc-list"}
    opened = [line.partition(" ")[2] for line in found if line.startswith("open")]
    inside = [path for path in opened if not path.isdigit() and "/dev/" not in path]
    elsewhere = [path for path in inside if str(picture) not in path]
    # A cache of fonts in a temporary folder, which is gone by now.
    assert all(not Path(path.strip("'")).exists() for path in elsewhere), elsewhere
    assert picture.read_bytes().startswith(PNG_BEGINS)
    assert digest_in(picture), "the picture says what it shows"


def test_the_watch_sees_a_port_and_a_file(tmp_path: Path) -> None:
    """The control."""
    marked = tmp_path / "mark"
    opens = (
        f"import socket\nsocket.create_server(('127.0.0.1', 0)).close()\nopen({str(marked)!r}, 'w')"
    )
    found = watched(tmp_path, written(tmp_path, SHAPE + opens))
    assert any(line.startswith("socket.bind") for line in found)
    assert any(line.startswith("open") and str(marked) in line for line in found)


def digest_in(path: Path) -> str:
    data = path.read_bytes()
    start = data.index(b"tEXtSketch\0") + len(b"tEXtSketch\0")
    return data[start : start + 16].decode("ascii")


def test_the_picture_shows_what_is_planned(tmp_path: Path) -> None:
    from shapes.load import load_of
    from shapes.profile import steady

    picture = tmp_path / "out.png"
    done = show(written(tmp_path, SHAPE), "--png", picture)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"\nwritten: {picture}\n")
    sketch = Sketch.of("Plan", load_of(steady(5, 60), {"Visitor": 1}, {}))
    assert digest_in(picture) == sketch.digest()


TWO = SHAPE + "class Other(PhasedShape):\n    profile = steady(1, 1)\n"
STOCK = """
from locust import LoadTestShape, User

class Visitor(User):
    pass

class Old(LoadTestShape):
    def tick(self):
        return 1, 1
"""
BAD = {
    "two_shapes": (TWO, "has 2 shapes (Other, Plan), of which Locust runs the first"),
    "stock_shape": (STOCK, "Old is a shape of Locust's own kind, whose load is known only while"),
    "no_shape": ("import locust\n", "has no shape: define one subclass of PhasedShape"),
    "empty": ("", "has no shape"),
    "raises": (SHAPE + "x = {}['a']\n", "KeyError: 'a' (raises.py, line 11: x = {}['a'])"),
    "profile": (SHAPE.replace("5, 60", "5, 0"), "(profile.py, line 10: profile = steady(5, 0))"),
    "syntax": (SHAPE + "def broken(:\n", "SyntaxError: invalid syntax"),
    "no_module": (SHAPE + "import no_such_module\n", "No module named 'no_such_module'"),
    "exits": (SHAPE + "raise SystemExit(7)\n", "SystemExit: 7"),
    "no_profile": (SHAPE.replace("profile = steady(5, 60)", "pass"), "the shape has no profile"),
    "misfit": (SHAPE.replace("profile = steady(5, 60)", "profiles = {}"), "Visitor has no profile"),
    "no_arrivals": (
        SHAPE.replace("import steady", "import per_s, steady").replace("5, 60", "per_s(5), 60"),
        "Visitor has a profile of arrivals per second, but is no ArrivalUser: make ArrivalUser its",
    ),
    "nul": ("\0", "cannot be loaded"),
    "too_short": (SHAPE, "--time-scale 1e-09 with --load-scale 1 does not fit Plan"),
}

TELL = """
import json, sys
from pathlib import Path
from locustfiles.harness.shape_view import CannotShow, sketch_of
found = {}
for path in map(Path, sys.argv[1:]):
    scale = 1e-9 if path.stem == "too_short" else 1.0
    try:
        found[path.stem] = "drawn: " + sketch_of(path, time_scale=scale).title
    except CannotShow as error:
        found[path.stem] = str(error)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What is said of each bad locustfile, all by one process: importing Locust takes a second."""
    folder = tmp_path_factory.mktemp("bad")
    paths = [written(folder, text, f"{name}.py") for name, (text, _) in BAD.items()]
    paths += [written(folder, SHAPE, "good.py"), written(folder, SHAPE, "text.txt"), folder]
    done = subprocess.run(
        [sys.executable, "-c", TELL, *paths], capture_output=True, text=True, timeout=90, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_drawn_is_said_in_one_line(told: dict[str, str], name: str) -> None:
    assert BAD[name][1] in told[name]
    assert "\n" not in told[name]
    assert f"{name}.py" in told[name] or name == "too_short"


def test_a_good_locustfile_is_drawn_after_bad_ones(told: dict[str, str]) -> None:
    assert told["good"] == "drawn: Plan"


def test_what_is_no_python_file_is_no_locustfile(told: dict[str, str]) -> None:
    assert told["text"].endswith("text.txt is not a locustfile: name a Python file, FILE.py")
    assert len([text for text in told.values() if "is not a locustfile" in text]) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TWO, "has 2 shapes"),
        (SHAPE + "import os; os._exit(0)\n", "ended the process that loaded it (exit code 0)"),
    ],
    ids=["two_shapes", "ends_itself"],
)
def test_a_bad_locustfile_is_bad_configuration(tmp_path: Path, text: str, message: str) -> None:
    done = show(written(tmp_path, text))
    assert done.returncode == 4, done.stdout + done.stderr
    assert message in done.stderr
    assert done.stdout == ""
    assert done.stderr.count("error: ") == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.py"], "there is no file nowhere.py"),
        ([], "the following arguments are required: FILE"),
        ([str(P1), "--time-scale", "0"], "'0' is not a factor above 0"),
        ([str(P1), "--width", "12"], "'12' is not a number of columns from 50 to 300"),
        ([str(P1), "--width", "wide"], "'wide' is not a number of columns"),
        ([str(P1), "--png", "README.md"], "name a file that ends in .png"),
        ([str(P1), "--png", "no/such/folder.png"], "there is no folder no/such"),
        ([str(P1), "--unknown"], "unrecognized arguments: --unknown"),
    ],
)
def test_bad_arguments_are_bad_configuration(arguments: list[str], message: str) -> None:
    done = show(*arguments)
    assert done.returncode == 4, done.stdout + done.stderr
    assert message in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_what_is_no_picture_is_not_written_over(tmp_path: Path) -> None:
    kept = written(tmp_path, "my notes", "notes.png")
    done = show(P1, "--png", kept)
    assert done.returncode == 4
    assert "is not written over" in done.stderr
    assert kept.read_text() == "my notes"


def test_without_the_plotting_library_the_text_is_there_and_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as util\nfind = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'matplotlib' else find(name, *rest)\n"
    )
    environment = {"PYTHONPATH": str(tmp_path)}
    done = show(P1, "--png", tmp_path / "out.png", environment=environment)
    assert done.returncode == 4
    assert "pip install 'foundation-load[plot]'" in done.stderr
    assert not (tmp_path / "out.png").exists()


def test_a_killed_drawing_leaves_no_process_behind(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    waits = f"import os, time\nopen({str(mark)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)\n"
    command = [str(FOUNDATION), "shape", "show", str(written(tmp_path, SHAPE + waits))]
    with subprocess.Popen(command, cwd=ROOT) as process:
        wait_until(lambda: mark.exists() and bool(mark.read_text()), "it was never loaded")
        loader = psutil.Process(int(mark.read_text()))
        assert loader.is_running()
        process.kill()
    wait_until(lambda: not loader.is_running(), "the locustfile waits on")


def test_help_names_every_option() -> None:
    done = show("--help")
    assert done.returncode == 0
    for option in ("FILE", "--time-scale", "--load-scale", "--png", "--width"):
        assert option in done.stdout

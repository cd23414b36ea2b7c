"""Stands in the place of `results.report`, and does what the environment variable SEEDED says."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

folder = Path(sys.argv[1])
(folder / "pid").write_text(str(os.getpid()))
match os.environ["SEEDED"]:
    case "fails":
        sys.exit("Traceback\nerror: no report: \x1b[2J the disk is full")
    case "hangs":
        time.sleep(600)
    case "is slow":
        deadline_s = time.monotonic() + 60
        while not (folder / "go").exists() and time.monotonic() < deadline_s:
            time.sleep(0.01)
(folder / "report.html").write_text("seeded")

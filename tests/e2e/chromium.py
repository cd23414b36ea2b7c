"""Where the browser of the tests is, and how it is started so that it asks nobody but the loopback.

Debian's chromium, driven by playwright; `.ci/run` installs it.
"""

from __future__ import annotations

import shutil

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def missing(what: str) -> str:
    """Why tests are skipped where there is none."""
    return (
        f"{what} WAS NOT TESTED IN A BROWSER: there is no chromium here; install it with "
        "`apt-get install chromium` (as root) and run again"
    )

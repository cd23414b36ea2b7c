"""The state file: how `cluster status` and `cluster down` find a cluster that `up` started.

It holds the supervisor's token, so only its user may read it (0600, in a folder of the user's
own). It is written once the cluster is up and removed when it is down; what is left of a dead
supervisor is called stale, recognised by asking, and replaced.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

from deploy.client import SupervisorClient
from deploy.errors import ClusterError


@dataclass(frozen=True, slots=True)
class ClusterState:
    """Where a supervisor listens, and what it wants to hear first."""

    api_url: str
    token: str
    supervisor_pid: int

    def client(self) -> SupervisorClient:
        return SupervisorClient(self.api_url, self.token)


def default_path() -> Path:
    """`cluster.json` in the user's runtime folder, or in a private one where there is none."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.path.isdir(runtime):
        return Path(runtime) / "foundation" / "cluster.json"
    return Path(tempfile.gettempdir()) / f"foundation-{os.geteuid()}" / "cluster.json"


def read(path: Path) -> ClusterState | None:
    """The state at `path`, or None without one. Raises ClusterError when it is not ours to use."""
    try:
        with path.open(encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_uid != os.geteuid():
                raise ClusterError(
                    f"the state file {path} belongs to another user: name your own with --state",
                    code="bad_state_file",
                )
            fields = json.load(file)
        return ClusterState(
            api_url=str(fields["api_url"]),
            token=str(fields["token"]),
            supervisor_pid=int(fields["supervisor_pid"]),
        )
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ClusterError(
            f"cannot read the state file {path} ({error.strerror}): name another with --state",
            code="bad_state_file",
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ClusterError(
            f"{path} is not the state file of a cluster: remove it, or name another with --state",
            code="bad_state_file",
        ) from error


def write(path: Path, state: ClusterState) -> None:
    """Writes `state` whole, or not at all.

    Raises ClusterError: `already_up` when there is a state file, `bad_state_file` when it cannot
    be written.
    """
    draft = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        _make_private(path.parent)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(draft, flags, 0o600), "w", encoding="utf-8") as file:
            json.dump(dataclasses.asdict(state), file)
        # A link, unlike a rename, refuses when somebody was faster.
        os.link(draft, path)
    except FileExistsError as error:
        raise already_up(path) from error
    except OSError as error:
        raise ClusterError(
            f"cannot write the state file {path} ({error.strerror}): name another with --state",
            code="bad_state_file",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()


def remove(path: Path, state: ClusterState) -> None:
    """Removes the file if it still is that of `state`."""
    with contextlib.suppress(OSError, ClusterError):
        if read(path) == state:
            path.unlink()


def already_up(path: Path) -> ClusterError:
    return ClusterError(
        f"a cluster is already up ({path}): `foundation cluster down` ends it, "
        "`--state FILE` starts a second one beside it",
        code="already_up",
    )


def _make_private(folder: Path) -> None:
    """Makes the folder, readable by its user only, if it is missing; its owner could swap files."""
    if not folder.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid not in (os.geteuid(), 0):
        raise PermissionError(errno.EPERM, "its folder belongs to another user")

"""How a worker's fingerprint differs from the master's, in plain words with the remedy.

The same text is printed by the worker that is refused and by the master that refuses it. Pure: no
I/O; this module must not know how fingerprints are taken or sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from locustfiles.harness.distribution.fingerprint import SECRET, STRICT, SUITE, Fingerprint

NAMED_FILES = 3
"""Of many that differ, these are named; the remedy is the same for all."""

COPY = "copy the master's file to the worker"
INSTALL = "install the master's suite on the worker"


def differences(worker: Fingerprint, master: Fingerprint) -> list[str]:
    """In plain words, each with its remedy; empty when the worker's load is the master's."""
    rules: tuple[Callable[[Fingerprint, Fingerprint], list[str]], ...] = (
        _versions,
        _suite,
        _locustfiles,
        _users,
        _options,
    )
    found = [text for rule in rules for text in rule(worker, master)]
    if not found and worker.load != master.load:
        found.append(
            f"the planned load differs: {worker.load or 'none'} at the worker, "
            f"{master.load or 'none'} at the master: copy the files that it is read from, such "
            "as traces, from the master"
        )
    return found


def _versions(worker: Fingerprint, master: Fingerprint) -> list[str]:
    found = []
    for what, package, theirs, ours in (
        ("Locust", "locust==", worker.locust, master.locust),
        ("Python", "Python ", worker.python, master.python),
        ("the suite", f"{SUITE} ", worker.version, master.version),
    ):
        if theirs != ours:
            found.append(
                f"{what} is {theirs} at the worker, {ours} at the master: install "
                f"{package}{ours} on the worker"
            )
    return found


def _suite(worker: Fingerprint, master: Fingerprint) -> list[str]:
    return _files("the suite's file", worker.suite, master.suite, INSTALL)


def _locustfiles(worker: Fingerprint, master: Fingerprint) -> list[str]:
    both = worker.imported.keys() & master.imported.keys()
    return [
        *_files("locustfile", worker.locustfiles, master.locustfiles, COPY),
        *_files(
            "the locustfile's module",
            {name: worker.imported[name] for name in both - worker.locustfiles.keys()},
            {name: master.imported[name] for name in both - worker.locustfiles.keys()},
            COPY,
        ),
    ]


def _files(
    what: str, worker: Mapping[str, str], master: Mapping[str, str], remedy: str
) -> list[str]:
    names = sorted(
        name
        for name in worker.keys() | master.keys()
        if worker.get(name, "") != master.get(name, "")
    )
    found = [
        f"{what} {name} differs: {worker.get(name, 'none')} at the worker, "
        f"{master.get(name, 'none')} at the master: {remedy}"
        for name in names[:NAMED_FILES]
    ]
    if len(names) > NAMED_FILES:
        found.append(f"and {len(names) - NAMED_FILES} more such files")
    return found


def _users(worker: Fingerprint, master: Fingerprint) -> list[str]:
    missing = sorted(set(master.users) - set(worker.users))
    if not missing:
        return []
    return [
        f"the worker does not run {', '.join(missing)}, which the master does: start it with the "
        "same user classes, or name none"
    ]


def _options(worker: Fingerprint, master: Fingerprint) -> list[str]:
    found = []
    for name, theirs in sorted(worker.options.items()):
        ours = master.options.get(name, "unknown")
        if theirs == ours:
            continue
        remedy = "leave it out at the worker, which takes the master's"
        if name == STRICT:
            remedy = "give both the same"
        flag = f"--{name.replace('_', '-')}"
        what = f"is {theirs} at the worker, {ours} at the master"
        if any(text.startswith(SECRET) for text in (theirs, ours)):
            what = "is a secret, and another one at the master"
        found.append(f"{flag} {what}: {remedy}")
    return found

"""A node whose disk hangs: once it serves, no transaction ever ends.

python -m tests.e2e.stuck_node
"""

from __future__ import annotations

import threading

from service import server
from service.__main__ import main
from service.app import Node, build_app
from service.events.database import Database


def _hang(self: Database, statements: object) -> float:
    threading.Event().wait()
    return 0.0


def _build_and_hang(node: Node) -> object:
    Database._transact = _hang  # type: ignore[method-assign]
    return build_app(node)


if __name__ == "__main__":
    setattr(server, "build_app", _build_and_hang)  # noqa: B010  (the name is not server's to export)
    main()

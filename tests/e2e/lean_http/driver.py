"""A process with a LeanHttpSession in it, told by lines of JSON what to request.

pytest must not import gevent, so the client under test lives here: one command per line on
standard input, one answer per line on standard output. While it waits for a command the event
loop runs, as it does between the requests of a user.
"""

from __future__ import annotations

import json
import ssl
import sys
from itertools import islice
from operator import attrgetter
from typing import Any

import gevent
import gevent.socket
import locust.exception
from gevent.fileobject import FileObjectPosix
from locust.event import EventHook
from pydantic import BaseModel

from locustfiles.harness.client import FoundationClient
from locustfiles.harness.http.connection import Limits
from locustfiles.harness.http.keepalive import Settings
from locustfiles.harness.http.resolver import Resolver
from locustfiles.harness.http.response import Response
from locustfiles.harness.http.session import LeanHttpSession
from locustfiles.harness.http.socket_count import open_sockets, opened
from locustfiles.harness.http.streamed import StreamedResponse
from results.sample import Sample
from tests.e2e.lean_http.sources import SOURCES
from tests.e2e.lean_http.stream_reader import Reader

system_getaddrinfo = gevent.socket.getaddrinfo

RAISABLE: dict[str, type[BaseException]] = {
    "ValueError": ValueError,
    "ResponseError": locust.exception.ResponseError,
    "RescheduleTask": locust.exception.RescheduleTask,
}


class Driver:
    def __init__(self) -> None:
        self.resolver = Resolver()
        self.session: LeanHttpSession | None = None
        self.background: Any = None

    def new(self, command: dict[str, Any]) -> dict[str, Any]:
        """A fresh session; `settings` as Settings takes them, `ca` a file of certificates."""
        if self.session is not None:
            self.session.close()
        settings = dict(command.get("settings", {}))
        if "limits" in settings:
            settings["limits"] = Limits(**settings["limits"])
        if "ca" in command:
            context = ssl.create_default_context(cafile=command["ca"])
            settings["ssl_context"] = lambda: context
        self.resolver = Resolver()
        self._answer_names(command.get("names", {}))
        self.events: list[dict[str, Any]] = []
        self.samples: list[Sample] = []
        self.reconnects: list[str] = []
        make_hook: Any = EventHook
        hook = make_hook()
        hook.add_listener(self._listen)
        self.session = LeanHttpSession(
            command.get("base_url"),
            hook,
            resolver=self.resolver,
            settings=Settings(**settings),
            sample_sink=self.samples.append if command.get("sink", True) else None,
            reconnect_sink=self.reconnects.append,
        )
        return {}

    def _answer_names(self, names: dict[str, list[str]]) -> None:
        """Stand for the machine's resolver, which knows no name of a test."""

        def getaddrinfo(host: str, *arguments: Any) -> list[Any]:
            found: list[Any] = []
            for address in names.get(host, [host]):
                found += system_getaddrinfo(address, *arguments)
            return found

        gevent.socket.getaddrinfo = getaddrinfo if names else system_getaddrinfo

    def _listen(self, **kwargs: Any) -> None:
        exception = kwargs["exception"]
        kwargs["exception"] = None if exception is None else repr(exception)
        kwargs["response"] = kwargs["response"].status_code
        self.events.append(kwargs)

    def request(self, command: dict[str, Any]) -> dict[str, Any]:
        """One request, perhaps in a with-block, and all that it left behind."""
        assert self.session is not None
        arguments = dict(command["arguments"])
        if "write_id" in arguments:
            arguments["write_id"] = bytes.fromhex(arguments["write_id"])
        if "data_bytes" in arguments:
            arguments["data"] = b"x" * arguments.pop("data_bytes")
        if "source" in arguments:
            arguments["data"] = SOURCES[arguments.pop("source")]()
        if "pairs" in arguments:
            arguments["data"] = [tuple(pair) for pair in arguments.pop("pairs")]
        block = command.get("block")
        limit = gevent.Timeout(arguments.pop("own_timeout", None))
        answer: dict[str, Any] = {"raised": None}
        limit.start()
        try:
            response = self.session.request(catch_response=block is not None, **arguments)
            if block is not None:
                with response:
                    self._in_block(response, block)
            answer.update(self._describe(response))
        except (Exception, gevent.Timeout) as error:  # the edge of this process: the test judges it
            answer["raised"] = repr(error)
        finally:
            limit.close()
        return answer

    def _in_block(self, response: Response, block: dict[str, Any]) -> None:
        if "name" in block:
            response.request_meta["name"] = block["name"]
        if block.get("success"):
            response.success()
        if "failure" in block:
            response.failure(block["failure"])
        if "raise" in block:
            raise RAISABLE[block["raise"]]("from the block")

    def _describe(self, response: Response) -> dict[str, Any]:
        return {
            "status": response.status_code,
            "ok": response.ok,
            "url": response.url,
            "size": len(response.content),
            "content": response.content[:2000].decode("latin-1"),
            "text": response.text[:2000],
            "text_all": response.text[:100_000],
            "headers": dict(response.headers),
            "elapsed_ms": response.elapsed.total_seconds() * 1000,
            "error": None if response.error is None else repr(response.error),
            "history": response.history,
        }

    def call(self, command: dict[str, Any]) -> dict[str, Any]:
        """A method of the Foundation client, on the nodes and with the token of the command."""
        assert self.session is not None
        arguments = dict(command["arguments"])
        if "write_id" in arguments:
            arguments["write_id"] = bytes.fromhex(arguments["write_id"])
        if "job" in arguments:
            arguments["job"] = bytes.fromhex(arguments["job"])
        try:
            foundation = FoundationClient(self.session, command["nodes"], command.get("token"))
            call = attrgetter(command["method"])(foundation)
            result = call(*command["positional"], **arguments)
        except Exception as error:  # the edge of this process: the test judges it
            return {"raised": repr(error)}
        return {"raised": None, "result": _plain(result)}

    def connect(self, command: dict[str, Any]) -> dict[str, Any]:
        assert self.session is not None
        self.session.connect(command["url"])
        return {}

    def stream(self, command: dict[str, Any]) -> dict[str, Any]:
        """One streamed request, then the steps of the command: what each of them gave."""
        assert self.session is not None
        caught = command.get("block", False)
        answer: dict[str, Any] = {"raised": None, "given": []}
        try:
            response = self.session.request(
                stream=True, catch_response=caught, **command["arguments"]
            )
            answer["status"] = response.status_code
            assert isinstance(response, StreamedResponse)
            reader = Reader(response)
            if command.get("block") is None:
                answer["given"] = [reader.take(*step) for step in command["steps"]]
            else:
                with response:
                    answer["given"] = [reader.take(*step) for step in command["steps"]]
            answer["error"] = None if response.error is None else repr(response.error)
        except Exception as error:  # the edge of this process: the test judges it
            answer["raised"] = repr(error)
        return answer

    def spawn_stream(self, command: dict[str, Any]) -> dict[str, Any]:
        self.background = gevent.spawn(self.stream, command)
        return {}

    def lines(self, command: dict[str, Any]) -> dict[str, Any]:
        """The session's own `iter_lines`, of which `most` are taken."""
        assert self.session is not None
        try:
            lines = self.session.iter_lines(**command["arguments"])
            given = list(islice(lines, command["most"]))
            lines.close()  # type: ignore[attr-defined]
        except Exception as error:  # the edge of this process: the test judges it
            return {"raised": repr(error), "given": []}
        return {"raised": None, "given": given}

    def spawn_lines(self, command: dict[str, Any]) -> dict[str, Any]:
        self.background = gevent.spawn(self.lines, command)
        return {}

    def counts(self, command: dict[str, Any]) -> dict[str, Any]:
        """What the process and the session count of connections."""
        assert self.session is not None
        connections = self.session.connections
        return {
            "open": open_sockets(),
            "opened": opened(),
            "session_opened": connections.opened,
            "exchanges": connections.exchanges,
            "streams": len(self.session._streams or ()),
        }

    def cookies(self, command: dict[str, Any]) -> dict[str, Any]:
        """The names and values in the user's jar; cleared first if the command says so."""
        assert self.session is not None
        jar = self.session.cookiejar
        if command.get("clear"):
            jar.clear()
        return {"cookies": {cookie.name: cookie.value for cookie in jar}}

    def spawn(self, command: dict[str, Any]) -> dict[str, Any]:
        self.background = gevent.spawn(self.request, command)
        return {}

    def kill(self, command: dict[str, Any]) -> dict[str, Any]:
        """End the spawned request as Locust ends a user."""
        self.background.kill(timeout=10)
        return {"dead": self.background.dead}

    def join(self, command: dict[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = self.background.get(timeout=30)
        return result

    def state(self, command: dict[str, Any]) -> dict[str, Any]:
        assert self.session is not None
        connections = self.session.connections
        return {
            "events": self.events,
            "samples": [
                {
                    **sample._asdict(),
                    "write_id": None if sample.write_id is None else sample.write_id.hex(),
                    "digest": None if sample.digest is None else sample.digest.hex(),
                }
                for sample in self.samples
            ],
            "reconnects": self.session.reconnects,
            "reconnected": self.reconnects,
            "idle": sorted(connections.idle),
        }

    def close(self, command: dict[str, Any]) -> dict[str, Any]:
        assert self.session is not None
        self.session.close()
        return {}


def _plain(value: Any) -> Any:
    """A result as JSON: bytes as hexadecimal, models and tuples of names as objects."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if hasattr(value, "_asdict"):
        return {key: _plain(each) for key, each in value._asdict().items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value.hex() if isinstance(value, bytes) else value


def main() -> None:
    driver = Driver()
    commands = FileObjectPosix(sys.stdin.fileno(), "rb", closefd=False)
    for line in commands:
        command = json.loads(line)
        try:
            answer = getattr(driver, command["do"])(command)
        except Exception as error:  # the edge of this process: the test shows it
            answer = {"driver_failed": repr(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

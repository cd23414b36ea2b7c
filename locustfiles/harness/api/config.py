"""Configuration of a node (A-4): `foundation.config`."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from locustfiles.harness.api.reply import Fields, document, rows, text, texts, whole
from locustfiles.harness.caller import Caller, Mismatch, write_id_of
from locustfiles.harness.digest import client_digest
from locustfiles.harness.http.response import Response
from service.content import CONFIG_CHANGED, config_stream, of_config

PATH_NAME = "/v1/config/{path}"
ALL_NAME = "/v1/config"
UPDATABLE_NAME = "/v1/config/updatable"


class ConfigEntry(NamedTuple):
    """A value and its version; a default that was never changed has version 0."""

    path: str
    value: Any
    version: int


class ConfigClient:
    """Reads and writes values by path, such as `features/dark_mode`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def get(
        self, path: str, *, node: str | None = None, intended_us: int | None = None
    ) -> ConfigEntry | None:
        """One value; None when there is none at the path (counted as a 4xx)."""
        caller = self._caller

        def read(reply: Response) -> ConfigEntry:
            return _entry(document(reply), path)

        return caller.send(
            "GET",
            caller.url(node, f"/v1/config/{path}"),
            PATH_NAME,
            read,
            intended_us=intended_us,
        )

    def put(
        self,
        path: str,
        value: Any,
        *,
        expected_version: int | None = None,
        node: str | None = None,
        write_id: bytes | None = None,
        intended_us: int | None = None,
    ) -> ConfigEntry | None:
        """Write a value; with `expected_version` only if it still has that one."""
        key, key_text = write_id_of(write_id)
        body: dict[str, Any] = {"id": key_text, "value": value}
        if expected_version is not None:
            body["expected_version"] = expected_version
        caller = self._caller

        def read(reply: Response) -> ConfigEntry:
            return _entry(document(reply), path)

        return caller.send(
            "PUT",
            caller.url(node, f"/v1/config/{path}"),
            PATH_NAME,
            read,
            body=orjson.dumps(body),
            write_id=key,
            digest=client_digest(CONFIG_CHANGED, config_stream(path), of_config(path, value)),
            intended_us=intended_us,
        )

    def all(
        self, *, prefix: str | None = None, node: str | None = None
    ) -> list[ConfigEntry] | None:
        """Every value, or those under `prefix`, in order of their paths."""
        caller = self._caller

        def read(reply: Response) -> list[ConfigEntry]:
            return [_entry(each, text(each, "path")) for each in rows(document(reply), "values")]

        return caller.send(
            "GET",
            caller.url(node, ALL_NAME),
            ALL_NAME,
            read,
            params=None if prefix is None else {"prefix": prefix},
        )

    def updatable(self, *, node: str | None = None) -> list[str] | None:
        """The paths that exist and may be changed."""
        caller = self._caller

        def read(reply: Response) -> list[str]:
            return texts(document(reply), "paths")

        return caller.send("GET", caller.url(node, UPDATABLE_NAME), UPDATABLE_NAME, read)


def _entry(fields: Fields, path: str) -> ConfigEntry:
    if fields["path"] != path:
        raise Mismatch("another path")
    return ConfigEntry(path, fields["value"], whole(fields, "version"))

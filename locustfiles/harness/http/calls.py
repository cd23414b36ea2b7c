"""The calling forms of FastHttpSession, each of which is `request` with its method filled in.

This module must not know how a request is sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from locustfiles.harness.http.compose import Data
from locustfiles.harness.http.response import Response
from locustfiles.harness.http.streamed import StreamedResponse


class Calls:
    """`request_name` is what `rename_request` sets."""

    request_name: str | None

    def request(self, method: str, url: str, **kwargs: Any) -> Response:
        raise NotImplementedError

    def get(self, url: str, **kwargs: Any) -> Response:
        return self.request("GET", url, **kwargs)

    def post(self, url: str, data: Data | None = None, json: Any = None, **kwargs: Any) -> Response:
        return self.request("POST", url, data=data, json=json, **kwargs)

    def put(self, url: str, data: Data | None = None, **kwargs: Any) -> Response:
        return self.request("PUT", url, data=data, **kwargs)

    def patch(self, url: str, data: Data | None = None, **kwargs: Any) -> Response:
        return self.request("PATCH", url, data=data, **kwargs)

    def delete(self, url: str, **kwargs: Any) -> Response:
        return self.request("DELETE", url, **kwargs)

    def head(self, url: str, **kwargs: Any) -> Response:
        return self.request("HEAD", url, **kwargs)

    def options(self, url: str, **kwargs: Any) -> Response:
        return self.request("OPTIONS", url, **kwargs)

    @contextmanager
    def rename_request(self, name: str) -> Iterator[None]:
        """Count the requests of a with-block under `name`, unless they bring their own."""
        self.request_name = name
        try:
            yield
        finally:
            self.request_name = None

    def iter_lines(self, url: str, method: str = "GET", **kwargs: Any) -> Iterator[str]:
        """The lines of a streamed response as they come. Raises what the request failed for."""
        response = self.request(method, url, stream=True, **kwargs)
        assert isinstance(response, StreamedResponse)
        try:
            response.raise_for_status()
            yield from response.iter_lines()
        finally:
            response.close()

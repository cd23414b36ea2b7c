"""`files=`: a form with files in it as one multipart body (RFC 7578), encoded by urllib3.

The forms of FastHttpUser and requests: a mapping or pairs of a field's name and a file, bytes or
text, or a tuple of file name, content, and perhaps content type and headers. The whole body is made
in memory. This module must not send anything.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from urllib3.fields import RequestField
from urllib3.filepost import encode_multipart_formdata

Files = Mapping[str, Any] | Sequence[tuple[str, Any]]


def encode_multipart(files: Files, data: object) -> tuple[bytes, str]:
    """Body and Content-Type. `data` are the form's other fields, a mapping or pairs, or None.

    Raises TypeError or ValueError for what makes no form.
    """
    if data is not None and not isinstance(data, Mapping | list | tuple):
        raise TypeError(f"data beside files is {type(data).__name__}: pass a mapping of fields")
    fields = [field for name, value in _pairs(data or ()) for field in _text_fields(name, value)]
    fields += [_file_field(name, value) for name, value in _pairs(files)]
    body, content_type = encode_multipart_formdata(fields)
    return body, content_type


def _pairs(items: Any) -> list[tuple[Any, Any]]:
    return (
        list(items.items())
        if isinstance(items, Mapping)
        else [(key, value) for key, value in items]
    )


def _text_fields(name: str, value: object) -> list[RequestField]:
    values = value if isinstance(value, list | tuple) else [value]
    fields = []
    for each in values:
        if each is not None:
            field = RequestField(name, each if isinstance(each, bytes) else str(each))
            field.make_multipart()
            fields.append(field)
    return fields


def _file_field(name: str, value: Any) -> RequestField:
    content_type, headers = None, None
    if isinstance(value, tuple | list):
        if not 2 <= len(value) <= 4:
            raise ValueError(
                f"the file {name!r} has {len(value)} parts: pass (file name, content), perhaps "
                "with a content type and headers"
            )
        filename, content, content_type, headers = (*value, None, None)[:4]
    else:
        filename, content = _file_name(value) or name, value
    if hasattr(content, "read"):
        content = content.read()
    if not isinstance(content, bytes | bytearray | str):
        raise TypeError(
            f"the file {name!r} is {type(content).__name__}: pass a file, bytes or text"
        )
    field = RequestField(
        name, bytes(content) if isinstance(content, bytearray) else content, filename, headers
    )
    field.make_multipart(content_type=content_type)
    return field


def _file_name(file: Any) -> str | None:
    name = getattr(file, "name", None)
    if isinstance(name, str) and name and name[0] != "<" and name[-1] != ">":
        return os.path.basename(name)
    return None

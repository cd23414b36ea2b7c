"""Content codings, their limits, and what is not valid."""

from __future__ import annotations

import gzip
import zlib

import brotli  # type: ignore[import-untyped]
import pytest

from locustfiles.harness.http.body import ContentError, ContentTooLarge, decode

TEXT = b"some text, " * 100
LIMIT = 10_000


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("coding", "data"),
    [
        ("gzip", gzip.compress(TEXT)),
        ("X-GZIP", gzip.compress(TEXT)),
        ("gzip", gzip.compress(TEXT[:500]) + gzip.compress(TEXT[500:]) + b"\0\0"),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", raw_deflate(TEXT)),
        ("deflate, gzip", gzip.compress(zlib.compress(TEXT))),
        ("identity", TEXT),
        (" , ", TEXT),
        ("zstd", TEXT),
    ],
)
def test_a_body_is_decoded(coding: str, data: bytes) -> None:
    assert decode(coding, data, LIMIT) == TEXT


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
def test_an_empty_body_is_empty_in_every_coding(coding: str) -> None:
    assert decode(coding, b"", LIMIT) == b""


@pytest.mark.parametrize(
    ("coding", "data"),
    [
        ("gzip", TEXT),
        ("gzip", gzip.compress(TEXT)[:-1]),
        ("gzip", gzip.compress(TEXT) + b"trailing"),
        ("deflate", b"\xff\xff\xff\xff"),
        ("deflate", zlib.compress(TEXT)[:-1]),
        ("gzip,gzip,gzip,gzip,gzip", TEXT),
    ],
)
def test_what_is_not_valid_is_refused(coding: str, data: bytes) -> None:
    with pytest.raises(ContentError):
        decode(coding, data, LIMIT)


def test_the_limit_is_exact_and_holds_over_members_and_layers() -> None:
    assert len(decode("gzip", gzip.compress(b"x" * LIMIT), LIMIT)) == LIMIT
    for data in (
        gzip.compress(b"x" * (LIMIT + 1)),
        gzip.compress(b"x" * LIMIT) + gzip.compress(b"x"),
    ):
        with pytest.raises(ContentTooLarge):
            decode("gzip", data, LIMIT)
    with pytest.raises(ContentTooLarge):
        decode("gzip, gzip", gzip.compress(gzip.compress(b"\0" * 10**6)), LIMIT)


def test_brotli_is_decoded_and_bounded() -> None:
    assert decode("br", brotli.compress(TEXT), LIMIT) == TEXT
    with pytest.raises(ContentTooLarge):
        decode("br", brotli.compress(b"\0" * 10**6), LIMIT)
    for broken in (b"nonsense that is not brotli", brotli.compress(TEXT)[:-3]):
        with pytest.raises(ContentError):
            decode("br", broken, LIMIT)

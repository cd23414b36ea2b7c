"""Files of checks: what they say is what the text says, and whatever is wrong has its place."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from results.check import error_rate, latency, requests
from results.errors import CheckError
from results.grammar import ABORT_AFTER_S, check
from results.text.slo import MAX_BYTES, MAX_CHECKS, Slo, read_slo

PAGE = Path(__file__).parents[4] / "docs/checks.md"


@pytest.fixture
def slo(tmp_path: Path) -> Callable[[str | bytes], Slo]:
    def read(content: str | bytes) -> Slo:
        path = tmp_path / "slo.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_slo(str(path))

    return read


def refused(slo: Callable[[str | bytes], Slo], content: str | bytes) -> str:
    with pytest.raises(CheckError) as caught:
        slo(content)
    said = str(caught.value)
    assert "slo.yaml: " in said
    return said.partition("slo.yaml: ")[2]


def test_a_file_has_the_checks_of_its_texts_and_mappings(
    slo: Callable[[str | bytes], Slo],
) -> None:
    read = slo(
        "# ours\n"
        "checks:\n"
        "  - p99 < 250ms in phase:*\n"
        "  - 'errors < 0.1% of GET /a'\n"
        '  - "lost == 0"\n'
        "  - {check: p95 < 1s, endpoint: 'GET /a: b', window: 30s..90s, over: 10s, abort: true}\n"
        "  - check: availability > 95%\n"
        "    for: 5s\n"
        "    abort: after 30s\n"
        "  - {check: p50 < 1s, abort: 7s}\n"
        "  - {check: max < 1s, abort: no}\n"
    )
    assert read.checks == (
        check("p99 < 250ms in phase:*"),
        check("errors < 0.1% of GET /a"),
        check("lost == 0"),
        check('p95 < 1s of "GET /a: b" in 30s..90s over 10s, abort'),
        check("availability > 95% for 5s, abort after 30s"),
        check("p50 < 1s, abort after 7s"),
        check("max < 1s"),
    )
    assert read.checks[3].abort_after_s == ABORT_AFTER_S
    assert read.place(read.checks[0]) == f"{read.path}: line 3, column 5"
    assert read.place(read.checks[0], "in") == f"{read.path}: line 3, column 20"
    assert read.place(read.checks[3], "in") == f"{read.path}: line 6, column 54"
    assert read.place(read.checks[4]) == f"{read.path}: line 7, column 12"
    assert read.place(requests(above=5)) is None


def test_a_byte_order_mark_and_other_line_ends_are_taken(
    slo: Callable[[str | bytes], Slo],
) -> None:
    read = slo(b"\xef\xbb\xbfchecks:\r\n  - p99 < 1s\r\n  - lost == 0\r\n")
    assert [one.expression for one in read.checks] == ["p99 < 1s", "lost == 0"]
    assert read.place(read.checks[1]) == f"{read.path}: line 3, column 5"


def test_a_check_of_the_same_id_takes_the_place_of_the_scenarios_and_others_follow(
    slo: Callable[[str | bytes], Slo],
) -> None:
    own = (error_rate(below=0.01), latency(quantile=0.99, below_ms=100), requests(above=5))
    read = slo("checks: [p99 < 2s, p99 < 1s over 10s, errors < 5%]")
    joined = read.over(own)
    assert [one.expression for one in joined] == [
        "errors < 5%",
        "p99 < 2s",
        "requests > 5",
        "p99 < 1s over 10s",
    ]


def test_the_digest_is_that_of_the_file(slo: Callable[[str | bytes], Slo]) -> None:
    first = slo("checks: [p99 < 2s]")
    assert len(first.sha256) == 64
    assert slo("checks: [p99 < 3s]").sha256 != first.sha256


@pytest.mark.parametrize(
    ("content", "place", "says"),
    [
        ("checks:\n - p99 < 1s\n -   p89 < 1s\n", (3, 6), "unknown measure 'p89'"),
        ("checks:\n - 'p99 < 1mz'\n", (2, 12), "did you mean 'ms'?"),
        ('checks:\n - "p99 < 1\\u006dz"\n', (2, 4), "did you mean 'ms'?"),
        ("checks:\n - >\n   p99 <\n   1mz\n", (2, 4), "did you mean 'ms'?"),
        ("checks:\n - errors < 5ms\n", (2, 14), "the limit of errors is a share"),
        ("checks:\n - {check: p99 < 1s, windw: run}\n", (2, 22), "did you mean 'window'?"),
        ("checks:\n - {check: p99 < 1s, window: pase:x}\n", (2, 30), "did you mean 'phase:x'?"),
        ("checks:\n - {check: p99 < 1s, over: 10}\n", (2, 28), "such as 10s"),
        ("checks:\n - {check: p99 < 1s, over: [10s]}\n", (2, 28), "is text, not a list"),
        ("checks:\n - {check: p99 < 1s, over: }\n", (2, 27), "is text, not nothing"),
        ("checks:\n - {check: p99 < 1s, over: 10s in run}\n", (2, 32), "unexpected 'in run'"),
        ("checks:\n - {check: p99 < 1s, endpoint: ' '}\n", (2, 33), "has no name"),
        ("checks:\n - {check: p99 < 1s, abort: maybe}\n", (2, 29), "a number is expected"),
        ("checks:\n - {check: lost == 0, endpoint: GET /a}\n", (2, 33), "not counted by endpoint"),
        ("checks:\n - {check: lost == 0, over: 5s}\n", (2, 29), "lost has no 'over'"),
        ("checks:\n - {check: p99 < 1s in run, window: run}\n", (2, 37), "is given twice"),
        ("checks:\n - {check: p99 < 1s, check: p99 < 2s}\n", (2, 22), "'check' is given twice"),
        ("checks:\n - {window: run}\n", (2, 4), "has a key 'check'"),
        ("checks:\n - {check: 5}\n", (2, 12), "'check' is text"),
        ("checks:\n - p99 < 1s of GET /a: b\n", (2, 4), "a check with a ': ' is put in quotes"),
        ("checks:\n - [p99 < 1s]\n", (2, 4), "a check is text, such as p99 < 250ms, or a mapping"),
        ("checks: [5]\n", (1, 10), "not '5'"),
        ("checks: [null]\n", (1, 10), "not nothing"),
        ("checks: [p99 < 1s, p99 < 2s]\n", (1, 20), "the same as that of line 1, column 10"),
        ("checks: []\n", (1, 9), "the list of checks is empty"),
        ("checks:\n", (1, 8), "'checks' is a list, not nothing"),
        ("checks: p99 < 1s\n", (1, 9), "'checks' is a list, not 'p99 < 1s'"),
        ("- p99 < 1s\n", (1, 1), "a mapping with 'checks' is expected, not a list"),
        ("p99 < 1s\n", (1, 1), "a mapping with 'checks' is expected, not 'p99 < 1s'"),
        ("cheks: [p99 < 1s]\n", (1, 1), "unknown key 'cheks': did you mean 'checks'?"),
        ("checks: [p99 < 1s]\nchecks: [p99 < 2s]\n", (2, 1), "'checks' is given twice"),
        ("[1]: 5\n", (1, 1), "unknown key a list"),
        ("checks:\n\t- p99 < 1s\n", (2, 1), "this is no YAML: found character"),
        ("checks: [p99 < 1s\n", (2, 1), "this is no YAML"),
        ("checks: [p99 < 1s]\n---\nchecks: []\n", (2, 1), "another document"),
        ("checks:\n - &a p99 < 1s\n - *a\n", (3, 4), "an alias is not taken"),
        ("checks: *a\n", (1, 9), "an alias is not taken"),
        ("checks: " + "[" * 30_000, (1, 12), "nested too deeply"),
        ("checks:\n - !!python/object/apply:os.system [ls]\n", (2, 4), "not a list"),
        (
            "checks:\n" + "".join(f" - p99 < 1s in phase:p{n}\n" for n in range(MAX_CHECKS + 1)),
            (MAX_CHECKS + 2, 4),
            "at most 200 checks",
        ),
    ],
)
def test_a_mistake_in_a_file_has_line_and_column(
    slo: Callable[[str | bytes], Slo], content: str, place: tuple[int, int], says: str
) -> None:
    said = refused(slo, content)
    assert said.startswith(f"line {place[0]}, column {place[1]}: "), said
    assert says in said, said


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty: write it as"),
        (b"# nothing yet\n", "is empty: write it as"),
        (b"{}\n", "has no 'checks'"),
        (b"checks: [caf\xe9]\n", "is not UTF-8 (byte 12 is 0xe9): save it as UTF-8"),
        (b"checks: [p99\x00]\n", "is no YAML: unacceptable character"),
        (b"\xff\xfec\x00h\x00", "is not UTF-8 (byte 0 is 0xff)"),
        (b"#" * (MAX_BYTES + 1), "is larger than 64 KiB"),
    ],
)
def test_a_file_that_is_none_of_checks_is_refused_as_a_whole(
    slo: Callable[[str | bytes], Slo], content: bytes, says: str
) -> None:
    assert says in refused(slo, content)


def test_a_billion_laughs_are_refused_at_the_first(slo: Callable[[str | bytes], Slo]) -> None:
    lines = ["a: &a0 [ha, ha]"]
    lines += [f"b{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20)]
    assert "line 2, column" in refused(slo, "\n".join(lines))


def test_what_is_no_file_is_named_and_nobody_waits_for_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, says in {
        str(tmp_path / "nowhere.yaml"): "No such file",
        str(tmp_path): "Is a directory",
        str(pipe): "is no file",
        "/dev/zero": "is no file",
        "a\0b": "'a\\x00b'",
        "\x1b[2Jx": "'\\x1b[2Jx'",
        "": "names no file",
    }.items():
        with pytest.raises(CheckError) as caught:
            read_slo(path)
        assert says in str(caught.value)
        assert str(caught.value).isprintable()


def test_the_pages_file_and_its_errors_are_real(slo: Callable[[str | bytes], Slo]) -> None:
    page = PAGE.read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.S)
    assert [one.expression for one in slo(block).checks] == [
        "p99 < 250ms",
        "errors < 0.1% in phase:*",
        "p95 < 1s of GET /search: all in phase:burst over 10s",
        "availability > 95% for 5s, abort after 5s",
    ]
    above = "checks:\n  - p99 < 250ms\n  - lost == 0\n"
    for line in ("p89 < 5ms", "errors < 5ms"):
        said = refused(slo, f"{above}  - {line}\n" if "p89" in line else f"{above}\n  - {line}\n")
        assert f"error: slo.yaml: {said}\n" in page

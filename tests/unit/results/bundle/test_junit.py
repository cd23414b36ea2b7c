"""JUnit XML: a case for each check and for the run, red exactly when the exit code is not 0."""

from __future__ import annotations

from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest

from results.bundle.junit import junit
from results.check import errors, latency, requests
from results.finding import Finding
from results.judging.evaluation import CheckResult, Status
from results.verdict import Judgement, judge

PASSED = CheckResult(requests(above=10), Status.PASS, 12.0, 12, "requests: 12")
FAILED = CheckResult(errors(endpoint="GET /a"), Status.FAIL, 3.0, 12, "errors: 3 of GET /a")
NO_DATA = CheckResult(
    latency(quantile=0.5, below_ms=1), Status.INCONCLUSIVE, None, 0, "raw_p50: no samples"
)
UNFIT = Finding("starved", "w1 was starved for 5 s")


def suite_of(judgement: Judgement, run_id: str = "run-1") -> Element:
    """Parsed, and held to what readers of JUnit XML ask for."""
    root = ElementTree.fromstring(junit(judgement, run_id).encode())
    assert root.tag == "testsuites"
    (suite,) = root
    assert suite.tag == "testsuite"
    cases = suite.findall("testcase")
    assert len(cases) == len(suite) == int(suite.attrib["tests"]) == int(root.attrib["tests"])
    for case in cases:
        assert case.attrib["classname"] and case.attrib["name"]
        float(case.attrib["time"])
        assert {child.tag for child in case} <= {"failure", "error", "system-out"}
    for kind, count in (("failure", "failures"), ("error", "errors")):
        found = suite.findall(f"testcase/{kind}")
        assert len(found) == int(suite.attrib[count]) == int(root.attrib[count])
        assert all(one.attrib["message"] and one.attrib["type"] for one in found)
    keys = [(case.attrib["classname"], case.attrib["name"]) for case in cases]
    assert len(keys) == len(set(keys)), "systems tell cases apart by class and name"
    return suite


def outcome(suite: Element, name: str) -> list[str]:
    """What a case has, by a part of its name."""
    (case,) = [one for one in suite if name in one.attrib["name"]]
    return [child.tag for child in case if child.tag != "system-out"]


def is_red(suite: Element) -> bool:
    return suite.attrib["failures"] != "0" or suite.attrib["errors"] != "0"


def test_each_check_is_a_case_in_the_class_of_its_window() -> None:
    suite = suite_of(judge([PASSED, FAILED, NO_DATA]))
    assert suite.attrib["name"] == "run-1"
    assert outcome(suite, "requests > 10") == []
    assert outcome(suite, "GET /a") == ["failure"]
    assert outcome(suite, NO_DATA.check.expression) == ["error"]
    assert {case.attrib["classname"] for case in suite} == {"run"}
    failure = suite.find("testcase/failure")
    assert failure is not None and failure.attrib["message"] == failure.text == FAILED.reason


@pytest.mark.parametrize(
    ("judgement", "name"),
    [
        (judge([PASSED], findings=[UNFIT]), "the generator was fit"),
        (judge([PASSED], aborted="it was stopped"), "the run reached its end"),
        (judge([PASSED], doubts=["who knows"]), "nothing is in doubt"),
        (judge([]), "the run was judged"),
    ],
)
def test_what_is_wrong_with_the_run_is_a_case_of_its_own(judgement: Judgement, name: str) -> None:
    suite = suite_of(judgement)
    assert outcome(suite, name) == ["error"]
    assert suite.attrib["errors"] == "1"
    clean = suite_of(judge([PASSED]))
    assert not is_red(clean), "the control"


@pytest.mark.parametrize("results", [[], [PASSED], [FAILED], [NO_DATA], [PASSED, FAILED]])
@pytest.mark.parametrize("findings", [[], [UNFIT]])
@pytest.mark.parametrize("aborted", [None, "stopped"])
@pytest.mark.parametrize("doubts", [[], ["doubt"]])
def test_the_suite_is_red_exactly_when_the_exit_code_is_not_0(
    results: list[CheckResult], findings: list[Finding], aborted: str | None, doubts: list[str]
) -> None:
    judgement = judge(results, findings=findings, aborted=aborted, doubts=doubts)
    assert is_red(suite_of(judgement)) is (judgement.exit_code != 0)


HOSTILE = [
    '</testsuite><x y="',
    "]]>",
    "\x00\x1b[2J\x0b",
    "\ufffe\uffff",
    "\ud800",
    "&lt;&#0;",
    "ü☃",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_stay_text(text: str) -> None:
    check = requests(above=10, endpoint=text, window=f"phase:{text}")
    result = CheckResult(check, Status.FAIL, 1.0, 1, f"reason {text}")
    suite = suite_of(judge([result], aborted=text or "x"), text)
    assert suite.attrib["failures"] == "1"
    if text.isprintable():
        assert suite[0].attrib["name"] == check.expression
        assert suite[0].attrib["classname"] == f"phase:{text}"
        assert suite.attrib["name"] == text


def test_a_long_reason_is_not_cut() -> None:
    result = CheckResult(FAILED.check, Status.FAIL, 1.0, 1, "x" * 5000)
    failure = suite_of(judge([result])).find("testcase/failure")
    assert failure is not None and failure.text == "x" * 5000

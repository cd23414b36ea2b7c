"""A verdict as JUnit XML, which CI systems show: a case for each check, and for the run itself.

A check that does not hold is a failure, one that proves nothing an error, since systems show
"skipped" as if all was well. No case is red exactly when the exit code is 0. This module must not
write files.
"""

from __future__ import annotations

from typing import assert_never
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from results.judging.evaluation import CheckResult, Status
from results.printable import printable
from results.verdict import ExitCode, Judgement
from results.windows import RUN

SUITE = "foundation"


def junit(judgement: Judgement, run_id: str) -> str:
    """The whole document. `run_id` names the suite."""
    suite = Element("testsuite", name=_text(run_id))
    for result in judgement.results:
        _add_check(suite, result)
    _add(
        suite,
        *(RUN, "the generator was fit"),
        error="; ".join(finding.text for finding in judgement.findings),
    )
    _add(suite, RUN, "the run reached its end", error=judgement.aborted or "")
    _add(suite, RUN, "nothing is in doubt", error="; ".join(judgement.doubts))
    is_green = not (suite.findall("*/failure") or suite.findall("*/error"))
    if is_green and judgement.exit_code is not ExitCode.PASS:
        _add(suite, RUN, "the run was judged", error="; ".join(judgement.reasons))
    counts = {
        "tests": str(len(suite)),
        "failures": str(len(suite.findall("*/failure"))),
        "errors": str(len(suite.findall("*/error"))),
        "skipped": "0",
        "time": f"{_length_s(judgement):.3f}",
    }
    suites = Element("testsuites", {"name": SUITE, **counts})
    for name, value in counts.items():
        suite.set(name, value)
    suites.append(suite)
    indent(suites)
    return f"<?xml version='1.0' encoding='UTF-8'?>\n{tostring(suites, encoding='unicode')}\n"


def _add_check(suite: Element, result: CheckResult) -> None:
    check = result.check
    name = check.expression
    match result.status:
        case Status.PASS:
            case = _add(suite, check.window, name)
            SubElement(case, "system-out").text = _text(result.reason)
        case Status.FAIL:
            _add(suite, check.window, name, failure=result.reason)
        case Status.INCONCLUSIVE:
            _add(suite, check.window, name, error=result.reason)
        case _:
            assert_never(result.status)


def _add(suite: Element, where: str, name: str, *, failure: str = "", error: str = "") -> Element:
    case = SubElement(suite, "testcase", classname=_text(where), name=_text(name), time="0")
    for kind, reason in (("failure", failure), ("error", error)):
        if reason:
            found = SubElement(case, kind, message=_text(reason), type=kind)
            found.text = _text(reason)
    return case


def _length_s(judgement: Judgement) -> float:
    run = next((one.window for one in judgement.windows if one.window.name == RUN), None)
    return 0.0 if run is None else run.length_s


def _text(text: str) -> str:
    """Escaped is what XML has no place for, such as control characters (its production 2, Char)."""
    return printable(text, None)

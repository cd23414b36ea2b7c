"""The top of the page: verdict, figures, checks."""

from __future__ import annotations

from results.report import outcome, traffic
from results.report.record import Record
from results.sample import Outcome
from tests.unit.results.report.cells import cells, of


def test_the_headline_says_the_verdict_in_word_mark_and_sentence(stormy: Record) -> None:
    head = outcome.headline(stormy)
    assert (head.verdict, head.tone, head.mark, head.exit_code) == ("FAIL", "fail", "✗", "1")
    assert head.meaning == "The target did not meet its checks."
    assert any("lost" in reason for reason in head.reasons)
    assert not head.recomputed


def test_a_verdict_that_is_none_of_ours_gets_no_colour() -> None:
    head = outcome.headline(of({"verdict": "GREAT", "exit_code": 0}))
    assert (head.verdict, head.tone, head.mark) == ("GREAT", "", "")
    assert outcome.headline(of({})).verdict == "NO VERDICT"


def test_tiles_hold_the_figures_of_the_whole_run(stormy: Record) -> None:
    shown = {tile.name: tile for tile in outcome.tiles(stormy)}
    assert shown["Requests"].value == "16,600"
    assert shown["Errors"].tone == "bad"
    assert (shown["Writes lost"].value, shown["Writes lost"].tone) == ("4", "bad")
    assert outcome.tiles(of({})) == ()


def test_a_clean_run_has_no_tile_in_alarm() -> None:
    window = {"name": "run", "total": {"requests": 5, "errors": {}, "error_rate": 0.0}}
    shown = outcome.tiles(of({"windows": [window], "audit": {"totals": {"present": 5}}}))
    assert {tile.tone for tile in shown} == {"", "good"}


def lost_tile(totals: dict[str, int], **more: object) -> tuple[str, str, str] | None:
    run = {"name": "run", "total": {"requests": 5}}
    audit: dict[str, object] = {"totals": totals, **more}
    shown = outcome.tiles(of({"windows": [run], "audit": audit}))
    return next(((t.value, t.detail, t.tone) for t in shown if t.name == "Writes lost"), None)


def test_writes_that_nobody_could_verify_are_not_praised_as_not_lost() -> None:
    assert lost_tile({"unverified": 204}) == ("-", "of 0 verified, 204 unverified", "warn")
    assert lost_tile({"present": 200, "unverified": 4}) == (
        "0",
        "of 200 verified, 4 unverified",
        "warn",
    )
    assert lost_tile({"lost": 1, "unverified": 4}) == ("1", "of 1 verified, 4 unverified", "bad")
    assert lost_tile({"present": 9, "redelivered": 1}) == ("0", "of 10 verified", "good")


def test_an_incomplete_ledger_keeps_the_tile_of_lost_writes_from_being_green() -> None:
    shown = lost_tile({"present": 9}, doubts=["2 report(s) of writes never arrived"])
    assert shown == ("0", "of 9 verified", "warn")


def test_only_acknowledged_writes_can_be_lost() -> None:
    assert lost_tile({"present": 5, "refused": 90, "absent": 3}) == ("0", "of 5 verified", "good")
    assert lost_tile({"refused": 90, "stored": 1, "unread": 2}) is None


def test_checks_have_status_value_and_unit(stormy: Record) -> None:
    rows = cells(outcome.check_table(stormy))
    assert ["✗ FAIL", "errors < 0.1%", "run", "4.289 %", "16,600"] in rows
    assert ["✓ PASS", "p95 < 400ms in phase:peak", "phase:peak", "235.9 ms", "6,603"] in rows
    assert outcome.check_table(of({"checks": []})) is None


def test_a_check_near_its_limit_shows_its_interval() -> None:
    check = {
        "id": "e",
        "expression": "errors < 1%",
        "measure": "error_rate",
        "window": "run",
        "value": 0.01,
        "interval": [0.008, 0.0125],
        "samples": 900,
        "status": "FAIL",
        "endpoint": "GET /a",
    }
    rows = cells(outcome.check_table(of({"checks": [check, {"id": "old", "status": "PASS"}]})))
    assert rows[0] == [
        "✗ FAIL",
        "errors < 1%",
        "GET /a",
        "run",
        "1 %",
        "0.8 % to 1.25 %",
        "900",
    ]
    assert rows[1][:3] == ["✓ PASS", "old", "all"]


def test_a_check_of_an_old_bundle_has_a_value_without_its_unit() -> None:
    check = {"id": "x", "expression": "raw p99 < 5 ms", "value": 7.25, "status": "FAIL"}
    assert cells(outcome.check_table(of({"checks": [check]})))[0][3] == "7.25"


def test_every_outcome_that_is_an_error_has_words() -> None:
    errors = {outcome.value for outcome in Outcome} - {Outcome.OK, Outcome.CANCELLED}
    assert set(traffic.ERROR_KINDS) == errors

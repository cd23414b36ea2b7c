"""The recorder: binning, late samples, bounds, and reports that survive their dict form."""

from __future__ import annotations

import json

import pytest

from results.histogram import Histogram
from results.recorder import (
    FURTHER_ENDPOINTS,
    LONGEST_NAME,
    MAX_ALIASES,
    MAX_ENDPOINTS,
    Recorder,
)
from results.sample import Outcome, Sample
from results.second import SecondReport

ORIGIN_US = 1_700_000_000_000_000
SECOND_US = 1_000_000


def sample(
    start_s: float,
    end_s: float,
    *,
    name: str = "GET /a",
    outcome: Outcome = Outcome.OK,
    emulated_us: int = 0,
    intended_s: float | None = None,
    node: str = "http://127.0.0.1:1",
) -> Sample:
    def at(t_s: float) -> int:
        return ORIGIN_US + round(t_s * SECOND_US)

    return Sample(
        name=name,
        intended_us=None if intended_s is None else at(intended_s),
        start_us=at(start_s),
        end_us=at(end_s),
        outcome=outcome,
        status=200,
        bytes_received=10,
        emulated_us=emulated_us,
        write_id=None,
        node=node,
    )


def recorded(*samples: Sample, **options: int) -> tuple[Recorder, list[SecondReport]]:
    recorder = Recorder(source="w1", origin_us=ORIGIN_US, **options)
    for one in samples:
        recorder.record(one)
    recorder.close()
    return recorder, drained(recorder)


def drained(recorder: Recorder) -> list[SecondReport]:
    return [report for report in recorder.reports() if report is not None]


def test_a_request_counts_where_it_ended_and_its_start_where_it_started() -> None:
    _, reports = recorded(sample(0.9, 2.1), sample(2.2, 2.3))
    assert [report.second for report in reports] == [2]
    endpoint = reports[0].endpoints["GET /a"]
    assert endpoint.ended == 2
    assert dict(endpoint.started) == {0: 1, 2: 1}
    assert (endpoint.raw.count, endpoint.raw.max_us, endpoint.raw.sum_us) == (
        2,
        1_200_000,
        1_300_000,
    )


def test_a_cancelled_request_counts_as_started_and_nothing_else() -> None:
    _, reports = recorded(sample(0.1, 0.2, outcome=Outcome.CANCELLED), sample(0.1, 0.3))
    endpoint = reports[0].endpoints["GET /a"]
    assert (endpoint.ended, endpoint.cancelled, dict(endpoint.started)) == (1, 1, {0: 2})
    assert endpoint.errors == {}
    assert endpoint.raw.count == 1
    assert reports[0].nodes["http://127.0.0.1:1"].ended == 1


def test_errors_are_counted_by_kind_and_by_node() -> None:
    _, reports = recorded(
        sample(0, 0.1, outcome=Outcome.HTTP_5XX, node="b"),
        sample(0, 0.1, outcome=Outcome.HTTP_5XX),
        sample(0, 0.1, outcome=Outcome.TIMEOUT),
        sample(0, 0.1),
    )
    assert reports[0].endpoints["GET /a"].errors == {"http_5xx": 2, "timeout": 1}
    assert (reports[0].nodes["b"].ended, reports[0].nodes["b"].errors) == (1, 1)
    assert reports[0].endpoints["GET /a"].bytes_received == 40


def test_excess_is_response_time_less_the_emulated_part_and_never_negative() -> None:
    _, reports = recorded(
        sample(0, 0.25, emulated_us=200_000), sample(0, 0.25, emulated_us=400_000)
    )
    excess = reports[0].endpoints["GET /a"].excess
    assert (excess.max_us, excess.sum_us, excess.count) == (50_000, 50_000, 2)


def test_corrected_latency_exists_only_with_an_intended_start() -> None:
    _, reports = recorded(
        sample(1.0, 1.1, intended_s=0.5, name="open"), sample(1.0, 1.1, name="closed")
    )
    corrected = reports[0].endpoints["open"].corrected
    assert corrected is not None
    assert corrected.max_us == 600_000
    assert reports[0].endpoints["closed"].corrected is None


def test_a_request_that_began_ahead_of_its_intended_start_is_no_faster_than_it_was() -> None:
    _, reports = recorded(sample(1.0, 2.5, intended_s=2.3))
    endpoint = reports[0].endpoints["GET /a"]
    assert endpoint.corrected is not None
    assert endpoint.corrected.max_us == endpoint.raw.max_us == 1_500_000


def test_only_the_open_second_is_held_back() -> None:
    recorder = Recorder(source="w1", origin_us=ORIGIN_US)
    recorder.record(sample(0.1, 0.2))
    assert drained(recorder) == []
    recorder.record(sample(1.1, 1.2))
    assert [report.second for report in drained(recorder)] == [0]
    recorder.close(ORIGIN_US + SECOND_US + 999_999)
    assert drained(recorder) == []
    recorder.close(ORIGIN_US + 2 * SECOND_US)
    assert [report.second for report in drained(recorder)] == [1]


def test_a_late_sample_becomes_an_increment_for_its_second() -> None:
    recorder = Recorder(source="w1", origin_us=ORIGIN_US)
    recorder.record(sample(0.1, 0.2))
    recorder.record(sample(5.1, 5.2))
    recorder.record(sample(0.3, 0.4))
    first = drained(recorder)
    recorder.close()
    later = drained(recorder)
    assert [(r.second, r.sequence) for r in first + later] == [(0, 0), (0, 1), (5, 2)]
    assert all(report.endpoints["GET /a"].ended == 1 for report in first + later)


def test_what_ended_before_the_origin_is_kept_in_negative_seconds() -> None:
    _, reports = recorded(sample(-1.5, -0.2))
    assert [report.second for report in reports] == [-1]
    assert dict(reports[0].endpoints["GET /a"].started) == {-2: 1}


def test_a_recorder_that_nobody_empties_drops_whole_seconds_and_says_so() -> None:
    recorder = Recorder(source="w1", origin_us=ORIGIN_US, max_pending_samples=3)
    for second in range(5):
        recorder.record(sample(second + 0.1, second + 0.2))
        recorder.record(sample(second + 0.1, second + 0.3))
    recorder.close()
    reports = drained(recorder)
    assert sum(r.endpoints["GET /a"].ended for r in reports) == 2
    assert recorder.dropped == 8
    assert reports[-1].dropped == 8
    assert recorder.pending_samples == 0
    recorder.record(sample(9.1, 9.2))
    recorder.close()
    assert drained(recorder)[0].second == 9, "once emptied it records again"


def test_names_made_of_raw_urls_end_up_under_one_name() -> None:
    recorder = Recorder(source="w1", origin_us=ORIGIN_US)
    for n in range(MAX_ENDPOINTS + 20):
        recorder.record(sample(0, 0.1, name=f"GET /item/{n}"))
    recorder.record(sample(1, 1.1, name="GET /item/3"))
    recorder.record(sample(1, 1.1, name="GET /item/9999"))
    recorder.close()
    first, second = drained(recorder)
    assert len(first.endpoints) == MAX_ENDPOINTS + 1
    assert first.endpoints[FURTHER_ENDPOINTS].ended == 20
    assert set(second.endpoints) == {"GET /item/3", FURTHER_ENDPOINTS}


def test_excess_is_encoded_by_itself_only_where_something_was_emulated() -> None:
    recorder = Recorder(source="w1", origin_us=ORIGIN_US)
    recorder.record(sample(0.1, 0.2))
    recorder.record(sample(1.1, 1.2))
    recorder.record(sample(1.1, 1.2)._replace(emulated_us=40_000))
    recorder.close()
    plain, emulated = (report for report in recorder.reports() if report is not None)
    assert plain.endpoints["GET /a"].excess is plain.endpoints["GET /a"].raw
    excess = emulated.endpoints["GET /a"].excess
    assert (excess.count, excess.sum_us) == (2, 160_000)
    for report, is_null in ((plain, True), (emulated, False)):
        data = report.as_dict()
        endpoints = data["endpoints"]
        assert isinstance(endpoints, dict)
        assert (endpoints["GET /a"]["excess"] is None) is is_null
        assert SecondReport.from_dict(data) == report


def test_a_report_that_writes_excess_out_is_read_alike() -> None:
    """As timelines from before have it."""
    recorder, _ = recorded()
    recorder.record(sample(0.1, 0.2))
    recorder.close()
    (report,) = (each for each in recorder.reports() if each is not None)
    data = report.as_dict()
    endpoints = data["endpoints"]
    assert isinstance(endpoints, dict)
    endpoints["GET /a"]["excess"] = endpoints["GET /a"]["raw"]
    assert SecondReport.from_dict(data) == report


def test_encoding_pauses_between_slices_and_an_abandoned_pass_loses_nothing() -> None:
    recorder = Recorder(source="w1", origin_us=ORIGIN_US, slice_samples=10)
    for _ in range(95):
        recorder.record(sample(0.1, 0.2))
    recorder.close()
    abandoned = recorder.reports()
    for _ in range(4):
        assert next(abandoned) is None
    abandoned.close()
    steps = list(recorder.reports())
    assert steps.count(None) == 10, "ten slices of raw, which excess is the same as"
    assert isinstance(steps[-1], SecondReport)
    assert steps[-1].sequence == 0
    assert steps[-1].endpoints["GET /a"].raw.count == 95


def test_a_new_pass_ends_an_older_one_and_every_report_comes_once() -> None:
    recorder, _ = recorded()
    for second in range(3):
        recorder.record(sample(second, second + 0.1))
    recorder.close()
    older = recorder.reports()
    next(older)
    newer = recorder.reports()
    first = next(report for report in newer if report is not None)
    assert [r for r in older if r is not None] == []
    assert [first.sequence] + [r.sequence for r in newer if r is not None] == [0, 1, 2]


def test_a_report_survives_json() -> None:
    _, reports = recorded(
        sample(0.9, 1.1, intended_s=0.5),
        sample(1, 1.2, outcome=Outcome.RESET),
        sample(1, 1.2, name="x\n☃", outcome=Outcome.CANCELLED),
    )
    for report in reports:
        assert SecondReport.from_dict(json.loads(json.dumps(report.as_dict()))) == report
    merged = Histogram()
    merged.merge(reports[0].endpoints["GET /a"].raw)
    assert merged.count == 2


def good_report() -> dict[str, object]:
    _, reports = recorded(sample(0.1, 0.2))
    return reports[0].as_dict()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sequence": -1}, "at least 0"),
        ({"sequence": True}, "whole number"),
        ({"second": "3"}, "whole number"),
        ({"source": None}, "text"),
        ({"endpoints": []}, "object"),
        ({"endpoints": {"a": {}}}, "missing"),
        ({"nodes": {"n": [1]}}, "2 entries"),
        ({"nodes": {"n": [1, -2]}}, "at least 0"),
        ({"surprise": 1}, "unknown field"),
    ],
)
def test_a_wrong_report_names_the_field(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SecondReport.from_dict({**good_report(), **change})


def test_a_report_that_is_no_object_is_refused() -> None:
    with pytest.raises(ValueError, match="object"):
        SecondReport.from_dict([1, 2])


def answered(status: int, outcome: Outcome = Outcome.HTTP_5XX) -> Sample:
    return sample(0, 0.1, outcome=outcome)._replace(status=status)


def test_failed_answers_are_counted_by_status() -> None:
    _, reports = recorded(
        answered(503),
        answered(503),
        answered(500),
        answered(404, Outcome.HTTP_4XX),
        answered(200, Outcome.CHECK),
        answered(200, Outcome.OK),
        answered(0, Outcome.TIMEOUT),
        answered(200, Outcome.CANCELLED),
    )
    (endpoint,) = reports[0].endpoints.values()
    assert endpoint.statuses == {503: 2, 500: 1, 404: 1, 200: 1}
    assert SecondReport.from_dict(json.loads(json.dumps(reports[0].as_dict()))) == reports[0]


def test_a_second_without_failures_says_nothing_of_statuses() -> None:
    _, reports = recorded(answered(200, Outcome.OK), answered(0, Outcome.TIMEOUT))
    assert "statuses" not in json.dumps(reports[0].as_dict())


def test_a_status_that_is_none_is_an_error_and_no_reader_refuses_the_timeline_for_it() -> None:
    _, reports = recorded(answered(7), answered(-1), answered(100_000))
    (endpoint,) = reports[0].endpoints.values()
    assert (endpoint.errors, endpoint.statuses) == ({"http_5xx": 3}, {})
    document = json.loads(json.dumps(reports[0].as_dict()))
    document["endpoints"]["GET /a"]["statuses"] = [[42, 1]]
    with pytest.raises(ValueError, match="three digits, not 42"):
        SecondReport.from_dict(document)


def test_names_and_nodes_lose_their_secrets_and_control_characters() -> None:
    _, reports = recorded(
        sample(0, 0.1, name="GET /x?api_key=s3cret-1", node="http://u:s3cret@h:1"),
        sample(0, 0.1, name="GET /x?api_key=s3cret-2", node="http://v:s3cret@h:1"),
        sample(0, 0.1, name="GET \x1b[31m\n\u202e"),
    )
    assert {name: e.ended for name, e in reports[0].endpoints.items()} == {
        "GET /x?api_key=***": 2,
        "GET \\x1b[31m\\x0a\\u202e": 1,
    }
    assert reports[0].nodes["http://***@h:1"].ended == 2


def test_names_that_look_like_html_or_formulas_stay_as_they_are() -> None:
    names = ["<script>alert(1)</script>", "=1+1", "GET /käse/☃", "+", "@x"]
    _, reports = recorded(*(sample(0, 0.1, name=name) for name in names))
    assert list(reports[0].endpoints) == names


def test_names_of_any_length_and_number_cost_bounded_memory() -> None:
    recorder, reports = recorded(
        sample(0, 0.1, name="x" * 1_000_000),
        *(sample(0, 0.1, name=f"GET /x?token={n}") for n in range(MAX_ALIASES + 100)),
        sample(0, 0.1, name="GET /x?token=last"),
    )
    assert reports[0].endpoints["GET /x?token=***"].ended == MAX_ALIASES + 101
    assert max(map(len, reports[0].endpoints)) == LONGEST_NAME
    assert len(recorder._shown) == MAX_ALIASES

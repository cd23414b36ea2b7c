"""The timeline file: what is written is read back, a torn end is forgiven, nothing else is."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from results.check import error_rate
from results.errors import TimelineError
from results.replay import replay
from results.sample import Outcome
from results.timeline import (
    MAX_LINE_BYTES,
    Annotation,
    End,
    EndReason,
    Health,
    Plan,
    Progress,
    TargetSample,
    Timeline,
)
from results.timeline_reader import read_timeline
from results.timeline_writer import TimelineWriter, require_recordable, require_recordable_length
from results.verdict import Verdict
from shapes.load import Load, Part
from shapes.phased import planned_user_seconds, planned_users
from tests.unit.results.builder import HEADER, PLAN, planned_requests, request, timeline, write
from tests.unit.shapes.test_profile import p1_profile


@pytest.fixture
def whole() -> Timeline:
    made = timeline(
        planned_requests(),
        checks=[error_rate(below=0.001)],
        plan=replace(PLAN, endpoint="GET /*"),
        observed=[("jobs done", 3, 2.5), ("\u2603", -0.1, 9.0)],
    )
    return replace(
        made,
        target=(
            TargetSample(1.2, "node-1", {"cpu_percent": 99.5, "queue_events": 0.0}),
            TargetSample(1.4, "node-2", {}),
        ),
        progress=(Progress(1.0, 2), Progress(2.0, 10, planned=12)),
        annotations=(Annotation(2.5, "note", "line\nbreak ☃ \x1b[31m"),),
    )


def test_a_timeline_is_read_back_as_it_was_written(tmp_path: Path, whole: Timeline) -> None:
    assert read_timeline(write(tmp_path / "t.jsonl", whole)) == whole


def test_a_timeline_from_before_there_were_figures_is_written_as_it_was(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", timeline(planned_requests(), checks=[error_rate(below=0.1)]))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert not any("figures" in line for line in lines)
    assert not any("endpoint" in line for line in lines if line["kind"] == "plan")
    assert not any("figure" in check for line in lines for check in line.get("checks", ()))
    plan = read_timeline(path).plan
    assert plan is not None and plan.endpoint is None


def test_the_plan_of_a_profile_carries_phases_users_and_user_seconds() -> None:
    profile = Load((Part(p1_profile()),))
    plan = Plan.of(
        profile,
        users=planned_users(profile),
        user_seconds=planned_user_seconds(profile),
        mean_cycle_s=0.4474,
        endpoint="POST /v1/saas/*",
    )
    assert plan.endpoint == "POST /v1/saas/*"
    assert sum(plan.user_seconds) == profile.integral(0, 300)
    assert [phase.name for phase in plan.phases] == ["steady", "burst", "peak", "steady"]


def test_a_timeline_cut_at_any_byte_is_read_up_to_its_last_whole_line(
    tmp_path: Path, whole: Timeline
) -> None:
    data = write(tmp_path / "t.jsonl", whole).read_bytes()
    header_end = data.index(b"\n") + 1
    cut = tmp_path / "cut.jsonl"
    for at in [*range(header_end, len(data), 97), len(data) - 1]:
        cut.write_bytes(data[:at])
        read = read_timeline(cut)
        torn = data[at - 1 : at] != b"\n" and data[at : at + 1] != b"\n"
        assert read.torn is torn
        # Not a line more or less than the whole ones.
        whole_lines = data[: at + 1].count(b"\n") if not torn else data[:at].count(b"\n")
        assert _line_count(read) == whole_lines
    cut.write_bytes(data[: header_end // 2])
    with pytest.raises(TimelineError, match="no header"):
        read_timeline(cut)


def _line_count(read: Timeline) -> int:
    parts = (read.reports, read.progress, read.health, read.target, read.annotations)
    single = (read.plan is not None) + bool(read.checks) + (read.end is not None)
    return 1 + single + sum(len(part) for part in parts)


@pytest.mark.parametrize("writes", [{}, {"w1": 3, "w2": 0}])
def test_the_end_says_how_many_reports_of_writes_were_sent_if_any(
    tmp_path: Path, whole: Timeline, writes: dict[str, int]
) -> None:
    end = End(6, EndReason.COMPLETED, "", {"w1": 5}, writes=writes)
    path = write(tmp_path / "t.jsonl", replace(whole, end=end))
    assert read_timeline(path).end == end
    assert ("writes" in json.loads(path.read_bytes().splitlines()[-1])) == bool(writes)


def test_a_report_that_arrives_twice_counts_once(tmp_path: Path, whole: Timeline) -> None:
    path = write(tmp_path / "t.jsonl", replace(whole, reports=whole.reports * 2))
    read = read_timeline(path)
    assert read.reports == whole.reports
    assert read.duplicates == len(whole.reports)


def test_missing_sequence_numbers_are_lost_reports() -> None:
    made = timeline([request(s) for s in range(5)])
    holes = replace(made, reports=(made.reports[0], made.reports[3]))
    assert holes.lost_reports() == {"w1": 3}
    assert made.lost_reports() == {}
    silent = replace(made, end=End(6, EndReason.COMPLETED, "", {"w1": 5, "w2": 4}))
    assert silent.lost_reports() == {"w2": 4}


HEADER_LINE = '{"kind":"header","version":1,"run_id":"r","scenario":"s","origin_us":0}'
PLAN_LINE = (
    '{"kind":"plan","duration_s":1,"mean_cycle_s":1,"phases":[],"users":[],"user_seconds":[]}'
)
CHECKS_LINE = '{"kind":"checks","checks":[]}'
END_LINE = '{"kind":"end","t_s":1,"reason":"completed","detail":"","reports":{}}'


def second(at: int, *, started: int = 1, ended: int = 1, errors: int = 1, statuses: int = 1) -> str:
    """A line of kind `second`, with one request that failed."""
    (report,) = timeline([request(1.0, outcome=Outcome.HTTP_5XX)]).reports
    document = {"kind": "second", **report.as_dict(), "second": at}
    (endpoint,) = report.as_dict()["endpoints"].values()  # type: ignore[attr-defined]
    counts = {"ended": ended, "errors": {"http_5xx": errors}, "statuses": [[503, statuses]]}
    endpoint = endpoint | counts | {"started": [[started, 1]]}
    return json.dumps(document | {"endpoints": {"GET /a": endpoint}})


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([HEADER_LINE.replace('"version":1', '"version":2')], "line 1.*version 2"),
        ([HEADER_LINE, HEADER_LINE], "line 2.*second line of kind 'header'"),
        ([HEADER_LINE, PLAN_LINE, PLAN_LINE], "line 3.*second line of kind 'plan'"),
        ([HEADER_LINE, CHECKS_LINE, CHECKS_LINE], "line 3.*second line of kind 'checks'"),
        ([HEADER_LINE, END_LINE, END_LINE], "line 3.*kind 'end' after the end"),
        ([HEADER_LINE, END_LINE, CHECKS_LINE], "line 3.*kind 'checks' after the end"),
        ([HEADER_LINE, END_LINE, second(1)], "line 3.*kind 'second' after the end"),
        ([HEADER_LINE, '{"kind":"surprise"}'], "line 2.*unknown kind 'surprise'"),
        ([HEADER_LINE, "{}"], "line 2.*unknown kind None"),
        ([HEADER_LINE, "[1]"], "line 2.*one JSON object"),
        ([HEADER_LINE, "no json"], "line 2"),
        ([HEADER_LINE, '{"kind":"progress","t_s":"1","users":2}'], "line 2.*'t_s' must be a numb"),
        ([HEADER_LINE, '{"kind":"progress","t_s":NaN,"users":2}'], "finite"),
        ([HEADER_LINE, '{"kind":"progress","t_s":1,"users":2.5}'], "'users' must be a whole"),
        ([HEADER_LINE, '{"kind":"progress","t_s":1,"users":-2}'], "at least 0"),
        ([HEADER_LINE, '{"kind":"progress","t_s":1}'], "'users' is missing"),
        ([HEADER_LINE, '{"kind":"progress","t_s":1,"users":1,"x":1}'], "unknown field 'x'"),
        ([HEADER_LINE, '{"kind":"health","t_s":1,"source":"w","values":{"a":"b"}}'], "number"),
        ([HEADER_LINE, '{"kind":"end","t_s":1,"reason":"tired"}'], "unknown reason"),
        ([HEADER_LINE, '{"kind":"end","t_s":1,"reason":"completed","detail":"","reports":{},'
          '"writes":{"w":-1}}'], "'w' must be at least 0"),
        ([HEADER_LINE, '{"kind":"target","t_s":1,"node":1,"values":{}}'], "'node' must be text"),
        ([HEADER_LINE, '{"kind":"target","t_s":1,"node":"n"}'], "'values' is missing"),
        ([HEADER_LINE, '{"kind":"target","t_s":1,"node":"n","values":{"a":null}}'], "'a' must be"),
        ([HEADER_LINE, '{"kind":"target","t_s":1,"node":"n","values":{"a":Infinity}}'], "finite"),
        ([HEADER_LINE, '{"kind":"target","t_s":1,"node":"n","values":{},"x":1}'], "unknown field"),
        ([HEADER_LINE, '{"kind":"plan","duration_s":1,"mean_cycle_s":1,"phases":[],"users":[],'
          '"user_seconds":[],"endpoint":""}'], "'endpoint' is empty"),
        ([HEADER_LINE, '{"kind":"plan","duration_s":1,"mean_cycle_s":1,"phases":[],"users":[],'
          '"user_seconds":[],"endpoint":null}'], "'endpoint' must be text"),
        ([HEADER_LINE, '{"kind":"second","source":"w"}'], "line 2.*missing"),
        ([HEADER_LINE, "[" * 100_000], "line 2"),
        ([HEADER_LINE, '{"kind":"plan","duration_s":1,"mean_cycle_s":0,"phases":[],"users":[],'
          '"user_seconds":[]}'], "above 0"),
        ([HEADER_LINE, '{"kind":"plan","duration_s":1,"mean_cycle_s":1,"phases":[["a",1]],'
          '"users":[],"user_seconds":[]}'], "3 entries"),
        ([HEADER_LINE, '{"kind":"plan","duration_s":1,"mean_cycle_s":1,"phases":[["a",1,0]],'
          '"users":[],"user_seconds":[]}'], "empty or out of order"),
        ([HEADER_LINE, '{"kind":"progress","t_s":1,"users":1' + "0" * 400 + "}"], "beyond 2"),
        ([HEADER_LINE, '{"kind":"progress","t_s":1' + "0" * 400 + ',"users":1}'], "below 2"),
        ([HEADER_LINE, '{"kind":"progress","t_s":1e999,"users":1}'], "finite"),
        ([HEADER_LINE.replace('"r"', '"../r"')], r"line 1.*run id '../r'"),
        ([HEADER_LINE.replace('"r"', '"a/b"')], "line 1.*run id 'a/b'"),
        ([HEADER_LINE.replace('"r"', '"a\\u001b[2J"')], r"line 1.*run id 'a\\x1b"),
        ([HEADER_LINE.replace('"r"', '"' + "r" * 101 + '"')], "line 1.*run id"),
        ([HEADER_LINE.replace('"version":1', '"version":"1"')], "line 1.*'version' must be a"),
        ([HEADER_LINE.replace('"version":1', '"version":1.0')], "line 1.*'version' must be a"),
        ([HEADER_LINE, '{"kind":"progress","t_s":1e9,"users":1}'], "line 2.*'t_s' is more than"),
        ([HEADER_LINE, '{"kind":"progress","t_s":"1s","users":1}'], "line 2.*'t_s' must be a numb"),
        ([HEADER_LINE, '{"a":' * 100_000], "line 2"),
        ([HEADER_LINE, second(999_999_999)], "line 2.*second 999999999 is more than"),
        ([HEADER_LINE, second(1, started=-(2**60))], "line 2.*is more than"),
        ([HEADER_LINE, second(1, errors=2)], "line 2.*1 requests ended, of which 2 failed"),
        ([HEADER_LINE, second(1, ended=2)], "line 2.*2 requests ended.*1 have a response time"),
        ([HEADER_LINE, second(1, statuses=3)], "line 2.*1 failed, but more have a status"),
        ([END_LINE], "its header"),
        ([], "no header"),
    ],
)  # fmt: skip
def test_what_is_not_a_timeline_is_an_error_that_names_the_line(
    tmp_path: Path, lines: list[str], message: str
) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("".join(line + "\n" for line in lines))
    with pytest.raises(TimelineError, match=message):
        read_timeline(path)


def test_the_line_that_is_bent_is_a_good_one(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(f"{HEADER_LINE}\n{second(1)}\n")
    assert read_timeline(path).reports[0].endpoints["GET /a"].statuses == {503: 1}


def test_lines_that_are_added_to_a_run_that_is_over_do_not_change_its_verdict(
    tmp_path: Path, whole: Timeline
) -> None:
    stopped = replace(whole, end=End(6.0, EndReason.ABORTED, "Ctrl-C", {"w1": 6}))
    path = write(tmp_path / "t.jsonl", stopped)
    assert replay(path).verdict is Verdict.ABORTED
    with path.open("a") as lines:
        lines.write(f"{CHECKS_LINE}\n{END_LINE}\n")
    with pytest.raises(TimelineError, match="kind 'checks' after the end"):
        replay(path)


def test_the_writer_lets_nothing_follow_the_end(tmp_path: Path, whole: Timeline) -> None:
    with TimelineWriter(tmp_path / "t.jsonl", HEADER) as writer:
        writer.end(End(6.0, EndReason.COMPLETED))
        with pytest.raises(AssertionError, match="last line"):
            writer.progress(Progress(7.0, 1))


def test_bytes_that_are_no_text_and_missing_files_are_clear_errors(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(HEADER_LINE.encode() + b"\n\xff\xfe\x00\n")
    with pytest.raises(TimelineError, match="line 2"):
        read_timeline(path)
    with pytest.raises(TimelineError, match="cannot read"):
        read_timeline(tmp_path / "absent.jsonl")


def test_an_existing_timeline_is_never_continued(tmp_path: Path, whole: Timeline) -> None:
    path = write(tmp_path / "t.jsonl", whole)
    with pytest.raises(TimelineError, match="another run id"):
        TimelineWriter(path, HEADER)
    with pytest.raises(TimelineError, match="cannot create"):
        TimelineWriter(tmp_path / "absent" / "t.jsonl", HEADER)


def test_every_line_is_on_disk_when_the_call_returns(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    with TimelineWriter(path, HEADER) as writer:
        writer.plan(PLAN)
        assert path.read_bytes().count(b"\n") == 2
        writer.health(Health(1.0, "w", {"lag_p99_ms": 1.5}))
        assert json.loads(path.read_bytes().splitlines()[-1])["values"] == {"lag_p99_ms": 1.5}


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from results.errors import TimelineError
from results.timeline import Annotation, Header
from results.timeline_writer import TimelineWriter

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
writer = TimelineWriter(Path(sys.argv[1]), Header("r", "s", 0))
said = []
for n in range(3):
    try:
        writer.annotation(Annotation(0.0, "x", "y" * 1500))
    except TimelineError as error:
        said.append(str(error))
assert "cannot write" in said[0] and "--results-dir" in said[0], said
assert "earlier write failed" in said[1], said
try:
    writer.close()
except TimelineError as error:
    assert "cannot close" in str(error)
"""


def test_a_full_disk_is_an_error_and_nothing_follows_the_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    subprocess.run([sys.executable, "-c", FULL_DISK, str(path)], check=True, timeout=60)
    read = read_timeline(path)
    assert len(read.annotations) == 1


FULL_FROM_THE_START = """
import os, resource, signal, sys
from pathlib import Path
from results.errors import TimelineError
from results.timeline import Header
from results.timeline_writer import TimelineWriter

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
before = os.listdir("/proc/self/fd")
try:
    TimelineWriter(Path(sys.argv[1]), Header("r", "s", 0))
except TimelineError as error:
    # The error holds the frames, and so the writer: nothing is closed by garbage collection yet.
    assert "cannot write" in str(error), error
    assert os.listdir("/proc/self/fd") == before, "the file is still open"
else:
    raise AssertionError("the header fits into 10 bytes")
"""


def test_a_header_that_cannot_be_written_leaves_no_open_file(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL_FROM_THE_START, str(tmp_path / "t.jsonl")]
    subprocess.run(command, check=True, timeout=60)


KILLED = """
import sys
from pathlib import Path
from results.timeline import Header, Progress
from results.timeline_writer import TimelineWriter

writer = TimelineWriter(Path(sys.argv[1]), Header("r", "s", 0))
n = 0
while True:
    writer.progress(Progress(float(n), n))
    print(n, flush=True)
    n += 1
"""


def test_a_killed_writer_leaves_everything_that_it_wrote(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) >= 200:
                break
        writer.kill()
        rest = writer.stdout.read().split("\n")
    # The last of the printed numbers may be torn itself; all whole ones were on disk before.
    printed = [int(number) for number in rest[:-1] if number]
    read = read_timeline(path)
    assert len(read.progress) > max(printed, default=200)


def plan_of(seconds: int) -> Plan:
    return replace(
        PLAN, duration_s=seconds, users=(2200,) * seconds, user_seconds=(1 / 3,) * seconds
    )


def test_a_plan_that_no_reader_would_take_is_refused_before_it_is_written(tmp_path: Path) -> None:
    size = len(write(tmp_path / "a.jsonl", timeline([], plan=plan_of(1000))).read_text())
    least = len(write(tmp_path / "b.jsonl", timeline([], plan=plan_of(0))).read_text())
    longest = int(MAX_LINE_BYTES / ((size - least) / 1000))
    fits = plan_of(longest - 100)
    read = read_timeline(write(tmp_path / "c.jsonl", timeline([], plan=fits))).plan
    assert read is not None and len(read.users) == longest - 100
    too_long = plan_of(longest + 100)
    with pytest.raises(TimelineError, match=r"at most about 8\.\d days, or scale it down"):
        require_recordable(too_long)
    with (
        TimelineWriter(tmp_path / "d.jsonl", HEADER) as writer,
        pytest.raises(TimelineError, match="a line of kind 'plan' would take"),
    ):
        writer.plan(too_long)
    assert read_timeline(tmp_path / "d.jsonl").plan is None, "nothing of it was written"


def test_a_length_that_no_plan_can_have_is_refused_without_counting_its_seconds() -> None:
    require_recordable_length(10 * 86_400)
    with pytest.raises(TimelineError, match=r"plan of 11\.0 days .* at most about 10\.6 days"):
        require_recordable_length(11 * 86_400)
    sparse = Plan(11 * 86_400.0, (), (), ())
    with pytest.raises(TimelineError, match="plan of 11"):
        require_recordable(sparse)


@pytest.mark.parametrize("second_s", [1_000_001, -1_000_001, 9_999_990])
def test_a_second_that_no_run_can_have_is_refused_since_each_before_it_would_be_looked_at(
    tmp_path: Path, second_s: int
) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(f"{HEADER_LINE}\n{second(second_s)}\n")
    with pytest.raises(TimelineError, match=r"line 2.*more than 1,000,000 s from"):
        read_timeline(path)
    path.write_text(f"{HEADER_LINE}\n{second(1_000_000 if second_s > 0 else -1_000_000)}\n")
    assert len(read_timeline(path).reports) == 1

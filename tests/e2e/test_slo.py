"""`--slo FILE`: its checks decide with the scenario's; slips in it are found before the load."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from tests.e2e.own_target import own_target
from tests.e2e.scenario import HERE, Finished, run
from tests.e2e.soundness import assert_found, assert_sound

STAGED = HERE / "staged.py"
JUDGED = HERE / "judged.py"

FITTING = """\
checks:
  - errors < 50%            # takes the place of the scenario's own
  - p99 < 30s in phase:*
  - availability > 90% over 1s
  - {check: requests > 20, endpoint: GET GET*, window: phase:second}
"""

IMPOSSIBLE = """\
checks:
  - p50 < 1us in phase:second
  - p99 < 30s of GET GET /cart
"""


def run_staged(tmp_path: Path, slo: str, *options: str, stages: bool = True) -> Finished:
    """Sixteen seconds of a plan in two or three."""
    path = tmp_path / "slo.yaml"
    path.write_text(slo)
    with own_target() as target:
        return run(
            tmp_path / "runs",
            *("--host", target.url, "--time-scale", "0.2", *options),
            locustfile=STAGED,
            environment={
                "STAGED": "stages" if stages else "none",
                "FOUNDATION_SLO": str(path),
            },
        )


def test_the_checks_of_the_file_are_judged_beside_the_scenarios(tmp_path: Path) -> None:
    done = run_staged(tmp_path, FITTING)
    assert_sound(done)
    checks = {check["id"]: check for check in done.verdict["checks"]}
    assert checks["error_rate"]["limit"] == 0.5, "the scenario's own has another"
    assert {one for one in checks if one.startswith("raw_p99@")} == {
        f"raw_p99@phase:{name}" for name in ("first", "second", "third")
    }
    scaled = checks["requests[GET GET*]@phase:second"]
    assert scaled["limit"] == pytest.approx(4.0)
    assert checks["availability_over_1s"]["expression"] == "availability > 90% over 1s"
    digest = hashlib.sha256(FITTING.encode()).hexdigest()
    assert done.manifest["slo"] == {"path": str(tmp_path / "slo.yaml"), "sha256": digest}
    assert {one["id"] for line in done.timeline("checks") for one in line["checks"]} >= {
        "raw_p99@phase:*",
        "availability_over_1s",
    }


def test_a_check_of_the_file_fails_the_run_in_its_window(tmp_path: Path) -> None:
    done = run_staged(tmp_path, IMPOSSIBLE)
    assert_found(done, "raw_p50@phase:second")
    said = " ".join(done.verdict["reasons"])
    assert "no request of the run was of 'GET GET /cart': did you mean 'GET GET /'?" in said
    assert re.search("PASS +errors < 1% ", done.stdout), done.stdout


@pytest.mark.parametrize(
    ("slo", "says"),
    [
        (
            "checks:\n  - p99 < 250ms\n  - lost == 0\n  - p89 < 5ms\n",
            "slo.yaml: line 4, column 5: unknown measure 'p89': did you mean 'p90'?",
        ),
        (
            "checks:\n  - p99 < 1s in phase:secnd\n",
            "slo.yaml: line 2, column 17: the check 'raw_p99@phase:secnd' names the window "
            "'phase:secnd', which there is not: did you mean 'phase:second'? There are run, ",
        ),
        (
            "checks:\n  - {check: p99 < 1s, window: 1s..9s}\n",
            "slo.yaml: line 2, column 31: the check 'raw_p99@1s..9s' names the window 1s..9s, but "
            "the plan ends at 3.2 s",
        ),
        (
            "checks:\n  - lost == 0, abort\n",
            "slo.yaml: line 2, column 5: ",
        ),
    ],
    ids=["grammar", "window", "interval", "abort"],
)
def test_a_slip_in_the_file_is_named_with_its_place_before_any_load(
    tmp_path: Path, slo: str, says: str
) -> None:
    done = run_staged(tmp_path, slo)
    assert done.exit_code == 4, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (done.folder / "timeline.jsonl").exists()


def test_a_run_without_a_plan_has_no_phases_for_a_file_to_name(tmp_path: Path) -> None:
    path = tmp_path / "slo.yaml"
    path.write_text("checks:\n  - p99 < 1s in phase:burst\n")
    with own_target() as target:
        options = ("--host", target.url, "-t", "2s", "--slo", str(path))
        done = run(tmp_path / "runs", *options, locustfile=JUDGED)
    assert done.exit_code == 4, done.stderr
    assert "slo.yaml: line 2, column 5: the check 'raw_p99@phase:burst' needs phases" in done.stderr


@pytest.mark.long
def test_workers_take_their_checks_from_the_master(tmp_path: Path) -> None:
    done = run_staged(tmp_path, IMPOSSIBLE, "--processes", "2")
    assert_found(done, "raw_p50@phase:second")

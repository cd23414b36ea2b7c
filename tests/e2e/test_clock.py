"""A worker whose wall clock is wrong: its times are corrected, up to a limit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.e2e.fleet import Fleet, assert_carried_out, skewed_by
from tests.e2e.scenario import HERE, Finished

USERS = 40
SECONDS = 5
CYCLE_S = 0.101
"""Of the scenario: users think for 0.1 s, the node answers in about a millisecond."""


def run_with_a_skewed_worker(folder: Path, skew_s: float, **environment: str) -> Finished:
    """Two workers, one of them on a machine whose wall clock is that far ahead."""
    folder.mkdir()
    with Fleet(folder, HERE / "paired" / "paired.py") as fleet:
        master = fleet.master(workers=2)
        fleet.worker("exact")
        fleet.worker("skewed", wrapper=skewed_by(skew_s), environment=environment)
        return master.finish()


def starts(done: Finished) -> dict[int, int]:
    """Requests begun in each second of the run, over all workers."""
    found: dict[int, int] = {}
    for line in done.timeline("second"):
        for endpoint in line["endpoints"].values():
            for second, count in endpoint["started"]:
                found[second] = found.get(second, 0) + count
    return found


def is_within_the_plan(done: Finished) -> bool:
    """None begun before the first users or after the last, and each whole second has its share.

    Half of them would be missing where the skewed worker's lie elsewhere; a busy machine may take
    some of both workers'.
    """
    found = starts(done)
    planned = USERS / CYCLE_S
    inner = [found.get(second, 0) for second in range(1, SECONDS - 1)]
    return (
        min(found) >= -1
        and max(found) <= SECONDS
        and all(0.25 * planned < count < 1.5 * planned for count in inner)
    )


def assert_measured(done: Finished, offset_ms: float) -> None:
    """One worker is that far off, the other is not, each to within what it says of itself."""
    by_source: dict[str, float] = {}
    for line in done.timeline("health"):
        values = line["values"]
        if "clock_offset_ms" not in values:
            continue  # the master's own, and what it writes of a worker that was away
        expected = offset_ms if abs(values["clock_offset_ms"]) > 1_000 else 0.0
        by_source[line["source"]] = expected
        # Each process reads its wall clock between two readings of another: once, to microseconds.
        assert abs(values["clock_offset_ms"] - expected) <= values["clock_uncertainty_ms"] + 5
    assert sorted(by_source.values()) == sorted([0.0, offset_ms])


def test_a_skewed_clock_is_corrected_to_a_limit_beyond_which_the_run_is_void(
    tmp_path: Path,
) -> None:
    with ThreadPoolExecutor() as pool:
        ahead, uncorrected, far = (
            pool.submit(run_with_a_skewed_worker, tmp_path / "ahead", 3.0),
            pool.submit(run_with_a_skewed_worker, tmp_path / "uncorrected", 3.0, UNSHIFTED="1"),
            pool.submit(run_with_a_skewed_worker, tmp_path / "far", -10.0),
        )
    done = ahead.result()
    assert_carried_out(done)
    assert_measured(done, -3_000)
    assert is_within_the_plan(done), starts(done)

    assert not is_within_the_plan(uncorrected.result()), "the control"

    done = far.result()
    assert done.exit_code == 3, done.stdout + done.stderr
    assert_measured(done, 10_000)
    assert "its clock was 10.0 s behind the master's, more than 5 s" in done.stdout
    assert is_within_the_plan(done), "its times are corrected all the same"

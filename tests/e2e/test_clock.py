"""A worker whose wall clock is wrong: its times are corrected, up to a limit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.e2e.fleet import Fleet, skewed_by
from tests.e2e.scenario import HERE, Finished
from tests.e2e.soundness import assert_sound

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


def is_evenly_within_the_plan(done: Finished) -> bool:
    """As planned: none before the first users or after the last, each whole second alike."""
    found = starts(done)
    planned = USERS / CYCLE_S
    inner = [found.get(second, 0) for second in range(1, SECONDS - 1)]
    return (
        min(found) >= -1
        and max(found) <= SECONDS
        and all(0.5 * planned < count < 1.5 * planned for count in inner)
    )


def offset_ms(done: Finished) -> float:
    """The largest that any worker reported."""
    offsets = [
        line["values"]["clock_offset_ms"]
        for line in done.timeline("health")
        if line["source"].startswith("worker-")
    ]
    return float(max(offsets, key=abs))


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
    assert_sound(done)
    assert -3050 < offset_ms(done) < -2950, "the master's clock minus the worker's"
    assert is_evenly_within_the_plan(done), starts(done)

    assert not is_evenly_within_the_plan(uncorrected.result()), "the control"

    done = far.result()
    assert done.exit_code == 3, done.stdout + done.stderr
    assert 9_950 < offset_ms(done) < 10_050
    assert "its clock was 10.0 s behind the master's, more than 5 s" in done.stdout
    assert is_evenly_within_the_plan(done), "its times are corrected all the same"

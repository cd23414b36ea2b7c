"""Run folders: names, never writing over a run, whole documents, no secrets on disk."""

from __future__ import annotations

import json
import math
import os
import subprocess
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from results.errors import RunFolderError
from results.manifest import git_revision, manifest
from results.run_folder import (
    create_run,
    new_run_id,
    open_run,
    validated_run_id,
    write_json,
)

NOON = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


def test_a_run_id_is_utc_scenario_and_suffix() -> None:
    assert new_run_id("p1_saas", now=NOON, suffix="4f2a") == "20260131T120000Z-p1_saas-4f2a"
    east = NOON.astimezone(timezone(timedelta(hours=9)))
    assert new_run_id("p1_saas", now=east, suffix="1").startswith("20260131T120000Z")
    assert new_run_id("../a b/ü", now=NOON, suffix="1") == "20260131T120000Z-a-b-1"
    assert len(new_run_id("x" * 500, now=NOON, suffix="1")) < 100


@pytest.mark.parametrize(
    "run_id",
    ["", ".", "..", "a/b", "../up", "a..b", "-x", "x-", "a\n", "a\x00b", " a", "ü", "x" * 101],
)
def test_a_run_id_that_is_no_plain_name_is_refused(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(RunFolderError, match="letters, digits"):
        validated_run_id(run_id)
    with pytest.raises(RunFolderError):
        create_run(tmp_path / "runs", run_id)
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_made_with_its_parents_and_found_again(tmp_path: Path) -> None:
    folder = create_run(tmp_path / "with space" / "runs", "run-1")
    assert folder.logs.is_dir()
    assert folder.run_id == "run-1"
    with pytest.raises(RunFolderError, match=r"no timeline\.jsonl"):
        open_run(tmp_path / "with space" / "runs", "run-1")
    folder.timeline.touch()
    assert open_run(tmp_path / "with space" / "runs", "run-1") == folder


def test_an_existing_run_is_never_written_over(tmp_path: Path) -> None:
    create_run(tmp_path, "run-1").verdict.write_text("kept")
    with pytest.raises(RunFolderError, match="another --run-id"):
        create_run(tmp_path, "run-1")
    assert (tmp_path / "run-1" / "verdict.json").read_text() == "kept"


def test_two_that_want_one_id_at_once_get_one_folder(tmp_path: Path) -> None:
    made, refused = [], []
    start = threading.Barrier(8)

    def race() -> None:
        start.wait(timeout=30)
        try:
            made.append(create_run(tmp_path, "run-1"))
        except RunFolderError as error:
            refused.append(error)

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert (len(made), len(refused)) == (1, 7)


def test_a_results_dir_that_is_a_file_is_a_clear_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(RunFolderError, match="results dir"):
        create_run(blocked, "run-1")
    with pytest.raises(RunFolderError, match="--results-dir"):
        create_run(blocked / "below", "run-1")


def test_a_document_is_replaced_whole_and_leaves_no_part(tmp_path: Path) -> None:
    path = tmp_path / "verdict.json"
    write_json(path, {"n": 1})
    with pytest.raises(ValueError):
        write_json(path, {"n": math.nan})
    assert json.loads(path.read_text()) == {"n": 1}
    write_json(path, {"n": 2, "text": "☃ \udcff"})
    assert json.loads(path.read_text())["n"] == 2
    assert os.listdir(tmp_path) == ["verdict.json"]
    with pytest.raises(RunFolderError, match="cannot write"):
        write_json(tmp_path / "absent" / "x.json", {})


def test_secrets_do_not_reach_the_manifest(tmp_path: Path) -> None:
    folder = create_run(tmp_path, "run-1")
    options: dict[str, object] = {
        "client_token": "s3cret-1",
        "Authorization": "Bearer s3cret-2",
        "nodes": "http://u:s3cret-3@a:1,http://u:s3cret-4@b:2",
        "deep": [{"web_login": {"password": ["s3cret-5"]}}, ("http://:s3cret-6@[::1]:8/x",)],
        "broken": "http://u:s3cret-7@[::1",
        "query": "http://a/x?page=2&access_token=s3cret-8&n=1#top",
        "api_key": None,
        "host": "http://127.0.0.1:8001",
        "mail": "someone@example.org",
        "where": tmp_path,
        "set": {"b", "a"},
        "nan": math.nan,
    }
    document = manifest(
        run_id="run-1",
        scenario="p1_saas",
        tier="production",
        started_at=NOON,
        options=options,
        seed=7,
        source_dir=tmp_path,
    )
    folder.write_manifest(document)
    text = folder.manifest.read_text()
    assert "s3cret" not in text
    kept = json.loads(text)["options"]
    assert kept["nodes"] == "http://***@a:1,http://***@b:2"
    assert (kept["host"], kept["mail"]) == ("http://127.0.0.1:8001", "someone@example.org")
    assert kept["query"] == "http://a/x?page=2&access_token=***&n=1#top"
    assert kept["api_key"] is None, "that no secret was set is no secret"
    assert kept["where"] == str(tmp_path)
    assert (kept["set"], kept["nan"]) == (["a", "b"], "nan")


def test_the_manifest_states_versions_host_and_seed(tmp_path: Path) -> None:
    document = manifest(
        run_id="r",
        scenario="s",
        tier="extreme",
        started_at=NOON,
        options={},
        seed=None,
        source_dir=tmp_path,
    )
    assert (document["scenario"], document["tier"]) == ("s", "extreme")
    versions, host = document["versions"], document["host"]
    assert isinstance(versions, dict) and isinstance(host, dict)
    assert {"python", "locust", "hdrhistogram"} <= set(versions)
    assert host["usable_processors"] >= 1
    assert host["memory_bytes"] > 1_000_000
    assert document["started_at"] == "2026-01-31T12:00:00.000+00:00"


def test_a_checkout_states_its_commit_and_whether_it_was_modified(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@t"]
        done = subprocess.run(
            [*command, *arguments], check=True, capture_output=True, text=True, timeout=60
        )
        return done.stdout.strip()

    git("init", "-q")
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-q", "-m", "one")
    assert git_revision(tmp_path) == {"commit": git("rev-parse", "HEAD"), "modified": False}
    (tmp_path / "file").write_text("2")
    revision = git_revision(tmp_path)
    assert revision is not None and revision["modified"] is True


def test_outside_of_a_checkout_there_is_no_revision(tmp_path: Path) -> None:
    assert git_revision(tmp_path / "absent") is None

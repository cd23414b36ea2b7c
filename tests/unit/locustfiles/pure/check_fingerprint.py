"""What is compared at a worker's hello, and what is said of each difference."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import locust
import msgpack
import pytest

from locustfiles.harness.distribution import fingerprint as taken
from locustfiles.harness.distribution.difference import differences
from locustfiles.harness.distribution.fingerprint import Fingerprint

OPTIONS = {"seed": "1", "time_scale": "1.0", "config_users": "null"}
MASTER = Fingerprint(
    locust="2.47.0",
    python="3.11",
    version="0.1.0",
    suite={"shapes/profile.py": "aaaa", "results/check.py": "bbbb"},
    locustfiles={"p1_saas.py": "cccc"},
    imported={"shop.py": "dddd", "admin.py": "eeee"},
    users=("BuyerUser", "SellerUser"),
    load="ffff",
    options=OPTIONS,
)
WORKER = replace(MASTER, options={"config_users": "null"})


def test_a_worker_that_gives_no_options_of_its_own_is_welcome() -> None:
    assert differences(WORKER, MASTER) == []


def test_the_same_option_given_twice_is_welcome() -> None:
    given = replace(WORKER, options={"seed": "1", "config_users": "null"})
    assert differences(given, MASTER) == []


@pytest.mark.parametrize(
    ("worker", "says"),
    [
        (
            replace(WORKER, locust="2.46.0"),
            "Locust is 2.46.0 at the worker, 2.47.0 at the master: install locust==2.47.0",
        ),
        (replace(WORKER, python="3.12"), "Python is 3.12 at the worker, 3.11 at the master"),
        (replace(WORKER, version="0.2.0"), "the suite is 0.2.0 at the worker, 0.1.0 at the master"),
        (
            replace(WORKER, suite={**MASTER.suite, "shapes/profile.py": "a0a0"}),
            "the suite's file shapes/profile.py differs: a0a0 at the worker, aaaa at the master: "
            "install the master's suite on the worker",
        ),
        (
            replace(WORKER, suite={"shapes/profile.py": "aaaa"}),
            "results/check.py differs: none at the worker, bbbb at the master",
        ),
        (
            replace(WORKER, locustfiles={"p1_saas.py": "c0c0"}),
            "locustfile p1_saas.py differs: c0c0 at the worker, cccc at the master: copy the",
        ),
        (
            replace(WORKER, locustfiles={"p1_saas.py": "cccc", "more.py": "9999"}),
            "locustfile more.py differs: 9999 at the worker, none at the master",
        ),
        (
            replace(WORKER, imported={"shop.py": "d0d0"}),
            "the locustfile's module shop.py differs: d0d0 at the worker, dddd at the master",
        ),
        (
            replace(WORKER, users=("BuyerUser",)),
            "the worker does not run SellerUser, which the master does",
        ),
        (replace(WORKER, load="f0f0"), "the planned load differs: f0f0 at the worker, ffff"),
        (
            replace(WORKER, options={"seed": "2", "config_users": "null"}),
            "--seed is 2 at the worker, 1 at the master: leave it out at the worker",
        ),
        (
            replace(WORKER, options={"time_scale": "0.5", "config_users": "null"}),
            "--time-scale is 0.5 at the worker, 1.0 at the master",
        ),
        (
            replace(WORKER, options={"config_users": "[[{}]]"}),
            "--config-users is [[{}]] at the worker, null at the master: give both the same",
        ),
        (
            replace(WORKER, options={"flavour": '"sweet"', "config_users": "null"}),
            '--flavour is "sweet" at the worker, unknown at the master',
        ),
    ],
)
def test_a_difference_is_named_with_both_sides_and_the_remedy(
    worker: Fingerprint, says: str
) -> None:
    (said,) = differences(worker, MASTER)
    assert says in said


def test_a_secret_is_compared_and_not_shown() -> None:
    given = replace(WORKER, options={"door_key": "secret:1111", "config_users": "null"})
    (said,) = differences(given, replace(MASTER, options={"door_key": "secret:2222"} | OPTIONS))
    assert said.startswith("--door-key is a secret, and another one at the master: leave it out")
    assert "1111" not in said and "2222" not in said
    assert differences(given, replace(MASTER, options={"door_key": "secret:1111"} | OPTIONS)) == []


def test_every_field_is_compared() -> None:
    """One that is added to the fingerprint needs a rule."""
    other: dict[str, Any] = {
        name: (
            "other"
            if isinstance(value, str)
            else ("BuyerUser",)
            if isinstance(value, tuple)
            else dict.fromkeys(value, "other")
        )
        for name, value in ((name, getattr(MASTER, name)) for name in MASTER.__slots__)
    }
    for name, value in other.items():
        assert differences(replace(WORKER, **{name: value}), MASTER), name


def test_a_module_that_only_one_side_has_imported_is_no_difference() -> None:
    assert differences(replace(WORKER, imported={}), MASTER) == []
    assert differences(replace(WORKER, imported={"more.py": "9999"}), MASTER) == []


def test_of_many_files_some_are_named_and_the_others_counted() -> None:
    many = replace(WORKER, suite={f"results/{n}.py": "0" for n in range(20)})
    *named, last = differences(many, MASTER)
    assert len(named) == 3
    assert last == "and 19 more such files"


def test_a_load_that_differs_with_its_sources_is_not_told_twice() -> None:
    worker = replace(WORKER, locustfiles={"p1_saas.py": "c0c0"}, load="f0f0")
    (said,) = differences(worker, MASTER)
    assert "locustfile" in said


def test_a_fingerprint_survives_the_wire() -> None:
    assert Fingerprint.from_wire(msgpack.unpackb(msgpack.packb(MASTER.as_wire()))) == MASTER


@pytest.mark.parametrize(
    "wire",
    [
        None,
        "hello",
        {},
        {**MASTER.as_wire(), "more": "1"},
        {name: value for name, value in MASTER.as_wire().items() if name != "load"},
        {**MASTER.as_wire(), "locust": 2},
        {**MASTER.as_wire(), "suite": ["shapes/profile.py"]},
        {**MASTER.as_wire(), "suite": {"shapes/profile.py": 1}},
        {**MASTER.as_wire(), "users": "BuyerUser"},
        {**MASTER.as_wire(), "users": [None]},
    ],
)
def test_what_is_no_fingerprint_is_refused(wire: object) -> None:
    with pytest.raises(ValueError, match="fingerprint"):
        Fingerprint.from_wire(wire)


# Taken from this process


def test_the_suite_is_hashed_by_relative_paths() -> None:
    found = taken.suite_hashes()
    for path in (
        "locustfiles/harness/distribution/fingerprint.py",
        "locustfiles/harness/http/clock.py",
        "locustfiles/harness/api/config.py",
        "shapes/profile.py",
        "results/fitness/clock.py",
        "service/schema.py",
    ):
        assert len(found[path]) == 12, path
    assert not [path for path in found if path.startswith(("results/runs", "service/app"))]


def test_of_a_package_its_own_folders_are_hashed_and_not_what_runs_left_there(
    tmp_path: Path,
) -> None:
    for name in ("one.py", "inner/__init__.py", "inner/two.py", "runs/left.py", "note.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = {path.relative_to(tmp_path).as_posix() for path in taken._sources(tmp_path)}
    assert found == {"one.py", "inner/__init__.py", "inner/two.py"}


def test_a_checkout_and_an_installed_copy_are_equal(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "x.py").write_bytes(b"one\ntwo\n")
    (tmp_path / "b" / "x.py").write_bytes(b"one\r\ntwo\r\n")
    first, second = (taken._hash_of(tmp_path / one / "x.py") for one in "ab")
    assert first == second
    (tmp_path / "b" / "x.py").write_bytes(b"one\ntwo\nthree\n")
    assert taken._hash_of(tmp_path / "b" / "x.py") != first, "the control"


def test_modules_of_the_locustfiles_folder_are_hashed_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, place in (("own_part", "own"), ("others_part", "elsewhere")):
        folder = tmp_path / place / "inner"
        folder.mkdir(parents=True)
        module = ModuleType(name)
        module.__file__ = str(folder / f"{name}.py")
        (folder / f"{name}.py").write_text("X = 1\n")
        monkeypatch.setitem(sys.modules, name, module)
    assert list(taken._imported({tmp_path / "own"}, [])) == ["inner/own_part.py"]
    assert taken._imported({tmp_path / "own"}, [tmp_path / "own"]) == {}, "the suite apart"


def test_options_that_are_given_are_told_from_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCUST_LOGLEVEL", "DEBUG")
    given = taken.given_options(["--users", "5", "--tags", "a", "b"])
    assert given == {"num_users": 5, "tags": ["a", "b"], "loglevel": "DEBUG"}


def test_a_default_that_a_locustfile_sets_is_not_given() -> None:
    def add_flavour(parser: Any, **_: Any) -> None:
        parser.add_argument("--flavour")
        parser.set_defaults(flavour="plain", colour="red")

    events: Any = locust.events
    events.init_command_line_parser.add_listener(add_flavour)
    try:
        assert taken.given_options([]) == {}
        assert taken.given_options(["--flavour", "plain"]) == {"flavour": "plain"}, (
            "given, if the same"
        )
    finally:
        events.init_command_line_parser.remove_listener(add_flavour)


def test_locusts_own_options_and_the_owners_are_not_compared() -> None:
    shown = taken._shown(
        {"num_users": 5, "run_id": "x", "time_scale": 0.5, "nodes": ["http://a:1"], "host": "h"}
    )
    assert shown == {"time_scale": "0.5", "nodes": '["http://a:1"]'}


def test_a_value_without_a_text_of_its_own_is_shown_by_its_type() -> None:
    assert taken._text(object()) == "a object"
    assert taken._text({"b": 1, "a": 2}) == '{"a": 2, "b": 1}'


def test_a_process_without_a_phased_shape_has_no_planned_load() -> None:
    assert taken._load_hash(None) == taken._load_hash(SimpleNamespace()) == ""

"""One run in which nearly everything happens, for all tests of the page's tables."""

from __future__ import annotations

import pytest

from results.report.record import Record, read_record
from tests.unit.results.report.stormy_run import stormy_run


@pytest.fixture(scope="session")
def stormy(tmp_path_factory: pytest.TempPathFactory) -> Record:
    return read_record(stormy_run(tmp_path_factory.mktemp("runs")).path)

# Two targets are all that a newcomer needs: `make run` and `make test`.
# Each sets up what it needs in .venv from a bare Python >= 3.11; no root, any path.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
SCALE ?= 0.2

.PHONY: help run test check format bench fault lock clean

help:
	@echo "make run     P1 on the embedded cluster at a fifth of its length, then the verdict"
	@echo "make test    the test suite"
	@echo "make check   format, lint, types, import contracts"
	@echo "make bench   the benchmark table (ratios gate)"
	@echo "make fault   the long reliability proofs"
	@echo "make format  rewrite the sources in house style"
	@echo "make lock    resolve pyproject.toml into the two lock files anew"

run: .venv/run.stamp
	$(BIN)/locust -f locustfiles/p1_saas.py --headless --time-scale $(SCALE)

test: .venv/dev.stamp
	$(BIN)/python -m pytest -m "not long" -n 3 --dist worksteal

check: .venv/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/dev.stamp
	$(BIN)/python -m tests.bench

fault: .venv/dev.stamp
	$(BIN)/python -m pytest -m "long and not alone" -n 2 --timeout 3600 -rP
	$(BIN)/python -m pytest -m "long and alone" --timeout 3600 -rP

format: .venv/dev.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: .venv/dev.stamp
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
	    --no-annotate pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
	    --no-annotate --all-extras -c requirements.lock pyproject.toml -o requirements-dev.lock

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/run.stamp: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("needs Python 3.11 or newer, \
	this is %d.%d: run make PYTHON=/path/to/python3.11" % sys.version_info[:2])'
	@echo "setting up .venv (once, about a minute)"
	@$(PYTHON) -m venv .venv
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev.stamp: .venv/run.stamp requirements-dev.lock
	@echo "setting up the test and check tools in .venv"
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

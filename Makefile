# Two commands do everything on a fresh machine with Python 3.11+: `make run` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EVERY_CORE := -n logical --maxprocesses 4 --dist worksteal
COMPILER := tests/ir tests/passes
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: run test lint docs bench clean

run: $(VENV)/installed  ## train a promoter model, compile it, scan phage lambda, draw logos into out/
	$(BIN)/python examples/lambda_promoters.py --out out

test: $(VENV)/installed  ## the test suite; the compiler's own tests run every branch of ir/ and passes/
	$(BIN)/python -m pytest $(EVERY_CORE) --cov --cov-report=term-missing:skip-covered --cov-fail-under=100 $(COMPILER)
	$(BIN)/python -m pytest $(EVERY_CORE) $(addprefix --ignore=,$(COMPILER))

lint: $(VENV)/installed  ## ruff, and mypy on the package as it is installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf build
	$(BIN)/python -m pip install -q --no-deps --target build/typecheck .
	MYPYPATH=build/typecheck $(BIN)/mypy

docs: $(VENV)/installed  ## the documentation site, into out/site
	$(BIN)/python -m docs.draw
	$(BIN)/python -m docs.benchmarks
	$(BIN)/python -m mkdocs build --strict

bench: $(VENV)/installed  ## the benchmark table of this README
	$(BIN)/python -m benchmarks.compare

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) build out docs/generated .pytest_cache .mypy_cache .ruff_cache

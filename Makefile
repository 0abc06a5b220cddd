# Two commands do everything on a fresh machine with Python 3.11+: `make run` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EVERY_CORE := -n logical --maxprocesses 4 --dist worksteal
COMPILER := tests/ir tests/passes
GRAPHS := tests/equivalence/test_graphs.py
FOUR_GRAPHS := $(foreach name,residual_tower u_net recurrent attention,'$(GRAPHS)::test_float32_jitted[$(name)]')
# LLVM's optimizations and XLA's fusions through MLIR are half of the time of tests that compile, and none of ours:
# models, graphs of four kinds and NaN are compiled with them, as users do
FULL_MODELS := tests/equivalence/test_models.py::test_full_models_in_float32
FULLY_COMPILED := $(foreach name,non_finite hidden_nan,tests/equivalence/test_$(name).py)
FAST_TO_COMPILE := XLA_FLAGS="--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false $(XLA_FLAGS)"
# most likely to catch a mistake: every pass on every small graph, every op in float64, every bug that was found,
# four programs of XLA, the API's refusals
CHECK := tests/test_layout.py $(GRAPHS)::test_float64 tests/equivalence/test_regressions.py tests/api/test_errors.py \
	$(FOUR_GRAPHS)
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: run check test lint docs bench clean

run: $(VENV)/installed  ## train a promoter model, compile it, scan phage lambda, draw logos into out/
	$(BIN)/python examples/lambda_promoters.py --out out

test: $(VENV)/installed  ## the test suite; the compiler's own tests run every branch of ir/ and passes/
	$(BIN)/python -m pytest $(EVERY_CORE) --cov --cov-report=term-missing:skip-covered --cov-fail-under=100 $(COMPILER)
	$(BIN)/python -m pytest $(EVERY_CORE) $(FULLY_COMPILED) $(FULL_MODELS) $(FOUR_GRAPHS)
	$(FAST_TO_COMPILE) $(BIN)/python -m pytest $(EVERY_CORE) $(addprefix --ignore=,$(COMPILER) $(FULLY_COMPILED)) \
		$(addprefix --deselect ,$(FULL_MODELS) $(FOUR_GRAPHS))

check: $(VENV)/installed  ## the tests most likely to catch a mistake, in under three minutes on two cores
	$(BIN)/python -m pytest $(EVERY_CORE) -x $(COMPILER) $(CHECK)

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

bench: $(VENV)/installed  ## the benchmark table of docs/speed.md
	$(BIN)/python -m benchmarks.compare

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) build out docs/generated .pytest_cache .mypy_cache .ruff_cache

# 'make demo' and 'make test' each work alone on a clean clone.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint slow wheel clean

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: .venv/installed  ## sgd, er, der++ and lord on the digits, three seeds
	$(BIN)/lord compare --methods sgd,er,der++,lord --seeds 3 --out runs/demo

test: lint  ## everything but what takes minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not slow"

lint: .venv/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

slow: .venv/installed  ## the tests that take minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m slow

wheel: .venv/installed  ## build, and try the wheel in an empty environment
	rm -rf dist build/wheel-check
	$(BIN)/python -m build --wheel --quiet
	$(PYTHON) -m venv build/wheel-check
	build/wheel-check/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt dist/*.whl
	cd build && wheel-check/bin/lord run --epochs 1 --out wheel-check/run

clean:
	rm -rf .venv build dist

# 'make demo' and 'make test' each work alone on a clean clone.
PYTHON ?= python3
BIN := .venv/bin

CIFAR10 ?= cifar10
TINY ?= tiny-imagenet
BENCH = $(BIN)/lord bench --preset s-cifar10 --data $(CIFAR10)

.PHONY: demo test lint slow wheel speed pictures clean

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

speed: .venv/installed build/peers  ## results/speed again; half an hour, nothing else running
	mkdir -p results/speed
	$(BENCH) --width 16 --threads 1 --steps 12 --precision fp32 --out results/speed/width16-fp32-1thread.json
	$(BENCH) --width 16 --threads 1 --steps 12 --precision bf16 --out results/speed/width16-bf16-1thread.json
	$(BENCH) --width 64 --threads 2 --steps 4 --precision fp32 --out results/speed/width64-fp32-2threads.json
	$(BENCH) --width 64 --threads 2 --steps 4 --precision bf16 --out results/speed/width64-bf16-2threads.json
	$(BIN)/python benchmarks/growth_of_cost.py --data $(TINY) --out results/speed/growth.json
	$(BIN)/python benchmarks/compiled.py --out results/speed/compiled.json
	build/peers/bin/python benchmarks/peers.py --data $(CIFAR10) --out results/speed/peers.json

build/peers: benchmarks/requirements-peers.txt  ## Avalanche, with a torch and torchvision of its own
	$(PYTHON) -m venv $@
	$@/bin/python -m pip install --quiet -r benchmarks/requirements-peers.txt
	$@/bin/python -m pip install --quiet --no-deps -e .

pictures: .venv/installed  ## of the page, for the documentation; needs Chromium, and 'make demo' before
	$(BIN)/python docs/pictures/make.py results/front-s-cifar10 runs/demo

clean:
	rm -rf .venv build dist

# Each target works in a fresh clone: it makes .venv first. PYTHON=python3.12 chooses the Python.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin

CIFAR10 ?= cifar10
TINY ?= tiny-imagenet
BENCH = $(BIN)/lord bench --preset s-cifar10 --data $(CIFAR10)

.PHONY: help demo test lint slow dist released docs interface pictures evidence pages charts speed clean

help:  ## list the targets
	@awk -F':.*##  *' '/^[a-z]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: .venv/installed  ## lord+ beside baselines on handwritten digits, and heads over a backbone
	$(BIN)/lord compare --methods sgd,er,der++,lord,lord+ --seeds 3 --out runs/demo
	$(BIN)/lord report runs/demo --html
	$(BIN)/lord compare --methods ncm,slda,ranpac --backbone efficientnet-lite0 --out runs/demo-pretrained

test: lint  ## lint, types and all tests but the slow ones
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

lint: .venv/installed  ## lint and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

slow: .venv/installed  ## the tests that take minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m slow

dist: .venv/installed  ## build sdist and wheel, check them, and try the wheel in an empty environment
	rm -rf dist build/dist-check
	$(BIN)/python -m build --quiet
	$(BIN)/twine check --strict dist/*
	$(BIN)/python .ci/contents.py dist
	$(PYTHON) -m venv build/dist-check
	build/dist-check/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt dist/*.whl
	cd build/dist-check && bin/lord compare --methods sgd,er,der++,lord,lord+ --seeds 1 --epochs 1 --width 8 --out demo
	cd build/dist-check && bin/lord report demo --html

released: .venv/installed  ## check that tag, version, changelog and citation agree
	$(BIN)/python .ci/version.py

docs: .venv/docs  ## build the site in build/site and test it; a broken link or name is an error
	rm -rf build/site
	$(BIN)/python docs/site/assemble.py build/docs
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -c docs/site -d build/docs/trees build/docs/source build/site
	$(BIN)/python -m pytest -p no:cacheprovider -rs docs/site/test_site.py

.venv/docs: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	touch $@

interface: .venv/installed  ## update the list of public names, after an intended change
	$(BIN)/python src/lord/test_interface.py

speed: .venv/installed build/peers/installed  ## measure results/speed again; half an hour, nothing else running
	mkdir -p results/speed
	rm -f results/speed/width*.json  # 'lord bench' replaces nothing
	$(BENCH) --width 16 --threads 1 --steps 12 --precision fp32 --out results/speed/width16-fp32-1thread.json
	$(BENCH) --width 16 --threads 1 --steps 12 --precision bf16 --out results/speed/width16-bf16-1thread.json
	$(BENCH) --width 64 --threads 2 --steps 4 --precision fp32 --out results/speed/width64-fp32-2threads.json
	$(BENCH) --width 64 --threads 2 --steps 4 --precision bf16 --out results/speed/width64-bf16-2threads.json
	$(BIN)/python benchmarks/growth_of_cost.py --data $(TINY) --out results/speed/growth.json
	$(BIN)/python benchmarks/compiled.py --out results/speed/compiled.json
	$(BIN)/python benchmarks/cost_of_counting.py --out results/speed/cost_of_counting.json
	GOMP_SPINCOUNT=1000 $(BIN)/python benchmarks/batch_norm.py --out results/speed/batch_norm.json
	build/peers/bin/python benchmarks/peers.py --data $(CIFAR10) --out results/speed/peers.json

build/peers/installed: benchmarks/requirements-peers.txt  # Avalanche, with its versions of torch and torchvision
	$(PYTHON) -m venv build/peers
	build/peers/bin/python -m pip install --quiet -r benchmarks/requirements-peers.txt
	build/peers/bin/python -m pip install --quiet --no-deps -e .
	touch $@

pictures: .venv/installed  ## draw the pictures of the documentation; needs Chromium, and 'make demo' before
	$(BIN)/python docs/pictures/make.py results/front-s-cifar10 runs/demo

evidence: .venv/installed  ## list the studies in results/: answer, CPU hours, and the command that repeats it
	$(BIN)/python benchmarks/evidence.py

pages: .venv/installed  ## write the pages of the studies in results/ again from their tables
	$(BIN)/python docs/site/studies.py pages

charts: .venv/installed  ## draw the charts of the studies into build/charts.zip, for a release
	rm -rf build/charts
	$(BIN)/python docs/site/studies.py charts build/charts
	$(BIN)/python -m zipfile -c build/charts.zip build/charts

clean:  ## remove .venv, build and dist
	rm -rf .venv build dist

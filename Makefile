# Each target does the set-up that it needs: a virtual environment in .venv, with the versions of
# constraints.txt. Once that stands, none of them asks for the network.
#   make demo        tag a recording that comes with the repo, live in the terminal (no torch)
#   make test        style, types, layers and every test that is not slow: minutes
#   make test-long   all tests
#   make test-ray    those of glatd archive on a Ray cluster of two nodes; installs Ray, 240 MB, which the others skip
#   make bench       benchmarks/; their figures go into docs/. MODELS=DIR: its peers' files, DATA=DIR: a corpus
#   make bench-compare  the peers again, into build/bench; fails where a ratio is 15 % worse than the one in docs/
#   make docs        the site of docs/ in build/site; a dead link fails it
#   make release     dist/: wheel, source distribution, bill of materials, checksums
#   make clean       remove .venv and everything that was built
# An own interpreter: make PYTHON=python3.12 ...

# A PYTHON given here is for scripts/venv alone: the other scripts use .venv.
unexport PYTHON
BIN := .venv/bin
STAMPS := .venv/glatd-stamps
ASKED := pyproject.toml constraints.txt scripts/install

.PHONY: help demo test test-long test-ray bench bench-compare docs check release clean
.DELETE_ON_ERROR:

help:
	@sed -n '/^#   make/s/^#   //p' Makefile

demo: $(STAMPS)/base
	$(BIN)/glatd replay demo/*.ogg --speed 1.0

test: check $(STAMPS)/node
	scripts/halves -m "not slow"

test-long: check $(STAMPS)/node
	$(BIN)/pytest

# By itself: few want so much for it.
test-ray: $(STAMPS)/ray
	$(BIN)/pytest tests/daemon/archive/test_cluster.py

bench: $(STAMPS)/dev
	$(BIN)/python -m benchmarks $(if $(MODELS),--models $(MODELS)) $(if $(DATA),--data $(DATA))

# By hand, on a machine with nothing else to do: no test and no CI asks for speed.
bench-compare: $(STAMPS)/dev
	@test -f docs/benchmarks/peers.json || { echo "docs/benchmarks/peers.json is not there: make bench MODELS=DIR measures it" >&2; exit 1; }
	$(BIN)/python -m benchmarks peers --out build/bench $(if $(MODELS),--models $(MODELS)) $(if $(DATA),--data $(DATA))
	$(BIN)/python -m benchmarks compare docs/benchmarks/peers.json build/bench/benchmarks/peers.json

docs: $(STAMPS)/dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

check: $(STAMPS)/dev
	$(BIN)/ruff check
	scripts/types
	scripts/layers

# From a clone of the last commit, so that nothing which is not committed gets in.
release: $(STAMPS)/dev
	scripts/release

clean:
	rm -rf .venv build dist glatd.egg-info .hypothesis .pytest_cache .ruff_cache clients/node/node_modules

$(BIN)/python:
	PYTHON='$(PYTHON)' scripts/venv

# For the tests of the client in JavaScript; without npm they are skipped.
$(STAMPS)/node: clients/node/package.json clients/node/package-lock.json scripts/npm | $(BIN)/python
	scripts/npm
	mkdir -p $(STAMPS)
	if command -v npm >/dev/null; then touch $@; fi

$(STAMPS)/base: $(ASKED) | $(BIN)/python
	$(BIN)/python scripts/install

$(STAMPS)/dev: $(ASKED) | $(BIN)/python
	$(BIN)/python scripts/install train int8 tensorrt-rtx dev release metrics web top plot archive docs mqtt webhook apprise nats

$(STAMPS)/ray: $(STAMPS)/dev $(ASKED) | $(BIN)/python
	$(BIN)/python scripts/install dev archive ray

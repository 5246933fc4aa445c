# Needs Python >= 3.11, a C compiler and the package index; .ci/setup does the rest.
# The tests that need Lava run where a Python 3.10 can be found; SPIKEPORT_REQUIRE=lava insists,
# SPIKEPORT_REQUIRE=engine that the C engine was built.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo test lint fuzz sanitize support bench bench-build bench-peers bench-place bench-quantize bench-train models chips validate docs constraints links clean dev timing lava sanafe torch-test xylo-test

WITH_LAVA = if [ -x .venv-lava/bin/python ]; then : "$${SPIKEPORT_LAVA_PYTHON:=$(CURDIR)/.venv-lava/bin/python}"; \
	export SPIKEPORT_LAVA_PYTHON; fi;

WITH_SANAFE = if [ -x .venv-sanafe/bin/python ]; then : "$${SPIKEPORT_SANAFE_PYTHON:=$(CURDIR)/.venv-sanafe/bin/python}"; \
	export SPIKEPORT_SANAFE_PYTHON; fi;

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

demo: lava ## deploy the digits network to loihi1, on emulator and Lava; report in out/demo
	@rm -rf out/demo
	@$(WITH_LAVA) .venv/bin/spikeport demo --out out/demo

ON_NUMPY = unit/test_emulator.py unit/test_graded.py unit/test_xylo_neuron.py unit/test_izhikevich.py \
	unit/test_host.py contract/test_running_is_continuing.py contract/test_kinds.py \
	contract/test_sparse_weights.py golden/test_xylosim.py golden/test_shared_lava_cases.py

test: lint lava sanafe ## lint, then every test, those of the emulator on NumPy as well
	@$(WITH_LAVA) $(WITH_SANAFE) .venv/bin/python -m pytest -n 2 --dist=loadfile
	@SPIKEPORT_REQUIRE= SPIKEPORT_ENGINE=numpy .venv/bin/python -m pytest -n 2 --dist=loadfile -q \
		-k "not (brian2 or lava- or lava_runs or lava_goes)" $(addprefix hw_tests/,$(ON_NUMPY))

lint: dev ## style and types
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check --quiet .
	@.venv/bin/mypy

fuzz: dev ## property tests on new examples, 2 000 random graphs, 500 placements on each of six chips, 5 000 networks on both engines, 1 000 proofs against overflow, 1 000 seeded faults
	@SPIKEPORT_EXAMPLES=fuzz .venv/bin/python -m pytest -n 2 -q -m hypothesis hw_tests/unit hw_tests/contract
	@.venv/bin/python -m hw_tests.fuzz_graphs --graphs 2000
	@.venv/bin/python -m hw_tests.fuzz_place --networks 500
	@.venv/bin/python -m hw_tests.fuzz_engine --networks 5000
	@.venv/bin/python -m hw_tests.fuzz_bounds --networks 1000
	@.venv/bin/python -m hw_tests.seeded_faults --trials 1000

sanitize: dev ## the C engine under AddressSanitizer, UBSan and LeakSanitizer: 5 000 networks and its tests
	@.venv/bin/python -m hw_tests.sanitize

torch-test: ## the tests against snnTorch, Norse, sinabs and SpikingJelly, with a PyTorch of their own
	@.ci/setup torch
	@SPIKEPORT_REQUIRE=torch .venv-torch/bin/python -m pytest -q hw_tests/torch

xylo-test: ## build xylosim, then compare Xylo's arithmetic with it on 240 random networks
	@.ci/setup xylo
	@SPIKEPORT_REQUIRE=xylosim SPIKEPORT_XYLOSIM_PYTHON=$(CURDIR)/.venv-xylo/bin/python \
		.venv/bin/python -m pytest -q hw_tests/parity/test_xylosim.py

support: lava ## run the conformance suite and write docs/support.json and docs/support.md
	@$(WITH_LAVA) .venv/bin/python -m hw_tests.contract.support_matrix

bench: lava ## ours and the simulators of bench-peers, in one run, into docs (ONLY=w1, QUICK=1: print)
	@$(WITH_LAVA) .venv/bin/python -m hw_tests.bench.bench \
		$(if $(ONLY)$(QUICK),$(if $(ONLY),--only $(ONLY)) $(if $(QUICK),--quick),--write)

bench-peers: ## environments of the simulators that bench compares with; each is optional
	@.ci/setup peers

bench-build: dev ## time from arrays and from a file to an image of 11 million synapses
	@.venv/bin/python -m hw_tests.bench.bench_build

bench-place: dev ## placement beside other strategies
	@.venv/bin/python -m hw_tests.bench.bench_place

bench-quantize: dev ## what quantization keeps of the real cases beside its targets, with the commands
	@.venv/bin/python -m hw_tests.bench.bench_quantize $(if $(ONLY),--only "$(ONLY)")

MNIST ?= ../shared/cases/data_mnist_t10k
bench-train: dev ## an epoch of training beside snnTorch's (make bench-peers first)
	@.venv/bin/python -m hw_tests.bench.bench_train

models: dev ## train every network of the library, three seeds, and print the table of docs/models.md; MNIST's test set from MNIST=FOLDER
	@.venv/bin/python -m hw_tests.bench.models_table --mnist $(MNIST) $(if $(ONLY),--only $(ONLY))

timing: sanafe ## compare times and energies with SANA-FE's and write the table of docs/sanafe.md
	@$(WITH_SANAFE) .venv/bin/python -m hw_tests.bench.sanafe_table

chips: dev ## write the chip library, what fits what, and the schema of chip files into docs
	@.venv/bin/python hw_tests/bench/chips_table.py $${CASES:-../shared/cases} docs

validate: dev ## write docs/validation.md: published energies beside what the cost columns say
	@.venv/bin/python -m hw_tests.bench.validation_table

docs: ## build the documentation in docs/_build/html
	@.ci/setup docs
	@.venv/bin/sphinx-build --quiet --fail-on-warning --keep-going docs docs/_build/html

constraints: ## pin anew what pyproject.toml asks for (UPGRADE=1: newest versions)
	@.ci/setup constraints

links: ## make .links mirror the package's folders, for type checkers
	@.ci/setup links

clean: ## remove everything that make made
	@.ci/setup clean
	@rm -rf out/demo out/bench docs/_build build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

dev:
	@.ci/setup dev

sanafe: dev
	@.ci/setup sanafe

lava: dev
	@.ci/setup lava

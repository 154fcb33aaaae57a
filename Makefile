# `make run`: clips to a checked submission with figures. `make test`: lint, types and tests.
# Both make .venv themselves and use it again while requirements and constraints stay the same.
# `make run QUICK=1` trains TC-ResNet8 only. `make help` lists all targets.

PYTHON ?= python3
# librosa 1.0 and NumPy 2.5 ask for Python 3.12: the newest versions are tried with the newest Python that is there.
NEWEST_PYTHON ?= $(firstword $(foreach name,python3.13 python3.12,$(if $(shell $(name) -c "print(1)" 2>/dev/null),$(name))) $(PYTHON))
BIN := $(if $(filter Windows_NT,$(OS)),.venv/Scripts,.venv/bin)
NOTEBOOKS := $(sort $(wildcard notebooks/[0-9]*.ipynb))
PYTEST := -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: help run notebooks kaggle test test-all test-oldest test-newest setup clean clean-runs
.DEFAULT_GOAL := run

help:
	@echo "run          notebooks from top to bottom: trained models, checked submission, figures"
	@echo "run QUICK=1  TC-ResNet8 only, and its checked submission"
	@echo "test         lint, types and tests"
	@echo "test-all     lint, types and all tests, the slow ones, too; installs JAX and Ray"
	@echo "test-oldest  tests with the oldest supported versions, in an environment of their own"
	@echo "test-newest  tests with the newest versions, in an environment of their own"
	@echo "notebooks    the notebooks with their outputs, for committing"
	@echo "kaggle       dist/kaggle, a folder to upload to Kaggle: package, wheels, notebooks; KAGGLE_USERNAME=you"
	@echo "clean        remove environments and build products; clean-runs: remove trainings, after a yes"

setup: .venv/installed

# Environments: .venv has the tested versions, .venv-oldest the lower bounds, .venv-newest what is newest.
.venv/installed: VERSIONS := -c constraints.txt
.venv-oldest/installed: VERSIONS := -c constraints-oldest.txt
.venv-newest/installed: VERSIONS :=
.venv-newest/installed: PYTHON := $(NEWEST_PYTHON)
.venv/installed .venv-oldest/installed .venv-newest/installed: requirements.txt constraints.txt constraints-oldest.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python must be >= 3.11. Received: " + sys.version)'
	@echo "making $(@D): about two minutes and 3.5 GB, once"
	@$(PYTHON) -m venv $(@D)
	@$(subst .venv,$(@D),$(BIN))/python -m pip install --quiet --disable-pip-version-check --upgrade pip setuptools wheel
	@$(subst .venv,$(@D),$(BIN))/python -m pip install --quiet --disable-pip-version-check -r requirements.txt $(VERSIONS)
	@PYTHONWARNINGS=ignore $(subst .venv,$(@D),$(BIN))/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: setup
	@data="$$($(BIN)/python -m kaggle_speech prepare --or-sample)" && export KAGGLE_SPEECH_DATA="$$data" && \
	echo "data: $$data" && \
	out="$${KAGGLE_SPEECH_OUTPUT:-.}" && \
	if [ -n "$(QUICK)" ]; then \
		echo "TC-ResNet8, on two cores: about 15 minutes for 9,000 clips, 45 for the competition, 1 for the sample" && \
		$(BIN)/python -m kaggle_speech train --model tc_resnet --out "$$out/runs/quick" && \
		$(BIN)/python -m kaggle_speech submit --run "$$out/runs/quick" --out "$$out/submissions/quick.csv"; \
	else \
		$(BIN)/python notebooks/run.py $(NOTEBOOKS) && \
		echo "submission: $$out/submissions/10_ensemble.csv (checked), its settings in 10_ensemble.json beside it" && \
		echo "figures:    $$out/runs/figures/*.png" && \
		echo "notebooks:  $$out/runs/notebooks/*.html"; \
	fi && \
	if [ -f "$$data/sample.json" ]; then echo "The clips are synthetic: the accuracies show that everything works, not how good a model is."; fi

# The notebooks with what they show for the clips of KAGGLE_SPEECH_DATA, for committing.
notebooks: setup
	$(BIN)/python notebooks/execute.py $(NOTEBOOKS)

# One data set for Kaggle, where the notebooks run without internet.
kaggle: setup
	@$(BIN)/python notebooks/kaggle.py dist/kaggle

test test-all: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m mypy
	$(if $(filter test-all,$@),$(BIN)/python -m pip install --quiet --disable-pip-version-check jax ray fsspec pyarrow -c constraints.txt)
	$(BIN)/python $(PYTEST) $(if $(filter test,$@),-m "not slow")

test-oldest test-newest: test-%: .venv-%/installed
	$(subst .venv,.venv-$*,$(BIN))/python $(PYTEST) -m "not slow"

# What can be made again in minutes. The trainings in runs/ stay.
clean:
	rm -rf .venv .venv-oldest .venv-newest build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache data/sample

# What takes hours to make again.
clean-runs:
ifeq ($(CONFIRM),yes)
	rm -rf runs
else
	@echo "make clean-runs removes runs/, with every training, figure and notebook page in it:"
	@du -sh runs/* 2>/dev/null || echo "  (nothing)"
	@echo "To go ahead: make clean-runs CONFIRM=yes"
	@exit 1
endif

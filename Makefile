# Everything here sets up what it needs: .venv from constraints.txt, and Dolt through .ci/get-dolt.
PYTHON ?= python3

# Made last, so that an install that was interrupted is not trusted but made anew.
COMPLETE := .venv/.complete
WITH_DOLT := dolt=$$(PYTHON=.venv/bin/python .ci/get-dolt) && export PATH="$(CURDIR)/.venv/bin:$$dolt:$$PATH" &&

# Where it is set, each of the many processes would compile all of doltflow anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test test-long test-served fuzz torture bench bench-full clean

setup: $(COMPLETE)
	@PYTHON=.venv/bin/python .ci/get-dolt >/dev/null

# _base_executable: $(PYTHON) may be the one in the .venv that is about to be removed.
$(COMPLETE): pyproject.toml constraints.txt
	@python=$$($(PYTHON) -c 'import sys; sys.version_info < (3, 11) and sys.exit(1); print(sys._base_executable)' \
		2>/dev/null) || { echo "doltflow needs Python 3.11 or newer, and $(PYTHON) is not: try make PYTHON=python3.11" >&2; \
		exit 1; }; \
	echo "Installing into .venv; this takes a minute or two." >&2; \
	rm -rf .venv && "$$python" -m venv .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: setup
	@$(WITH_DOLT) doltflow demo build/demo && \
		printf '\nTo go on in this shell, with doltflow and dolt on PATH:\n  export PATH="%s"\n' \
		"$(CURDIR)/.venv/bin:$$dolt:\$$PATH"

# As many at once as there are cores, a file of tests in one process, which shares what is slow to build.
# ARGS go to pytest: make test ARGS="-k trace"
PYTEST = .venv/bin/python -m pytest -n auto --dist loadfile

test: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	@$(WITH_DOLT) $(PYTEST) -m "not long and not torture" $(ARGS)

# The same with the databases on a real server, found by its address.
SERVED := $(addprefix tests/test_,$(addsuffix .py,recorder_again recorder_joins recorder_outside recorder_reads \
	recorder_record recorder_retry recorder_world recorder_writes trace replay replay_resumed rerun_safety backtest sweep \
	diff))
test-served: setup
	@$(WITH_DOLT) $(PYTEST) -m "not long and not folder and not torture" --served $(or $(ARGS),$(SERVED))

# The long ones: reruns that are killed, replays of every kind, the demo from nothing, the README, real prices.
test-long: setup
	@$(WITH_DOLT) $(PYTEST) -m "long and not torture" $(ARGS)

# Kills at random moments and many writers, in the full numbers: TORTURE_KILLS=100 of them, TORTURE_SEED to repeat one.
torture: setup
	@$(WITH_DOLT) .venv/bin/python -m pytest -m torture -s $(ARGS)

# Inputs nobody would think of, FUZZ of them for each target, other ones every time; `make test` tries a few.
FUZZ ?= 10000
fuzz: setup
	@$(WITH_DOLT) FUZZ=$(FUZZ) $(PYTEST) tests/fuzz $(ARGS)

bench: setup
	@$(WITH_DOLT) .venv/bin/python tests/bench

# The demo's flows on 72.7 million prices; less with SCALE=0.1. The prices stay in build/full for the next time.
bench-full: setup
	@$(WITH_DOLT) SCALE=$(SCALE) .venv/bin/python tests/bench full

# The Dolt that .ci/get-dolt built stays where it is: it serves every checkout.
clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find doltflow tests -type d -name __pycache__ -prune -exec rm -rf {} +

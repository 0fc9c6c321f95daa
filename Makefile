# The commands of the console. `make run` and `make test` are all a newcomer needs.
#   PYTHON=python3.12   which Python to use (3.11 or newer)
#   BROWSER=0           leave out the browser tests (ignored where CI is set)
#   CHROMIUM=path       the browser to test with
#   CHAOS="--seed 7 --only step_kills --database sqlite --scale 0.05"   what `make chaos` does, all of it optional

.PHONY: run test bench chaos fuzz client lock clean
.DEFAULT_GOAL := run
export PYTHON BROWSER CHROMIUM

run:
	@sh scripts/set-up.sh run
	@exec .venv/bin/socialconsole run

test:
	@sh scripts/set-up.sh test
	@sh scripts/test.sh

bench:
	@sh scripts/set-up.sh test
	@.venv/bin/python scripts/bench.py

chaos:
	@sh scripts/set-up.sh test
	@.venv/bin/python scripts/chaos.py $(CHAOS)

# 300 requests of each sort for each call of the API: more than 10,000 in all.
fuzz:
	@sh scripts/set-up.sh test
	@FUZZ=$${FUZZ:-300} .venv/bin/python -m pytest -q --timeout 0 tests/journeys/test_api_fuzz.py

client:
	@.venv/bin/python scripts/make_client.py

lock:
	@sh scripts/lock.sh

clean:
	rm -rf .venv build socialconsole.egg-info socialconsole/static/vendor .pytest_cache .mypy_cache .ruff_cache
	find app.py worker.py socialconsole scripts tests -name __pycache__ -prune -exec rm -rf {} +

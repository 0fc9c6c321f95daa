"""kill -9 of a worker in the middle of a publish: no second post, no row that stays stuck."""

import os
import signal
from pathlib import Path

import pytest

from socialconsole import store
from socialconsole.models import PUBLISHED, PUBLISHING, UNCONFIRMED
from tests import story
from tests.running import family, until

pytestmark = pytest.mark.processes


def hold(running, *, after):
    """Order the sandbox to hold the next publish at the gate, before or after it took effect."""
    return running.console.control("POST", "/portal/api/faults", {
        "platform": "twitter", "operation": "publish", "kind": "gate", "after": after})["id"]


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def kill_the_worker_at_the_gate(running, fault):
    """kill -9 the workers, the one whose call stands at the gate and its work horse among them."""
    until(lambda: running.console.control("GET", f"/portal/api/faults/{fault}")["waiting"], 20, "a call at the gate")
    workers = [pid for pid in family(running.console.process.pid)
               if Path(f"/proc/{pid}/comm").read_text().startswith("console-worker")]
    assert len(workers) >= 3, "two workers, and the horse of the one at work"
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not any(is_alive(pid) for pid in workers), 10, "the workers are gone")


def test_a_post_that_went_out_before_the_kill_is_found_and_not_sent_again(running):
    fault = hold(running, after=True)
    url = story.compose(running.visitor, running.console, "Sent once, worker killed", "acme")
    kill_the_worker_at_the_gate(running, fault)
    running.console.control("POST", f"/portal/api/faults/{fault}/release")
    assert running.delivery(url).state == PUBLISHING
    running.time_passes(url)
    running.wait_for_state(url, UNCONFIRMED, PUBLISHED)
    running.time_passes(url)
    delivery = running.wait_for_state(url, PUBLISHED)
    assert delivery.platform_post_id and delivery.permalink
    assert running.posts().count("Sent once, worker killed") == 1


def test_a_post_that_never_arrived_waits_for_a_person_who_sends_it_again(running):
    fault = hold(running, after=False)
    url = story.compose(running.visitor, running.console, "Never arrived", "acme")
    kill_the_worker_at_the_gate(running, fault)
    running.console.control("DELETE", "/portal/api/faults")
    running.time_passes(url)
    running.wait_for_state(url, UNCONFIRMED)
    while running.delivery(url).due_at is not None:
        running.time_passes(url)
    assert "Never arrived" not in running.posts()
    running.visitor.open(url).follow("Publish again").press("Publish again")
    running.wait_for_state(url, PUBLISHED)
    assert running.posts().count("Never arrived") == 1


def test_the_killed_worker_is_replaced_and_the_next_post_goes_out(running):
    until(lambda: running.console.get("/readyz")[0] == 200, 30, "ready again")
    url = story.compose(running.visitor, running.console, "After the kill", "acme")
    running.wait_for_state(url, PUBLISHED)
    assert running.posts().count("After the kill") == 1


def test_an_emptied_store_loses_nothing(running):
    url = story.compose(running.visitor, running.console, "The store was emptied", "acme")
    store.connect(running.app.extensions["config"]).flushall()
    running.wait_for_state(url, PUBLISHED)
    assert running.posts().count("The store was emptied") == 1
    until(lambda: running.console.get("/readyz")[0] == 200, 30, "the workers are known to the store again")

"""The sandbox answers a check of id and secret as the platforms do, and the providers read it rightly."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from werkzeug.serving import make_server

from socialconsole.providers import PROVIDERS, connectable
from socialconsole.providers.base import App
from socialconsole.providers.verdicts import UNKNOWN, VALID, WRONG_ID, WRONG_SECRET
from tests.sandbox.player import CALLBACK, Player

EVERY = [(slug, mode) for slug, one in PROVIDERS.items() for mode in (
    [mode.slug for mode in one.modes] if slug in ("instagram", "linkedin") else [""])]


@pytest.fixture
def served(player: Player) -> Iterator[str]:
    """The sandbox's address on this machine, with the player's apps."""
    server = make_server("127.0.0.1", 0, player.wsgi, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def made(player: Player, served: str, slug: str, mode: str) -> App:
    found = player.make(slug, **({"mode": mode} if mode else {}))
    return App(found["client_id"], found["client_secret"], CALLBACK, mode=mode, api_version="v25.0",
               hosts=PROVIDERS[slug].base_addresses(served))


@pytest.mark.parametrize(("slug", "mode"), EVERY)
def test_right_and_wrong_pairs_are_told_apart(player, served, slug, mode):
    app = made(player, served, slug, mode)
    ask = connectable(slug).check_app
    is_direct = mode == "instagram_login"  # looks at the secret only beside a token
    assert ask(app).kind == (UNKNOWN if is_direct else VALID)
    assert ask(replace(app, client_secret="f" * 32)).kind == (UNKNOWN if is_direct else WRONG_SECRET)
    other = WRONG_SECRET if slug == "tiktok" else WRONG_ID  # which does not say which of the two it refuses
    assert ask(replace(app, client_id="990011223344556")).kind == other
    assert not player.posts(slug)


@pytest.mark.parametrize("fault", ["500", "429", "html", "truncated", "drop"])
@pytest.mark.parametrize("slug", list(PROVIDERS))
def test_an_outage_is_no_verdict(player, served, slug, fault):
    app = made(player, served, slug, PROVIDERS[slug].modes[0].slug if PROVIDERS[slug].modes else "")
    for operation in ("token", "refresh", "profile"):  # the last one is a second opinion
        player.order(slug, operation, fault, times=3)
    assert connectable(slug).check_app(app).kind == UNKNOWN


def test_a_sandbox_that_is_gone_is_no_verdict():
    app = App("id", "secret-of-the-app", CALLBACK, hosts=PROVIDERS["twitter"].base_addresses("http://127.0.0.1:9"))
    assert connectable("twitter").check_app(app).code == "no_answer"

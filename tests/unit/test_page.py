"""How a view answers a whole page, a block, a change and an error, and how a status looks."""

import re

import pytest
from flask import get_flashed_messages

from socialconsole import models, providers
from socialconsole.web import page, signs

HTMX = {"HX-Request": "true"}
CONTEXT = {"title": "A title", "happened": "It happened.", "step": "Do this.", "code": 404}


def text(answer) -> str:
    return answer.get_data(as_text=True)


@pytest.fixture
def asked(app):
    """A request with these headers, in front of nobody."""

    def ask(headers: dict[str, str]):
        return app.test_request_context("/", headers=headers)

    return ask


@pytest.mark.parametrize("headers", [
    {}, {**HTMX, "HX-Boosted": "true"}, {**HTMX, "HX-History-Restore-Request": "true"}])
def test_a_browser_gets_the_whole_page_also_when_boosted_or_going_back(asked, headers):
    with asked(headers):
        answer = page.show("error.html", "notice", 404, **CONTEXT)
    assert answer.status_code == 404 and "<html" in text(answer) and 'id="notices"' in text(answer)


def test_htmx_gets_the_block_alone_with_what_its_template_imports(asked):
    with asked(HTMX):
        answer = page.show("error.html", "notice", 404, **CONTEXT)
        several = page.blocks("error.html", ("notice", "title"), **CONTEXT)
    assert text(answer).startswith('<div class="banner"') and text(answer).endswith("</div>")
    assert 'href="/static/' in text(answer)  # a macro of the imported file
    assert text(several) == text(answer) + "\nA title"


def test_without_a_block_htmx_gets_the_whole_page(asked):
    with asked(HTMX):
        assert "<html" in text(page.show("error.html", None, **CONTEXT))


def test_what_is_put_into_a_page_is_text_and_never_markup(asked):
    with asked(HTMX):
        answer = page.show("error.html", "notice", **{**CONTEXT, "happened": '<b hx-get="/x">'})
    assert "<b hx" not in text(answer) and "&lt;b hx-get" in text(answer)


def test_after_a_change_htmx_gets_the_block_and_the_message_beside_it(asked):
    with asked(HTMX):
        answer = page.done("error.html", "notice", "/back", "Saved <it>.", **CONTEXT)
        assert get_flashed_messages() == []
    assert answer.status_code == 200 and text(answer).startswith('<div class="banner"')
    toast = text(answer)[text(answer).index('id="toasts"'):]
    assert 'hx-swap-oob="true"' in toast and "Saved &lt;it&gt;." in toast


def test_after_a_change_a_browser_goes_back_and_reads_the_message_there(asked):
    with asked({}):
        answer = page.done("error.html", "notice", "/back", "Saved.", **CONTEXT)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/back")
        assert get_flashed_messages() == ["Saved."]


def test_after_a_change_without_a_block_htmx_makes_the_browser_go_on(asked):
    with asked(HTMX):
        answer = page.done("error.html", None, "/back", "Saved.")
        assert get_flashed_messages() == ["Saved."]
    assert (answer.status_code, text(answer), answer.headers["HX-Redirect"]) == (200, "", "/back")


def test_what_is_invalid_is_422(asked):
    with asked(HTMX):
        assert page.invalid("error.html", "notice", **CONTEXT).status_code == 422


STATES = (models.ACTIVE, "expiring", "limited", models.TOKEN_EXPIRED, models.PAUSED, models.DISCONNECTED,
          models.SCHEDULED, models.PREPARING, models.PROCESSING, models.PUBLISHING, models.SENT, models.PUBLISHED,
          models.HELD, models.UNCONFIRMED, models.MISSED, models.FAILED, models.CANCELLED, "on", "ready", "none",
          "attention")


def test_every_status_has_an_icon_that_exists_and_a_label(app):
    drawn = set(re.findall(r'<symbol id="([\w-]+)"', app.extensions["assets"]["icons.svg"].plain.decode()))
    for state in STATES:
        assert state in signs.SIGNS and signs.label_of(state), state
    for icon, label in signs.SIGNS.values():
        assert icon in drawn and label
    assert set(signs.WIRES.values()) <= drawn
    assert signs.icon_of("whatever") == "info" and signs.label_of("not_known") == "Not known"


def test_every_platform_has_a_tile_with_a_colour_of_its_own(app):
    css = app.extensions["assets"]["console.css"].plain.decode()
    for slug, provider in providers.PROVIDERS.items():
        assert provider.tile and f"[data-p={slug}]" in css


@pytest.mark.parametrize(("name", "letters"), [
    ("Harbour Bakery", "HB"), ("@acme", "AC"), ("harbour.bakery", "HB"), ("X", "X"), ("", "?"), ("🦊 !", "?"),
    ("Kardemummabullens Vänner i Västra Hamnen", "KV"), ("émile zola", "ÉZ")])
def test_letters_stand_for_a_name(name, letters):
    assert signs.initials(name) == letters and signs.tone(name) in (1, 2, 3, 4)

"""Every platform, every mode, every format that it offers: through the sandbox, with the files that really arrived.

Nothing here knows a platform: what to send follows from the provider's own facts, so a new platform is covered as
soon as it stands in the registry.
"""

from typing import Any

import pytest

from socialconsole.providers import PROVIDERS
from socialconsole.providers.base import Located, Published, Sent
from socialconsole.providers.content import (
    DOCUMENT,
    GIF,
    IMAGE,
    VIDEO,
    YES,
    Creator,
    Draft,
    Field,
    File,
    Format,
    Poll,
    Preview,
    Progress,
)
from socialconsole.providers.oauth2 import connectable
from socialconsole.providers.rules import fitting, problems
from tests.formats.playground import Place, Playground

LINK = "https://example.com/buns"
MOST_TURNS = 80


def every() -> list[tuple[str, str, str]]:
    return [(slug, mode, one.slug) for slug, provider in PROVIDERS.items()
            for mode in ([mode.slug for mode in provider.modes] or [""]) for one in provider.formats_of(mode)]


def connected(playground: Playground, slug: str, mode: str) -> Place:
    """An account with the scopes that the formats, deleting and the features that are on by default need."""
    provider = connectable(slug)
    wanted = {*provider.delete_needs.get(mode, ()), *(name for one in provider.formats_of(mode) for name in one.needs)}
    features = tuple(one.slug for one in provider.features_of(mode)
                     if one.default_on or wanted & {scope.name for scope in one.scopes})
    scopes = [scope.name for scope in provider.default_scopes(mode, features)]
    assert wanted <= set(scopes), "a feature or the default asks for it"
    place = playground(slug, mode)
    place.connect(scopes=scopes)
    return place


def a_file(place: Place, kind: str, format: Format, number: int) -> File:
    """A small file that fits the format's own rules."""
    rule = format.video if kind == VIDEO else None
    sizes: dict[str, Any] = {"width": 1080, "height": 1920}
    if kind == VIDEO and rule is not None and rule.ratio is not None and rule.ratio[0] > 0.5625:
        sizes = {"width": 1920, "height": 1080}
    if kind != VIDEO:
        sizes = {"width": 1080, "height": 1080}
    seconds = 10.0 if rule is None or rule.seconds is None else min(max(rule.seconds[0], 10.0), rule.seconds[1])
    alt = f"Picture {number}" if format.alt_text and kind in (IMAGE, GIF) else ""
    type = ""
    if kind == DOCUMENT and format.document is not None:
        type = "application/pdf"
    least = rule.least_bytes if rule is not None else 0
    return place.file(kind, least, type=type, seconds=seconds, alt_text=alt, **({} if kind == DOCUMENT else sizes))


def files_for(place: Place, format: Format) -> list[File]:
    if not format.takes:
        return []
    count = max(format.least, min(2, format.most))
    kinds = list(format.takes) if format.mixes else [format.takes[0]]
    return [a_file(place, kinds[number % len(kinds)], format, number) for number in range(count)]


def answer(field: Field, creator: Creator | None) -> str:
    """What a careful author answers: the last choice offered, a tick where one is asked for."""
    if field.kind == "select":
        offered = creator.choices.get(field.name, field.choices) if creator is not None else field.choices
        return offered[-1][0]
    return YES if field.kind == "check" else "Saffron buns"


def draft_of(place: Place, mode: str, format: Format) -> Draft:
    provider, account = place.provider, place.account
    creator = provider.creator(place.app, account.token, account.profile.platform_user_id) \
        if provider.asks_creator else None
    options = {field.name: field.default or answer(field, creator) for field in provider.fields_of(mode, format.slug)
               if field.required}
    poll = None
    if format.poll is not None:
        poll = Poll("Which one" if format.poll.question_most else "", ("Wreath", "Knot"),
                    format.poll.minutes[0] if format.poll.minutes else 1440)
    text = "Saffron buns are back" + (f" {LINK}" if format.needs_link or format.slug == "link" else "")
    link = LINK if LINK in text else ""
    preview = Preview(LINK, "Buns", "Twice a day") if format.preview and link else None
    return place.draft(text, format.slug, files_for(place, format), options=options, poll=poll, link=link,
                       preview=preview)


def delivered(place: Place, draft: Draft) -> Published | Sent:
    """As the engine does it; what only a person can finish inside the platform is an end as well."""
    progress, account = Progress(), place.account
    provider, app = place.provider, place.app
    place.prepare(draft, progress)
    outcome: Published | Sent | Located = provider.publish(app, account.token, draft, progress)
    for _ in range(MOST_TURNS):
        assert isinstance(outcome, Published | Sent)
        if isinstance(outcome, Published) or outcome.waits_for_person:
            return outcome
        place.clock.forward(outcome.again_in.total_seconds())
        outcome = provider.follow(app, account.token, draft, progress, outcome)
    raise AssertionError("it never ended")


@pytest.mark.parametrize(("slug", "mode", "format"), every())
def test_a_format_goes_through(playground: Playground, slug: str, mode: str, format: str) -> None:
    place = connected(playground, slug, mode)
    shown = next(one for one in place.provider.formats_of(mode) if one.slug == format)
    draft = draft_of(place, mode, shown)
    wanted = [file.sha256 for file in draft.files]
    assert shown in fitting(place.provider, mode, draft.files, draft.poll, draft.link)
    assert problems(place.provider, draft, mode, count=place.provider.count, kind=place.account.profile.kind) == []
    before = len(place.posts())
    done = delivered(place, draft)
    received = {one["sha256"] for one in place.uploads()} | {
        medium["sha256"] for post in place.posts() for medium in post["media"]}
    assert set(wanted) <= received, "every byte arrived"
    if isinstance(done, Sent):
        assert done.note
        return
    assert done.id and len(place.posts()) == before + 1, "one post, and no more"
    [post] = place.posts()[: 1]
    if shown.has_text:
        assert "Saffron buns" in str(post["text"]) + str(post["facts"])
    if shown.alt_text:
        alts = [medium.get("alt", "") for medium in post["media"]]
        assert sorted(alts) == sorted(file.alt_text for file in draft.files)


@pytest.mark.parametrize(("slug", "mode", "format"), [one for one in every() if PROVIDERS[one[0]].delete_needs.get(
    one[1]) is not None])
def test_what_was_published_can_be_deleted(playground: Playground, slug: str, mode: str, format: str) -> None:
    provider = connectable(slug)
    place = connected(playground, slug, mode)
    shown = next(one for one in provider.formats_of(mode) if one.slug == format)
    draft = draft_of(place, mode, shown)
    done = delivered(place, draft)
    if isinstance(done, Sent):
        return
    before = len(place.posts())
    place.delete(done.id, draft)
    assert len(place.posts()) == before - 1
    place.delete(done.id, draft)  # gone already is fine


@pytest.mark.parametrize("slug", PROVIDERS)
def test_nothing_found_is_never_taken_for_proof(playground: Playground, slug: str) -> None:
    provider = PROVIDERS[slug]
    mode = provider.modes[0].slug if provider.modes else ""
    place = connected(playground, slug, mode)
    found = place.locate(draft_of(place, mode, provider.formats_of(mode)[0]), Progress())
    assert found in (Located.NOT_FOUND, Located.CANNOT_LOOK)


@pytest.mark.parametrize(("slug", "mode", "format"), every())
def test_a_post_whose_answer_got_lost_is_found_again(playground: Playground, slug: str, mode: str,
                                                     format: str) -> None:
    place = connected(playground, slug, mode)
    shown = next(one for one in place.provider.formats_of(mode) if one.slug == format)
    draft, progress, sent_at = draft_of(place, mode, shown), Progress(), place.clock.now
    place.prepare(draft, progress)
    done = place.provider.publish(place.app, place.account.token, draft, progress)
    found = place.locate(draft, progress, sent_at)
    if found is not Located.CANNOT_LOOK:
        assert isinstance(found, Published | Sent) and (not done.id or found.id in ("", done.id)), found

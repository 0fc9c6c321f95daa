"""Every error that a platform can give is explained, with the right cause, the right one to act, and a next step.

What the platforms say is written down here once more, by hand, as the vendors document it: so a row that moved, or one
that blames somebody else, is found.
"""

import re

import pytest

from socialconsole.errors import ADMIN, AUTHOR, CONSOLE, DEVELOPER, TENANT
from socialconsole.explanations import WHO, Explanation, all_of, explain, from_page, safe, silent
from socialconsole.providers import CONNECTABLE
from socialconsole.providers.base import App
from socialconsole.providers.causes import EVERYWHERE, NOBODY_KNOWS, PLATFORM, REDIRECT
from socialconsole.providers.instagram_refusals import DIRECT_REFUSALS
from socialconsole.providers.refusals import (
    DELETE,
    PREPARE,
    PROFILES,
    PUBLISH,
    READ,
    RENEW,
    TOKEN,
    Answer,
    Parsed,
    Refusal,
)

PAGE = "consent"
# platform, step, code as the console keeps it, the platform's words or ours, a word of the cause, who
TABLE = (
    # Facebook
    ("facebook", PAGE, "", "URL Blocked: This redirect failed", "callback", ADMIN),
    ("facebook", PAGE, "", "Feature unavailable: Facebook Login is currently unavailable", "team", ADMIN),
    ("facebook", PAGE, "", "Invalid App ID", "app id", ADMIN),
    ("facebook", REDIRECT, "access_denied", "You did not allow access at Facebook. Nothing was connected.", "No",
     TENANT),
    ("facebook", REDIRECT, "100", "The Meta app does not have a permission we ask for: pages_manage_posts.",
     "permission", ADMIN),
    ("facebook", PROFILES, "no_page", "Facebook gave us no Page.", "no Page", TENANT),
    ("facebook", TOKEN, "101", "Meta does not know this app id", "app id", ADMIN),
    ("facebook", TOKEN, "1", "Error validating client secret.", "secret", ADMIN),
    ("facebook", TOKEN, "100", "Matching code was not found or was already used", "code", TENANT),
    ("facebook", RENEW, "190/458", "The app was removed in your settings. Connect again.", "removed", TENANT),
    ("facebook", RENEW, "190/460", "", "password", TENANT),
    ("facebook", RENEW, "190/463", "", "time", TENANT),
    ("facebook", PUBLISH, "190/459", "", "check the account", TENANT),
    ("facebook", PUBLISH, "190/492", "", "role", TENANT),
    ("facebook", PUBLISH, "200", "(#200) Unpublished posts must be posted to a page as the page itself", "person",
     TENANT),
    ("facebook", PUBLISH, "200", "Requires pages_manage_posts with Advanced Access", "Advanced Access", ADMIN),
    ("facebook", PUBLISH, "10", "This needs pages_manage_posts, which was not granted.", "permission", TENANT),
    ("facebook", PUBLISH, "368/1390008", "", "faster", CONSOLE),
    ("facebook", PUBLISH, "368/4854002", "", "who stands behind", TENANT),
    ("facebook", PUBLISH, "368/1404082", "", "same post", AUTHOR),
    ("facebook", PUBLISH, "368/1346003", "", "Community Standards", AUTHOR),
    ("facebook", PUBLISH, "200/1404078", "", "Authorization", TENANT),
    ("facebook", PREPARE, "324/1366046", "", "photo", AUTHOR),
    ("facebook", PUBLISH, "100/1609005", "", "link", AUTHOR),
    ("facebook", PREPARE, "389", "", "fetch", ADMIN),
    ("facebook", PUBLISH, "4", "", "All profiles", CONSOLE),
    ("facebook", PUBLISH, "32", "", "account", CONSOLE),
    ("facebook", PREPARE, "2", "", "passing fault", PLATFORM),
    ("facebook", PUBLISH, "2", "Facebook did not confirm the post. We look whether it is there.", "after the post",
     CONSOLE),
    # Instagram
    ("instagram", PAGE, "", "Sorry, this page isn't available.", "app id", ADMIN),
    ("instagram", PAGE, "", "Invalid platform app", "Meta app", ADMIN),
    ("instagram", PAGE, "", "Invalid redirect_uri", "callback", ADMIN),
    ("instagram", PAGE, "", "Insufficient Developer Role", "tester", ADMIN),
    ("instagram", TOKEN, "400", "Error validating verification code. Please make sure your redirect_uri is identical",
     "refused the exchange", ADMIN),
    ("instagram", PROFILES, "no_account", "", "professional", TENANT),
    ("instagram", RENEW, "190", "The session has been invalidated", "ended", TENANT),
    ("instagram", PREPARE, "-2/2207003", "", "too long to fetch", CONSOLE),
    ("instagram", PUBLISH, "4/2207051", "", "spam", AUTHOR),
    ("instagram", PUBLISH, "9/2207042", "", "24 hours", CONSOLE),
    ("instagram", PUBLISH, "25/2207050", "", "restricted", TENANT),
    ("instagram", PREPARE, "9004/2207052", "", "media address", ADMIN),
    ("instagram", PREPARE, "36003/2207009", "", "8 MB", AUTHOR),
    ("instagram", PREPARE, "36004/2207010", "", "caption", AUTHOR),
    ("instagram", DELETE, "100/2207085", "", "delete", TENANT),
    # Threads
    ("threads", PAGE, "1349168", "", "callback", ADMIN),
    ("threads", PAGE, "4476002", "No app ID was provided in the request.", "Threads app", ADMIN),
    ("threads", PAGE, "1", "An unknown error occurred", "Tester", ADMIN),
    ("threads", PUBLISH, "4/2207051", "We restrict certain activity", "spam", AUTHOR),
    ("threads", PUBLISH, "24/4279009", "", "preparing", CONSOLE),
    ("threads", PUBLISH, "4279013", "", "restricted", TENANT),
    ("threads", PUBLISH, "200", "API access blocked.", "blocked", ADMIN),
    ("threads", PREPARE, "INVALID_FRAME_RATE", "", "video", AUTHOR),
    # LinkedIn
    ("linkedin", PAGE, "", "Bummer, something went wrong.", "does not say", ADMIN),
    ("linkedin", PAGE, "", "The redirect_uri does not match the registered value", "callback", ADMIN),
    ("linkedin", REDIRECT, "unauthorized_scope_error", "", "scope", ADMIN),
    ("linkedin", REDIRECT, "user_cancelled_login", "", "No", TENANT),
    ("linkedin", TOKEN, "invalid_client", "", "client ID", ADMIN),
    ("linkedin", TOKEN, "invalid_request", "authorization code not found", "too old", TENANT),
    ("linkedin", RENEW, "65601", "", "taken back", TENANT),
    ("linkedin", PROFILES, "65601", "", "set a new connection up", CONSOLE),
    ("linkedin", PUBLISH, "EXPIRED_ACCESS_TOKEN", "", "60 days", TENANT),
    ("linkedin", PUBLISH, "ACCESS_DENIED", "Your role on this Page no longer allows posting.", "role", TENANT),
    ("linkedin", PUBLISH, "DUPLICATE_POST", "", "similar", AUTHOR),
    ("linkedin", PUBLISH, "HTTP 426", "", "version", ADMIN),
    ("linkedin", PUBLISH, "EMPTY_ACCESS_TOKEN", "", "cannot read", DEVELOPER),
    # X
    ("twitter", PAGE, "", "Something went wrong. You weren't able to give access to the App.", "callback", ADMIN),
    ("twitter", TOKEN, "invalid_request", "Value passed for the authorization code was invalid.", "30 seconds",
     TENANT),
    ("twitter", RENEW, "invalid_request", "Value passed for the token was invalid.", "ended", TENANT),
    ("twitter", TOKEN, "unauthorized_client", "", "Secret", ADMIN),
    ("twitter", TOKEN, "invalid_client", "", "Client ID", ADMIN),
    ("twitter", PUBLISH, "usage-capped", "", "credits", ADMIN),
    ("twitter", PUBLISH, "client-not-enrolled", "", "package", ADMIN),
    ("twitter", PUBLISH, "forbidden", "Your client app is not configured with the oauth1 app permissions", "read",
     ADMIN),
    ("twitter", PUBLISH, "user-suspended", "", "locked", TENANT),
    ("twitter", PUBLISH, "forbidden", "You are not allowed to create a Tweet with duplicate content.", "same text",
     AUTHOR),
    ("twitter", PREPARE, "forbidden", "Pictures and videos need `media.write`. Reconnect grants it.", "media.write",
     TENANT),
    # TikTok
    ("tiktok", PAGE, "", "Something went wrong, we couldn't log in with TikTok: client_key", "Client key", ADMIN),
    ("tiktok", PAGE, "", "redirect_uri", "callback", ADMIN),
    ("tiktok", REDIRECT, "non_sandbox_target", "", "Target", ADMIN),
    ("tiktok", TOKEN, "invalid_grant", "", "too old", TENANT),
    ("tiktok", RENEW, "invalid_grant", "", "ended", TENANT),
    ("tiktok", TOKEN, "invalid_client", "", "Client key", ADMIN),
    ("tiktok", PUBLISH, "scope_not_authorized", "", "ticked", TENANT),
    ("tiktok", PUBLISH, "scope_permission_missed", "", "lacks", ADMIN),
    ("tiktok", PREPARE, "unaudited_client_can_only_post_to_private_accounts", "", "audited", TENANT),
    ("tiktok", PREPARE, "reached_active_user_cap", "", "not help", ADMIN),
    ("tiktok", PREPARE, "url_ownership_unverified", "", "verified", ADMIN),
    ("tiktok", PUBLISH, "spam_risk", "", "spam", AUTHOR),
    ("tiktok", PUBLISH, "spam_risk_user_banned_from_posting", "", "not let", TENANT),
    ("tiktok", PUBLISH, "rate_limit_exceeded", "", "pause", CONSOLE),
    # YouTube
    ("youtube", PAGE, "", "Error 400: redirect_uri_mismatch", "callback", ADMIN),
    ("youtube", PAGE, "org_internal", "", "internal", ADMIN),
    ("youtube", PAGE, "", "Error 403: access_denied. Access blocked", "Testing", ADMIN),
    ("youtube", REDIRECT, "access_denied", "", "No", TENANT),
    ("youtube", TOKEN, "invalid_client", "", "client", ADMIN),
    ("youtube", TOKEN, "invalid_grant", "", "too old", TENANT),
    ("youtube", RENEW, "invalid_grant", "", "ended", TENANT),
    ("youtube", RENEW, "invalid_grant/invalid_rapt", "", "ended", TENANT),
    ("youtube", RENEW, "invalid_grant", "The Google app is in Testing, which ends permissions after 7 days.", "seven",
     ADMIN),
    ("youtube", PROFILES, "youtubeSignupRequired", "", "channel", TENANT),
    ("youtube", PUBLISH, "insufficientPermissions", "", "ticked", TENANT),
    ("youtube", READ, "accessNotConfigured", "", "not enabled", ADMIN),
    ("youtube", PUBLISH, "quotaExceeded", "", "used up", CONSOLE),
    ("youtube", PUBLISH, "uploadLimitExceeded", "", "limit", CONSOLE),
    ("youtube", PUBLISH, "invalidTitle", "", "choices", AUTHOR),
    # every platform
    ("twitter", PUBLISH, "HTTP 503", "", "fault of its own", PLATFORM),
    ("twitter", PUBLISH, "no_answer", "X did not confirm the post. We look whether it is there.", "lost", CONSOLE),
    ("tiktok", READ, "unreachable", "TikTok cannot be reached. We try again; the account stays connected.", "reached",
     CONSOLE),
    ("linkedin", PUBLISH, "HTTP 429", "", "pause", CONSOLE),
    ("youtube", "", "breaker", "", "many profiles", PLATFORM),
)


def name_of(row: object) -> str:
    return "-".join(str(part) for part in row[:3]) if isinstance(row, tuple) else ""


def test_the_table_is_long_enough_and_over_all_platforms() -> None:
    assert len({row[:4] for row in TABLE}) == len(TABLE) >= 60
    assert {row[0] for row in TABLE} == set(CONNECTABLE)


@pytest.mark.parametrize("row", TABLE, ids=name_of)
def test_a_code_has_its_cause_and_its_actor(row: tuple[str, str, str, str, str, str]) -> None:
    platform, step, code, raw, word, who = row
    told = explain(platform, step, code, raw)
    assert told.is_known and told.who == who, told
    assert word in told.cause + told.next_step, told
    if who == ADMIN:
        assert told.page.startswith("https://")


@pytest.mark.parametrize("platform", CONNECTABLE)
def test_every_sentence_is_whole(platform: str) -> None:
    provider = CONNECTABLE[platform]
    for row in (*provider.causes, *EVERYWHERE):
        for sentence in (row.cause, row.next_step):
            assert sentence[0].isupper() or sentence.startswith("{name}"), sentence
            assert sentence.endswith(".") and "!" not in sentence and "  " not in sentence, sentence
            assert "{" not in sentence.replace("{name}", ""), sentence
        assert row.who in WHO and row.who != NOBODY_KNOWS
        assert not row.page or row.page.startswith("https://")
        assert row.code or row.text
        assert all(part == part.lower() for part in row.text), row.text
        assert not (row.shows and row.who not in (ADMIN, TENANT))


# What each kind of error may be explained with, besides the one that the error itself names.
ALSO = {CONSOLE: {PLATFORM}, AUTHOR: set(), TENANT: set(), ADMIN: set(), DEVELOPER: set()}
# Where the error word of the code blames the console because nobody is asked at that step, and a person can act.
PERSON_ACTS = ("AttemptFailed", "AlreadyPublished", "TryLater", "Gone")


def rows_of_refusals() -> list[tuple[str, int, Refusal]]:
    found = [(slug, place, row) for slug, provider in CONNECTABLE.items()
             for place, row in enumerate(provider.refusals)]
    return found + [("instagram", 1000 + place, row) for place, row in enumerate(DIRECT_REFUSALS)]


@pytest.mark.parametrize(("platform", "place", "row"), rows_of_refusals(),
                         ids=lambda part: str(part) if isinstance(part, str | int) else "")
def test_every_refusal_that_the_code_knows_is_explained_alike(platform: str, place: int, row: Refusal) -> None:
    """The tables that decide what happens and those that explain it cannot drift apart."""
    provider = CONNECTABLE[platform]
    steps = row.steps or (PUBLISH,)
    code = (row.code or row.either or ("",))[0]
    text = row.text[0] if row.text else ""
    parsed = Parsed((code,) if code else (), row.subcode[0] if row.subcode else "", f"About the author: {text}")
    answer = Answer(provider.name, steps[0], row.status[0] if row.status else 400, parsed,
                    app=App("", "", scopes="basic.scope"), needs=("basic.scope",))
    error = row.error(answer)
    told = explain(platform, steps[0], error.code, error.message)
    kind = type(error).__name__
    if kind == "Gone" or "deleted there" in error.message or "gone already" in error.message:
        return  # a success, never shown
    assert told.is_known, (error.code, error.message)
    if kind in PERSON_ACTS:
        return
    assert told.who == error.who or told.who in ALSO.get(error.who, ()), (error.code, error.message, error.who, told)


@pytest.mark.parametrize("platform", CONNECTABLE)
def test_what_nobody_knows_blames_nobody_and_shows_the_code(platform: str) -> None:
    told = explain(platform, PUBLISH, "brand_new_code/77", "Something that no row has ever seen")
    assert not told.is_known and told.who == NOBODY_KNOWS and not told.page
    assert told.code == "brand_new_code/77" and "cannot tell" in told.cause


@pytest.mark.parametrize("platform", CONNECTABLE)
def test_no_secret_comes_through(platform: str) -> None:
    canary = "EAABsbCS1iHgBAKcanary0123456789secretZZ"
    for raw in (canary, f"Malformed access token {canary}", "<script>alert(1)</script>"):
        for code in (canary, f"190/{canary}", f"<b>{canary}</b>"):
            told = explain(platform, PUBLISH, code, raw)
            shown = " ".join((told.cause, told.next_step, told.code, told.page, told.who_words))
            assert "canary" not in shown and "<" not in shown
    assert safe("190/460") == "190/460" and safe("a" * 500) == "a" * 80


@pytest.mark.parametrize("platform", CONNECTABLE)
def test_pages_that_never_come_back_are_known_by_what_they_show(platform: str) -> None:
    found = silent(platform)
    assert len(found) >= 3
    for shows, told in found:
        assert shows and told.who == ADMIN and told.page.startswith("https://")
    said, told = found[0]
    again: Explanation = from_page(platform, said)
    assert again.is_known and again.who == told.who
    assert not from_page(platform, "We are sorry about that").is_known


@pytest.mark.parametrize("platform", CONNECTABLE)
def test_the_list_for_people_tells_each_cause_once(platform: str) -> None:
    found = all_of(platform)
    assert len({(told.cause, told.next_step, told.who) for _, told in found}) == len(found) > 15
    assert all(not re.search(r"\*|\{", codes) for codes, _ in found)

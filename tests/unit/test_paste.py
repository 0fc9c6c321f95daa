"""The paste doctor: what a pasted value is taken for, on all seven platforms, and what it never says."""

import json

import pytest

from socialconsole import paste
from socialconsole.paste import BAD, FINE, INFO, WARN, Known, Other
from socialconsole.providers import PROVIDERS
from socialconsole.providers.paste_facts import CLIENT_ID, CLIENT_SECRET

HEX = "0123456789abcdef0123456789abcdef"
X_ID = "WE5QRnNvRUd4R2pSWTdKQUhyeFk6MTpjaQ"  # base64url of a text that ends in `:1:ci`
GOOD = {
    "facebook": ("1234567890123456", HEX), "instagram": ("1234567890123456", HEX), "threads": ("1234567890123456", HEX),
    "linkedin": ("78k2h0qv9xw1me", "WPL_AP1.AbCdEfGh12347f3a"), "twitter": (X_ID, "aB3-" * 12 + "xY"),
    "tiktok": ("awabcdefgh123456", "aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW"),
    "youtube": ("123456789012-abcdefghijklmnopqrstuvwxyz012345.apps.googleusercontent.com",
                "GOCSPX-AbCdEfGhIjKlMnOpQrStUvWxYz01"),
}
CALLBACK = "https://console.example.com/api/connect/{slug}/callback"
every = pytest.mark.parametrize("slug", PROVIDERS)


def examined(slug, *, mode="", known=None, **values):
    return paste.examine(PROVIDERS[slug], mode, values, known or Known(CALLBACK.format(slug=slug)))


def tones(found, name):
    return [one.tone for one in found.of(name)]


def said(found, name):
    return " ".join(one.sentence for one in found.of(name))


@every
def test_a_good_pair_is_called_usual_and_nothing_else(slug):
    client_id, secret = GOOD[slug]
    found = examined(slug, client_id=client_id, client_secret=secret)
    assert tones(found, CLIENT_ID) == tones(found, CLIENT_SECRET) == [FINE], found
    assert not found.warnings and not found.is_swapped
    assert paste.errors(PROVIDERS[slug], client_id, secret, CALLBACK.format(slug=slug)) == {}


@every
def test_swapped_is_certain_and_offers_the_swap(slug):
    client_id, secret = GOOD[slug]
    found = examined(slug, client_id=secret, client_secret=client_id)
    assert found.is_swapped
    assert tones(found, CLIENT_ID)[0] == tones(found, CLIENT_SECRET)[0] == BAD
    assert "swapped" in said(found, CLIENT_ID)
    assert set(paste.errors(PROVIDERS[slug], secret, client_id)) == {CLIENT_ID, CLIENT_SECRET}


@every
def test_no_sentence_repeats_what_was_pasted(slug):
    client_id, secret = GOOD[slug]
    for values in ({CLIENT_ID: secret, CLIENT_SECRET: client_id}, {CLIENT_ID: client_id, CLIENT_SECRET: secret + "x"},
                   {CLIENT_ID: f"id={client_id} secret={secret}"}, {CLIENT_SECRET: f"APP_SECRET={secret}"},
                   {CLIENT_ID: "ya29.canary-canary-canary"}, {CLIENT_SECRET: "ya29.canary-canary-canary"}):
        found = examined(slug, **values)
        words = " ".join(said(found, name) for name in found.by_field)
        assert words and secret not in words and "canary" not in words


@every
@pytest.mark.parametrize("value", ["••••••••••••", "****************", "abcd…wxyz", "••••7f3a", "xxxxxxxxxxxx"])
def test_a_masked_value_is_refused_in_both_fields(slug, value):
    client_id, secret = GOOD[slug]
    for name, pair in ((CLIENT_ID, (value, secret)), (CLIENT_SECRET, (client_id, value))):
        errors = paste.errors(PROVIDERS[slug], *pair)
        assert "in place of" in errors[name], errors


@every
@pytest.mark.parametrize("value", ["YOUR_CLIENT_ID", "<your app id here>", "CHANGE_ME", "paste-your-secret-here"])
def test_a_placeholder_is_refused(slug, value):
    assert "placeholder" in paste.errors(PROVIDERS[slug], value, "")[CLIENT_ID]


@every
def test_the_callback_an_address_and_a_mail_address_are_no_ids(slug):
    callback = CALLBACK.format(slug=slug)
    provider = PROVIDERS[slug]
    assert "callback" in paste.errors(provider, callback, "", callback)[CLIENT_ID]
    assert "callback" in paste.errors(provider, GOOD[slug][0], callback + "/", callback)[CLIENT_SECRET]
    assert "address" in paste.errors(provider, "https://developers.example.com/apps/", "", callback)[CLIENT_ID]
    assert "mail" in paste.errors(provider, "mara@example.com", "", callback)[CLIENT_ID]


@every
def test_equal_values_are_refused(slug):
    assert paste.errors(PROVIDERS[slug], GOOD[slug][0], GOOD[slug][0])


# ---------------------------------------------------------------- what it is instead


@pytest.mark.parametrize(("slug", "name", "value", "tone", "words"), [
    ("facebook", CLIENT_SECRET, f"1234567890123456|{HEX}", BAD, "app access token"),
    ("facebook", CLIENT_ID, "EAAGm0PX4ZCpsBAKZCexampleexample", BAD, "access token of Meta"),
    ("facebook", CLIENT_SECRET, "1234567890123", BAD, "looks like the App ID"),
    ("facebook", CLIENT_ID, "1234567890", WARN, "15 to 17 digits"),
    ("instagram", CLIENT_SECRET, "IGAAexampleexampleexample", BAD, "Instagram"),
    ("threads", CLIENT_SECRET, "THAAexampleexampleexample", BAD, "Threads"),
    ("linkedin", CLIENT_ID, "212345678", WARN, "address of the app's page"),
    ("linkedin", CLIENT_SECRET, "AQX" + "a" * 80, BAD, "access token of LinkedIn"),
    ("linkedin", CLIENT_ID, "urn:li:developerApplication:1", BAD, "URN"),
    ("linkedin", CLIENT_SECRET, "odd", WARN, "looks unusual"),
    ("twitter", CLIENT_ID, "aB3dE5fG7hI9jK1lM3nO5pQ7r", BAD, "API Key"),
    ("twitter", CLIENT_SECRET, "aB3dE5fG7hI9jK1lM3nO5pQ7r", WARN, "API Key"),
    ("twitter", CLIENT_SECRET, "1234567890-" + "aB3d" * 10, BAD, "OAuth 1.0a"),
    ("twitter", CLIENT_SECRET, "A" * 22 + "aB3%2Fd" * 12, BAD, "Bearer Token"),
    ("twitter", CLIENT_ID, "@acme", BAD, "name of an account"),
    ("twitter", CLIENT_ID, "28212345", WARN, "number of the app"),
    ("tiktok", CLIENT_ID, "7123456789012345678", BAD, "App ID"),
    ("tiktok", CLIENT_SECRET, "act.example12345!4567", BAD, "access token of TikTok"),
    ("tiktok", CLIENT_SECRET, "rft.example12345", BAD, "refresh token"),
    ("youtube", CLIENT_SECRET, "AIzaSyA-1234567890abcdefghijklmnopqrst", BAD, "API key"),
    ("youtube", CLIENT_SECRET, "ya29.a0AfexampleExample", BAD, "access token of Google"),
    ("youtube", CLIENT_SECRET, "1//0gExampleExampleExample_xyz", BAD, "refresh token"),
    ("youtube", CLIENT_ID, "robot@my-project.iam.gserviceaccount.com", BAD, "service account"),
    ("youtube", CLIENT_ID, "@acme", BAD, "name of a channel"),
    # another platform's
    ("tiktok", CLIENT_SECRET, "GOCSPX-AbCdEfGhIjKlMnOpQrStUvWxYz01", BAD, "Google"),
    ("twitter", CLIENT_ID, GOOD["youtube"][0], BAD, "Google"),
    ("linkedin", CLIENT_SECRET, "EAAGm0PX4ZCpsBAKZCexampleexample", BAD, "Meta"),
    ("twitter", CLIENT_SECRET, "WPL_AP1.AbCdEfGh12347f3a", WARN, "LinkedIn"),
    ("linkedin", CLIENT_SECRET, "eyJhbGciOi.eyJzdWIi.abc", BAD, "access token"),
])
def test_what_it_is_and_what_to_do(slug, name, value, tone, words):
    other = CLIENT_SECRET if name == CLIENT_ID else CLIENT_ID
    found = examined(slug, **{name: value, other: "" if name == CLIENT_ID else GOOD[slug][0]})
    assert tones(found, name) == [tone], found.of(name)
    assert words in said(found, name) and said(found, name).endswith(".")


@every
def test_what_merely_looks_odd_is_never_refused(slug):
    """Portals change their formats."""
    client_id, secret = GOOD[slug]
    odd = {"facebook": ("1234567890", HEX.upper()), "instagram": ("1234567890", HEX.upper()),
           "threads": ("1234567890", HEX.upper()), "linkedin": ("new-kind-of-id", "new.kind-of_secret"),
           "twitter": ("new-kind-of-client-id-0123", "new_kind_of_secret"), "tiktok": ("new-kind-of-key", "new-kind"),
           "youtube": (client_id, "new-kind-of_secret")}[slug]
    assert paste.errors(PROVIDERS[slug], *odd) == {}
    assert examined(slug, client_id=odd[0], client_secret=odd[1]).warnings


# ---------------------------------------------------------------- taking the value out


@pytest.mark.parametrize(("name", "typed", "value"), [
    (CLIENT_ID, "  \u200b“78k2h0qv9xw1me”\r\n", "78k2h0qv9xw1me"),
    (CLIENT_ID, "78k2\u200bh0qv\u00ad9xw1me", "78k2h0qv9xw1me"),
    (CLIENT_ID, "LINKEDIN_CLIENT_ID=78k2h0qv9xw1me", "78k2h0qv9xw1me"),
    (CLIENT_ID, 'export LINKEDIN_CLIENT_ID="78k2h0qv9xw1me"', "78k2h0qv9xw1me"),
    (CLIENT_ID, "CLIENT_ID=78k2h0qv9xw1me CLIENT_SECRET=WPL_AP1.AbCdEfGh12347f3a", "78k2h0qv9xw1me"),
    (CLIENT_SECRET, "CLIENT_ID=78k2h0qv9xw1me CLIENT_SECRET=WPL_AP1.AbCdEfGh12347f3a", "WPL_AP1.AbCdEfGh12347f3a"),
    (CLIENT_ID, "App ID: 1234567890123456", "1234567890123456"),
    (CLIENT_ID, '"client_id": "1234567890123456",', "1234567890123456"),
    (CLIENT_SECRET, "App secret: 0123456789abcdef0123456789abcdef", HEX),
    (CLIENT_ID, "https://www.facebook.com/dialog/oauth?client_id=1234567890123456&scope=email", "1234567890123456"),
    (CLIENT_ID, "https://www.tiktok.com/v2/auth/authorize/?client_key=awabcdefgh123456", "awabcdefgh123456"),
    (CLIENT_ID, X_ID + "==", X_ID + "=="),
    (CLIENT_SECRET, "abc=def=ghi", "abc=def=ghi"),
    (CLIENT_ID, "two words", "two words"),
    (CLIENT_ID, "", ""),
])
def test_the_value_alone_is_taken(name, typed, value):
    assert paste.tidy(typed, name).value == value


def test_a_downloaded_file_gives_both_values_and_tells_the_wrong_kind():
    client_id, secret = GOOD["youtube"]
    good = json.dumps({"web": {"client_id": client_id, "project_id": "p", "client_secret": secret}})
    assert paste.tidy(good, CLIENT_ID).value == client_id and paste.tidy(good, CLIENT_SECRET).value == secret
    desktop = good.replace('"web"', '"installed"')
    found = examined("youtube", client_id=desktop, client_secret=desktop)
    assert "desktop" in said(found, CLIENT_ID) and WARN in tones(found, CLIENT_ID)
    assert paste.tidy("[" * 3000, CLIENT_ID).value  # nothing breaks on nonsense


# ---------------------------------------------------------------- beside what is stored


def test_the_last_four_of_the_stored_secret_give_it_away():
    known = Known(client_id="78k2h0qv9xw1me", last4="7f3a")
    assert tones(examined("linkedin", known=known, client_id="99abcdefgh7f3a"), CLIENT_ID) == [WARN]
    found = examined("linkedin", known=known, client_id="78k2h0qv9xw1me", client_secret=GOOD["linkedin"][1])
    assert tones(found, CLIENT_SECRET) == [FINE, INFO] and "probably the same" in said(found, CLIENT_SECRET)


def test_an_id_of_another_app_here():
    same = Known(others=(Other("facebook", "Facebook", "1234567890123456"),))
    threads = examined("threads", known=same, client_id="1234567890123456")
    assert tones(threads, CLIENT_ID) == [WARN] and "Threads app ID" in said(threads, CLIENT_ID)
    direct = examined("instagram", mode="instagram_login", known=same, client_id="1234567890123456")
    assert tones(direct, CLIENT_ID) == [WARN] and "Instagram app ID" in said(direct, CLIENT_ID)
    page = examined("instagram", mode="facebook_login", known=same, client_id="1234567890123456")
    assert tones(page, CLIENT_ID) == [FINE, INFO] and "both" in said(page, CLIENT_ID)


# ---------------------------------------------------------------- the other fields


@pytest.mark.parametrize(("slug", "field", "value", "words"), [
    ("tiktok", "option_app_state", "live", "sandbox, unaudited or audited"),
    ("tiktok", "option_pkce", "on", "off or s256_hex"),
    ("youtube", "option_consent_status", "published", "testing or production"),
    ("facebook", "option_config_id", "my configuration", "Configurations"),
    ("threads", "callback_override", "https://localhost/api/connect/threads/callback", "this very machine"),
    ("threads", "callback_override", "http://console.example.com/cb", "only https"),
    ("twitter", "callback_override", "http://localhost:5000/cb", "127.0.0.1"),
    ("youtube", "callback_override", "https://console.lan/cb", "public suffix"),
    ("youtube", "callback_override", "https://10.0.0.7/cb", "public suffix"),
    ("facebook", "callback_override", "http://127.0.0.1/cb", "localhost"),
    ("linkedin", "scope_override", "openid,profile", "blanks"),
    ("tiktok", "scope_override", "user.info.basic video.publish", "commas"),
    ("twitter", "scope_override", "tweet.raed tweet.write", "tweet.read"),
    ("twitter", "scope_override", "tweet.write tweet.write", "twice"),
    ("twitter", "scope_override", '["tweet.write"]', "quotes"),
])
def test_remarks_on_the_other_fields(slug, field, value, words):
    found = examined(slug, **{field: value})
    assert WARN in tones(found, field) and words in said(found, field), found


@pytest.mark.parametrize(("slug", "field", "value"), [
    ("tiktok", "option_app_state", "audited"), ("facebook", "option_config_id", "1234567890123456"),
    ("twitter", "callback_override", "http://127.0.0.1:5000/cb"),
    ("youtube", "callback_override", "http://localhost:5000/cb"),
    ("facebook", "callback_override", "http://localhost:5000/cb"),
    ("linkedin", "scope_override", "openid profile email w_member_social"),
    ("threads", "callback_override", "https://console.example.com/api/connect/threads/callback"),
])
def test_what_is_right_gets_no_remark(slug, field, value):
    assert examined(slug, **{field: value}).of(field) == ()


# ---------------------------------------------------------------- what does not go together


def clashes(slug, mode="", features=(), scopes=None, options=None, client_id=""):
    provider = PROVIDERS[slug]
    asked = scopes.split() if scopes is not None else [one.name for one in provider.default_scopes(mode, features)]
    return [one for one in provider.paste.clashes if one.holds(mode, features, asked, options or {}, client_id)]


@pytest.mark.parametrize("slug", PROVIDERS)
def test_the_defaults_and_every_feature_are_in_no_conflict(slug):
    provider = PROVIDERS[slug]
    for mode in [one.slug for one in provider.modes] or [""]:
        for features in ((), tuple(one.slug for one in provider.features_of(mode))):
            assert clashes(slug, mode, features) == []


@pytest.mark.parametrize(("slug", "settings", "words"), [
    ("linkedin", {"mode": "member", "scopes": "openid profile w_organization_social"}, "two kinds of LinkedIn app"),
    ("linkedin", {"mode": "member", "scopes": "w_member_social w_organization_social"}, "app that posts as a person"),
    ("linkedin", {"mode": "organization", "scopes": "openid profile"}, "app that posts as a Page"),
    ("linkedin", {"mode": "member", "scopes": "r_liteprofile w_member_social"}, "old sign-in"),
    ("instagram", {"mode": "facebook_login", "scopes": "instagram_basic instagram_business_basic"}, "mixed"),
    ("instagram", {"mode": "instagram_login", "scopes": "instagram_basic"}, "through a Facebook Page"),
    ("instagram", {"mode": "facebook_login", "scopes": "instagram_business_basic"}, "directly at Instagram"),
    ("instagram", {"mode": "instagram_login", "scopes": "business_basic"}, "old names"),
    ("facebook", {"scopes": "pages_show_list threads_basic"}, "Threads"),
    ("facebook", {"scopes": "pages_manage_engagement"}, "without pages_read_user_content"),
    ("facebook", {"options": {"config_id": "1234567890123"}}, "not sent"),
    ("threads", {"scopes": "threads_basic pages_show_list"}, "another product"),
    ("threads", {"scopes": "threads_content_publish"}, "threads_basic is missing"),
    ("twitter", {"scopes": "tweet.read tweet.write users.read"}, "no renewal"),
    ("twitter", {"scopes": "tweet.write offline.access"}, "nobody can connect"),
    ("twitter", {"scopes": "tweet.read users.read offline.access read-write"}, "no scopes"),
    ("tiktok", {"client_id": "sbawabcdefgh123456", "options": {"app_state": "audited"}}, "says otherwise"),
    ("tiktok", {"client_id": "awabcdefgh123456", "options": {"app_state": "sandbox"}}, "none of the sandbox"),
    ("tiktok", {"client_id": "sbawabcdefgh123456"}, "TikTok's sandbox"),
    ("tiktok", {"options": {"app_state": "unaudited"}}, "private until the audit"),
    ("tiktok", {"scopes": "user.info.basic"}, "both missing"),
    ("youtube", {"options": {"consent_status": "testing"}}, "seven days"),
    ("youtube", {"options": {"consent_status": "production"}}, "100 people"),
    ("youtube", {"scopes": "youtube.upload"}, "in short"),
])
def test_conflicts_are_named_with_why_and_what_to_do(slug, settings, words):
    found = clashes(slug, **settings)
    assert any(words in one.what for one in found), [one.what for one in found]
    assert all(text.endswith(".") for one in found for text in (one.what, one.why, one.todo))


@every
def test_every_scope_we_know_has_an_answer_about_its_approval(slug):
    provider = PROVIDERS[slug]
    assert all(isinstance(provider.paste.approval(mode, name), str) for name in paste.known_scopes(provider)
               for mode in [one.slug for one in provider.modes] or [""])
    assert not any(one.wants.endswith(".") for one in provider.paste.approvals)

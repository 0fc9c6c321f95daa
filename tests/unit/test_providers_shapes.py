"""The paste doctor: sure slips are named, everything else is let through."""

import base64

import pytest

from socialconsole.providers import PROVIDERS, provider
from socialconsole.providers.base import clean
from socialconsole.sandbox.plays import PLAYS

X_ID = base64.urlsafe_b64encode(b"cLiEnT12345678901234:1:ci").decode().rstrip("=")
HEX, NUMBER = "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "123456789012345"
GOOGLE = "1234-ab_c.apps.googleusercontent.com"
GOOD = {
    "facebook": (NUMBER, HEX), "instagram": (NUMBER, HEX), "threads": (NUMBER, HEX),
    "linkedin": ("77abcdefghijkl", "WPL_AP1.qW3eR5tY7uI9oP1a.Zx=="),
    "twitter": (X_ID, "sEcReT-5Tg7Yh9Uj1Ik3Ol5Pz7Xc9Vb1Nm3Qw5Er7Ty9Ui1Op"),
    "tiktok": ("aw1b2c3d4e5f6g7h", "Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8Qr9St0Uv"),
    "youtube": (GOOGLE, "GOCSPX-a1B2c3D4e5F6g7H8"),
}


def good(slug: str) -> tuple[str, str]:
    """A pair as the real portal gives it; where none was seen, as the sandbox does."""
    return GOOD.get(slug) or PLAYS[slug].credentials(PLAYS[slug].modes[0])


@pytest.mark.parametrize("slug", PROVIDERS)
def test_a_good_pair_is_good(slug: str) -> None:
    client_id, secret = good(slug)
    assert provider(slug).check_shape(client_id, secret) == {}
    assert provider(slug).check_shape(client_id, None) == {}


@pytest.mark.parametrize("slug", PROVIDERS)
def test_slips_that_every_platform_shares(slug: str) -> None:
    client_id, secret = good(slug)
    check = provider(slug).check_shape
    assert list(check(f"{client_id[:4]} {client_id[4:]}", secret)) == ["client_id"]
    assert list(check(client_id, f"{secret[:9]}\n{secret[9:]}")) == ["client_secret"]
    assert list(check(client_id, f"{secret}é")) == ["client_secret"]
    assert list(check(client_id, f'{secret[:9]}"{secret[9:]}')) == ["client_secret"]
    assert "client_secret" in check(client_id, client_id)
    assert "client_id" in check("a" * 600, secret)


@pytest.mark.parametrize("slug", ["facebook", "instagram", "threads", "linkedin", "twitter", "tiktok", "youtube"])
def test_a_swapped_pair_is_seen(slug: str) -> None:
    client_id, secret = GOOD[slug]
    found = provider(slug).check_shape(secret, client_id)
    assert found and all(sentence.startswith(("This looks like the", "An app")) for sentence in found.values())


def test_an_id_that_was_pasted_twice() -> None:
    assert provider("linkedin").check_shape("same-value_1", "same-value_1") == {
        "client_secret": "This is the same value as the Client ID. Paste the Primary Client Secret here."}


def test_an_api_key_is_no_client_id() -> None:
    found = provider("twitter").check_shape("aB3dE5fG7hI9jK1lM3nO5pQ7r", None)
    assert found == {"client_id": "This is an API Key. Paste the OAuth 2.0 Client ID from Keys and tokens here."}
    assert provider("twitter").check_shape("aB3dE5fG7hI9jK1lM3nO5pQ7rS", None) == {}


@pytest.mark.parametrize(("slug", "client_id", "secret", "field"), [
    ("facebook", "12345678901234a", HEX, "client_id"), ("facebook", NUMBER, HEX[:31], "client_secret"),
    ("threads", NUMBER, HEX + "g", "client_secret"), ("youtube", "1234-abc", GOOD["youtube"][1], "client_id"),
    ("tiktok", "7123456789012345678", GOOD["tiktok"][1], "client_id")])
def test_sure_slips_of_a_platform(slug: str, client_id: str, secret: str, field: str) -> None:
    assert list(provider(slug).check_shape(client_id, secret)) == [field]


@pytest.mark.parametrize(("slug", "client_id", "secret"), [
    ("linkedin", "86", "old16characters!"), ("tiktok", "sbaw1b2c3d4e5f6g7h", "short"),
    ("youtube", GOOGLE, "an-old-secret-without-prefix"), ("twitter", "unusual:but-possible", "x")])
def test_the_unusual_is_let_through(slug: str, client_id: str, secret: str) -> None:
    assert provider(slug).check_shape(client_id, secret) == {}


@pytest.mark.parametrize("around", [" {}\n", "\ufeff{}", "“{}”", "'{}'", "\u200b{}\u00a0", "\t`{}` ", "« {} »"])
def test_what_copying_drags_along_is_taken_off(around: str) -> None:
    assert clean(around.format("a-b_c.d")) == "a-b_c.d"


def test_cleaning_leaves_the_inside_alone() -> None:
    assert clean(" a b ") == "a b" and clean("") == ""

"""What a platform says is shown only after everything secret was taken out."""

import pytest

from socialconsole.providers.refusals import LONGEST_TEXT, Answer, Parsed, Refusal, later, read, redact, rejected


@pytest.mark.parametrize("secret", [
    "EAABsbCS1iHgBAKZCqZA9ZC", "AQXdSP_W41_UPs5ioT_t8HESyODB4FqbkJ8LrV", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx.sflKxw",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "123456789012345|0f1e2d3c4b5a6978"])
def test_tokens_are_taken_out(secret: str) -> None:
    told = redact(f"Malformed access token {secret}, sorry &quot;{secret}&quot;")
    assert secret not in told and told.startswith("Malformed access token …")


@pytest.mark.parametrize("text", [
    "Scope w_organization_social is not authorized", "urn:li:share:7000000000000000001", "pages_read_user_content",
    "instagram_business_manage_insights", "The post 900100_122001 is gone", "INVALID_ASPECT_RATIO",
    "Requested version 20250401 is not active", "partnerApiPostsExternal"])
def test_names_and_numbers_stay(text: str) -> None:
    assert redact(text) == text


def test_short_secrets_are_taken_out_when_we_know_them() -> None:
    assert redact("token AT-short and Pa55", ("AT-short", "Pa55")) == "token … and …"
    assert redact("a cat", ("a",)) == "a cat"


def test_queries_are_taken_out_of_addresses() -> None:
    assert redact("see https://x.example/a?access_token=abc#d now") == "see https://x.example/a now"


def test_entities_and_controls_are_resolved_and_the_length_is_kept() -> None:
    assert redact("&lt;b&gt; &amp;quot;x&amp;quot;\x00\n y") == '<b> "x" y'
    assert len(redact("ab " * 500)) == LONGEST_TEXT


def test_rows_match_on_parsed_fields_and_the_first_wins() -> None:
    rows = (Refusal(rejected("one"), code=("190",), subcode=("460",)), Refusal(later("two"), code=("190",)),
            Refusal(rejected("three"), either=("506",)))
    def answer(codes: tuple[str, ...], subcode: str = "", text: str = "") -> str:
        return read(rows, Answer("P", "publish", 400, Parsed(codes, subcode, text))).message
    assert answer(("190",), "460") == "one"
    assert answer(("190",), "1") == answer(("190",)) == "two"
    assert answer(("1",), "506") == "three"
    assert answer(("1",), text="post 190 of 460") == "P answered with something we do not know: 1."

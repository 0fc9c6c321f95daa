"""The facts that Configure and Connect render, of all seven platforms."""

import re
from datetime import date

import pytest

from socialconsole.providers import CONNECTABLE, PROVIDERS, connectable, provider
from socialconsole.providers.base import Guide, Provider, Renewal, Replay, Revoke, TokenSet

GOOGLE = "https://www.googleapis.com/auth/"

# What the console asks for when a form is first opened, as agreed for each platform and mode.
DEFAULTS = {
    ("facebook", ""): "public_profile email pages_show_list pages_read_engagement pages_manage_posts",
    ("instagram", "facebook_login"): "instagram_basic instagram_manage_insights instagram_content_publish "
                                     "pages_show_list pages_read_engagement",
    ("instagram", "instagram_login"): "instagram_business_basic instagram_business_content_publish",
    ("linkedin", "member"): "openid profile email w_member_social",
    ("linkedin", "organization"): "r_basicprofile rw_organization_admin w_organization_social r_organization_social",
    ("twitter", ""): "tweet.read tweet.write users.read offline.access",
    ("tiktok", ""): "user.info.basic user.info.profile video.publish",
    ("threads", ""): "threads_basic threads_content_publish threads_delete",
    ("youtube", ""): f"{GOOGLE}youtube.upload {GOOGLE}youtube.readonly openid",
}
FEATURES = {
    ("facebook", "portfolio"): "business_management", ("facebook", "analytics"): "read_insights",
    ("facebook", "comments"): "pages_manage_engagement pages_read_user_content",
    ("facebook", "inbox"): "pages_messaging",
    ("instagram", "portfolio"): "business_management", ("instagram", "comments"): "instagram_manage_comments",
    ("instagram", "analytics"): "instagram_business_manage_insights",
    ("instagram", "direct_comments"): "instagram_business_manage_comments",
    ("instagram", "inbox"): "instagram_manage_messages pages_manage_metadata",
    ("instagram", "direct_inbox"): "instagram_business_manage_messages",
    ("instagram", "delete"): "instagram_manage_contents",
    ("linkedin", "comments"): "w_member_social_feed",
    ("linkedin", "page_comments"): "w_organization_social_feed r_organization_social_feed",
    ("linkedin", "also_member"): "w_member_social",
    ("twitter", "media"): "media.write", ("twitter", "comments"): "tweet.moderate.write",
    ("tiktok", "inbox"): "video.upload", ("tiktok", "analytics"): "video.list user.info.stats",
    ("threads", "analytics"): "threads_manage_insights",
    ("threads", "comments"): "threads_read_replies threads_manage_replies",
    ("threads", "location"): "threads_location_tagging", ("threads", "mentions"): "threads_manage_mentions",
    ("youtube", "analytics"): f"{GOOGLE}yt-analytics.readonly", ("youtube", "comments"): f"{GOOGLE}youtube.force-ssl",
}
TICKED = {("facebook", "portfolio"), ("instagram", "portfolio"), ("twitter", "media")}

every = pytest.mark.parametrize("one", PROVIDERS.values(), ids=lambda one: one.slug)


def modes(one: Provider) -> list[str]:
    return [mode.slug for mode in one.modes] or [""]


def test_all_seven_in_order() -> None:
    assert list(PROVIDERS) == ["facebook", "instagram", "linkedin", "twitter", "tiktok", "threads", "youtube"]
    assert all(slug == one.slug for slug, one in PROVIDERS.items())
    with pytest.raises(KeyError):
        provider("myspace")


def test_all_can_be_connected_in_every_mode() -> None:
    assert list(CONNECTABLE) == list(PROVIDERS)
    assert all(one.can_connect(mode) for one in PROVIDERS.values() for mode in modes(one))
    with pytest.raises(KeyError):
        connectable("myspace")


@pytest.mark.parametrize(("slug", "mode"), DEFAULTS)
def test_default_scopes(slug: str, mode: str) -> None:
    assert [scope.name for scope in provider(slug).default_scopes(mode)] == DEFAULTS[slug, mode].split()


def test_no_mode_and_no_feature_is_forgotten() -> None:
    assert {(one.slug, mode) for one in PROVIDERS.values() for mode in modes(one)} == set(DEFAULTS)
    assert {(one.slug, feature.slug): " ".join(scope.name for scope in feature.scopes)
            for one in PROVIDERS.values() for feature in one.features} == FEATURES
    assert {(one.slug, feature.slug) for one in PROVIDERS.values() for feature in one.features
            if feature.default_on} == TICKED


def test_a_feature_adds_its_scopes_once_and_only_in_its_mode() -> None:
    names = [scope.name for scope in provider("twitter").default_scopes("", ("media", "media", "unknown"))]
    assert names == [*DEFAULTS["twitter", ""].split(), "media.write"]
    linkedin = provider("linkedin")
    assert linkedin.default_scopes("member", ("page_comments",)) == linkedin.default_scopes("member")
    assert [feature.slug for feature in linkedin.features_of("organization")] == ["page_comments", "also_member"]


@every
def test_each_scope_says_what_for(one: Provider) -> None:
    for mode in modes(one):
        features = one.features_of(mode)
        scopes = one.default_scopes(mode, tuple(feature.slug for feature in features))
        assert scopes and len({scope.name for scope in scopes}) == len(scopes)
        assert all(scope.purpose and not scope.purpose.endswith(".") for scope in scopes)
        assert {scope.feature for feature in features for scope in feature.scopes} <= {one.slug for one in features}
        assert set(one.publish_needs.get(mode, ())) <= {scope.name for scope in scopes} and one.publish_needs
    assert all(feature.label and feature.help for feature in one.features)


@every
def test_labels_and_addresses(one: Provider) -> None:
    assert one.name and one.tile and len(one.tile) <= 2 and one.requirement
    assert one.client_id_label and one.client_secret_label and one.callback_label
    assert all(address.startswith("https://") and not address.endswith("/") for address in one.hosts.values())
    assert one.authorize[0] in one.hosts and one.token[0] in one.hosts and "web" in one.hosts
    assert one.scope_separator in (" ", ",")
    assert all(option.label and option.help for option in one.options)
    assert all(mode.label and mode.help for mode in one.modes)


@every
def test_the_sandbox_swaps_hosts_and_nothing_else(one: Provider) -> None:
    swapped = one.base_addresses("http://localhost:18001")
    assert swapped == {name: f"http://localhost:18001/{address.removeprefix('https://')}"
                       for name, address in one.hosts.items()}
    assert one.base_addresses() == dict(one.hosts)


@every
def test_versions_are_alive(one: Provider) -> None:
    version = one.api_version
    if version is None:
        return
    assert version.default in version.living and version.label and version.help
    assert all(re.fullmatch(version.pattern, known) for known in version.living)
    assert all(ends is None or ends > date(2026, 11, 21) for ends in version.living.values())
    assert not re.fullmatch(version.pattern, "latest")


def guides() -> list[tuple[str, str, Guide]]:
    return [(one.slug, mode, guide) for one in PROVIDERS.values() for mode, guide in one.guides.items()]


# What a guide may have filled in: the callback, the further addresses that a platform calls, the admin's own pages.
PLACES = {"{CALLBACK}", "{SCOPES}", "{DEAUTHORIZE}", "{DELETION}", "{WEBHOOK}", "{MEDIA}", "{PRIVACY}", "{TERMS}"}


def test_every_mode_has_a_guide() -> None:
    assert {(slug, mode) for slug, mode, _ in guides()} == {
        (one.slug, mode) for one in PROVIDERS.values() for mode in modes(one)}


@pytest.mark.parametrize(("slug", "mode", "guide"), guides(), ids=lambda part: part if isinstance(part, str) else "")
def test_a_guide_is_complete(slug: str, mode: str, guide: Guide) -> None:
    values = [value for step in guide.steps for value in step.values]
    assert {"{CALLBACK}", "{SCOPES}"} <= set(values) and {one for one in values if one.startswith("{")} <= PLACES
    assert len(set(values)) == len(values)
    assert guide.portal_url.startswith("https://") and guide.summary and guide.seen
    for step in guide.steps:
        assert step.title and step.text.endswith(".") and "{" not in step.text and "!" not in step.text


def test_what_matters_most_without_a_scope() -> None:
    assert provider("twitter").scope_consequences["offline.access"] == (
        "without `offline.access` X gives no refresh token: tenants must reconnect every two hours")
    for one in CONNECTABLE.values():
        known = {scope.name for mode in modes(one) for scope in one.default_scopes(
            mode, tuple(feature.slug for feature in one.features))}
        assert set(one.scope_consequences) <= known
        for mode in modes(one):
            assert one.publish_needs[mode][0] in one.scope_consequences


def test_how_each_is_kept_alive() -> None:
    x, facebook, linkedin = (connectable(slug) for slug in ("twitter", "facebook", "linkedin"))
    assert (x.renewal, x.replay, x.revoke_kind) == (Renewal.ROTATES, Replay.STRICT, Revoke.PAIR)
    earliest, latest = (share * 7200 / 60 for share in x.renew_between)
    assert round(earliest, 1) >= 80 and latest <= 95
    assert (facebook.renewal, facebook.replay, facebook.revoke_kind) == (
        Renewal.EXCHANGE, Replay.REUSABLE, Revoke.PERSON)
    assert facebook.account_outlives_grant and facebook.renew_before_end is not None
    assert facebook.renew_before_end.days == 30
    assert (linkedin.renewal, linkedin.revoke_kind) == (Renewal.NONE, Revoke.PAIR)
    assert x.lost_renewal_is_unknown and not facebook.lost_renewal_is_unknown
    assert x.renewal_of(TokenSet("a")) is Renewal.NONE
    assert all(one.revoke_where for one in CONNECTABLE.values())

"""What a platform said about a profile, told to its person in time."""

from datetime import timedelta

import pytest

from socialconsole import accounts


def test_what_the_provider_noticed_is_shown(account, clock):
    account.meta = {"notice": "The app is in Testing: the connection ends on 28 Nov."}
    assert accounts.notice(account, clock()) == "The app is in Testing: the connection ends on 28 Nov."


@pytest.mark.parametrize(("days", "part"), [(15, ""), (13, "ends on 4 Dec 2026"), (-1, "ran out")])
def test_the_end_of_data_access_is_told_two_weeks_ahead(account, clock, days, part):
    account.meta = {"token_data_access_expires_at": int((clock() + timedelta(days=days)).timestamp())}
    said = accounts.notice(account, clock())
    assert part in said and bool(said) == bool(part)


@pytest.mark.parametrize("value", ["soon", 0, -1, True, 2**39, 2**50, None])
def test_nonsense_is_no_notice(account, clock, value):
    account.meta = {"token_data_access_expires_at": value}
    assert accounts.notice(account, clock()) == ""

"""The health board: counted by the same rules as each account's own page, in a fixed number of statements."""

from datetime import timedelta

import pytest
from sqlalchemy import event

from socialconsole import accounts, board
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import (
    ACTIVE,
    DISCONNECTED,
    FAILED,
    HELD,
    MISSED,
    OWNER,
    PAUSED,
    SCHEDULED,
    TOKEN_EXPIRED,
    UNCONFIRMED,
    Account,
    Delivery,
    Grant,
    Membership,
    Post,
    new_id,
)

FULL = ["tweet.read", "tweet.write", "users.read", "offline.access", "media.write"]


@pytest.fixture
def add(world, clock):
    """Adds an account of X with a grant of its own."""
    def make(state=ACTIVE, *, workspace="wsp_1", scopes=FULL, refresh=True, ends=timedelta(hours=2), **columns):
        with writing() as session:
            grant = Grant(workspace_id=workspace, platform="twitter", app_id="app_x", app_generation=1,
                          person_id=new_id("p"), scopes_granted=scopes, granted_at=clock(),
                          access_expires_at=clock() + ends if ends else None, access_sealed=b"x",
                          refresh_sealed=b"x" if refresh else None)
            made = Account(workspace_id=workspace, platform="twitter", platform_user_id=new_id("u"), grant=grant,
                           username="acme", display_name="Acme Bakery", kind="X account", state=state,
                           state_since=clock(), connected_at=clock(), **columns)
            session.add(made)
        return made
    return make


@pytest.fixture
def one_of_each(add):
    """Accounts in every state, the last without permissions told."""
    add(), add(), add(scopes=None)
    add(refresh=False), add(scopes=["users.read"]), add(PAUSED), add(TOKEN_EXPIRED, workspace="wsp_2")
    add(DISCONNECTED)


def deliveries(account, clock, *states, hold=""):
    with writing() as session:
        for state in states:
            post = Post(workspace_id=account.workspace_id, text="Secret recipe", form_nonce=new_id("n"),
                        created_at=clock(), due_at=clock())
            session.add(Delivery(workspace_id=account.workspace_id, post=post, account=account, state=state, hold=hold,
                                 scheduled_for=clock()))


def statements(ask):
    """What `ask` returns, and how many statements it took."""
    db.session.expire_all()
    db.session.commit()
    seen = []
    event.listen(db.engine, "before_cursor_execute", lambda *given: seen.append(given[2]))
    found = ask()
    return found, len([one for one in seen if one.lstrip().upper().startswith("SELECT")])


def test_every_account_is_counted_under_its_one_word(one_of_each, clock):
    line = board.read(clock())[0]
    assert line.platform == "twitter"
    assert dict(line.numbers) == {"active": 3, "expiring": 1, "limited": 1, "paused": 1, "token_expired": 1}
    assert line.needs


def test_the_words_are_those_of_each_accounts_own_page(one_of_each, clock):
    found = {}
    for one in db.session.query(Account).where(Account.state != DISCONNECTED):
        word = accounts.status(one, clock()).word
        found[word] = found.get(word, 0) + 1
    assert found == dict(board.read(clock())[0].numbers)


def test_posts_are_counted_by_what_has_to_be_done(add, clock):
    account = add()
    deliveries(account, clock, HELD, HELD, UNCONFIRMED, FAILED, MISSED, SCHEDULED)
    line = board.read(clock())[0]
    assert [line.number(word) for word in (HELD, UNCONFIRMED, FAILED)] == [2, 1, 2]


@pytest.mark.parametrize("word", [column.word for column in board.PROFILES])
def test_each_list_holds_what_its_number_counts(one_of_each, clock, word):
    page = board.profiles("twitter", word, clock())
    assert len(page.lines) == board.read(clock())[0].number(word) > 0
    assert {line.word for line in page.lines} == {word} and not page.next


def test_a_list_names_workspace_reason_and_owners(add, world, clock):
    with writing() as session:
        session.add(Membership(workspace_id="wsp_2", user_id="usr_b", role=OWNER))
    add(TOKEN_EXPIRED, workspace="wsp_2", reason="revoked", reason_text="X says: the permission was taken back.")
    line = board.profiles("twitter", TOKEN_EXPIRED, clock()).lines[0]
    assert (line.workspace, line.owners, line.since) == ("Linden Cycles", ("bob@example.com",), clock())
    assert line.told is not None
    said = board.message(line, "https://console.example/x")
    assert said.startswith("Hello bob@example.com. X profile “Acme Bakery” in “Linden Cycles”: reconnect needed.")
    assert said.endswith(f"https://console.example/x/w/wsp_2/profiles/{line.account_id}")


def test_a_list_of_posts_has_numbers_and_no_words(add, clock):
    one, other = add(), add(workspace="wsp_2")
    deliveries(one, clock, HELD, hold="account")
    deliveries(other, clock, HELD, HELD, hold="app")
    found = board.posts("twitter", HELD)
    assert [(line.workspace, line.hold, line.number, line.owners) for line in found] == [
        ("Linden Cycles", "app", 2, ()), ("Harbour Bakery", "account", 1, ("alice@example.com",))]
    assert "Secret" not in repr(found)
    assert "1 post to the X profile “Acme Bakery” in “Harbour Bakery” is held" in board.post_message(found[1], HELD, "")


def test_long_lists_come_in_pages(add, clock, monkeypatch):
    monkeypatch.setattr(board, "PAGE", 2)
    ids = [add(PAUSED).id for _ in range(5)]
    seen, before = [], ""
    for _ in range(3):
        page = board.profiles("twitter", PAUSED, clock(), before)
        seen += [line.account_id for line in page.lines]
        before = page.next
    assert seen == sorted(ids, reverse=True) and before == ""


def test_the_number_of_statements_does_not_grow(add, clock):
    def all_of_it():
        return board.read(clock()), [board.profiles("twitter", word.word, clock()) for word in board.PROFILES]

    add(TOKEN_EXPIRED)
    deliveries(add(), clock, HELD)
    few = statements(all_of_it)[1]
    for _ in range(12):
        add(TOKEN_EXPIRED), add(scopes=["users.read"]), deliveries(add(workspace="wsp_2"), clock, HELD, FAILED)
    found, many = statements(all_of_it)
    assert found[0][0].number(TOKEN_EXPIRED) == 13
    assert many <= few + 3  # lists that were empty now read their accounts and owners

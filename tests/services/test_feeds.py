"""The private address of a calendar, asked for by one person several times at once."""

import threading

from sqlalchemy import select

from socialconsole import feeds
from socialconsole.extensions import db
from socialconsole.models import CalendarFeed, User, Workspace


def test_a_button_that_is_pressed_several_times_at_once_leaves_one_address_that_works(ground, world):
    gate, tokens, faults = threading.Barrier(6), list[str](), list[Exception]()

    def press():
        with ground.app_context():
            workspace, user = db.session.get_one(Workspace, "wsp_1"), db.session.get_one(User, "usr_a")
            gate.wait(20)
            try:
                tokens.append(feeds.make(workspace, user))
            except Exception as fault:
                faults.append(fault)
            finally:
                db.session.remove()

    threads = [threading.Thread(target=press) for _ in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert not faults and len(tokens) == 6
    db.session.rollback()
    assert len(db.session.scalars(select(CalendarFeed)).all()) == 1
    assert sum(feeds.workspace_of(token) is not None for token in tokens) == 1

"""A program that asks the API: with a key of a person of the house, or of somebody else's."""

from collections.abc import Callable
from typing import Any

from socialconsole import api_keys
from socialconsole.extensions import db
from socialconsole.models import User, Workspace
from socialconsole.public_ids import public
from tests.journeys.tenant_house import House

ALL = tuple(api_keys.PERMISSIONS)


def key_of(house: House, who: Any, where: Any, may: tuple[str, ...] = ALL) -> str:
    """A key of this person for this workspace."""
    with house.app.app_context():
        place = db.session.get_one(Workspace, where.id)
        return api_keys.create(place, db.session.get_one(User, who.id), "Test", may, None, house.clock())[1]


def program(house: House) -> Callable[..., Any]:
    """Asks the API: `ask("GET", "/posts")`, by default with a key of Alice's that may everything."""
    tokens: dict[Any, str] = {}

    def ask(method: str, path: str, body: Any = None, *, may: tuple[str, ...] = ALL, person: Any = None,
            workspace: Any = None, headers: dict[str, str] | None = None, **sent: Any) -> Any:
        who, where = person or house.cast.alice, workspace or house.cast.bakery
        if (who.id, may, where.id) not in tokens:
            tokens[who.id, may, where.id] = key_of(house, who, where, may)
        shown = {"Authorization": f"Bearer {tokens[who.id, may, where.id]}", **(headers or {})}
        given = {"json": body} if body is not None else {}
        return house.app.test_client(use_cookies=False).open(f"/v1{path}", method=method, headers=shown, **given,
                                                             **sent)

    return ask


__all__ = ["ALL", "key_of", "program", "public"]

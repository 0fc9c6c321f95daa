"""Connected profiles, as programs read and manage them. No call gives or takes a token."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from .. import accounts, connect_links, connections, disconnections, public_ids
from ..access import Invalid
from ..models import ACTIVE, DISCONNECTED, PAUSED, Account
from .operations import Answer, Asked, heed, operation, tag
from .problems import Problem, invalid
from .shapes import Instant, Paging, Shape, Text


class AbilityShape(Shape):
    """Something a profile can do, or what is missing for it."""

    name: str
    label: str
    on: bool
    missing_scopes: list[str]


class AccountShape(Shape):
    """A connected profile."""

    id: str
    workspace_id: str
    platform: str
    kind: str
    username: str
    display_name: str
    profile_url: str
    status: str = Field(description="active, expiring, limited, token_expired, paused, disconnected")
    reason: str
    sandbox: bool
    connected_at: Instant
    last_synced_at: Instant | None
    expires_at: Instant | None = Field(description="When access ends unless somebody acts; null: it does not.")
    next_renewal_at: Instant | None
    granted_scopes: list[str]
    missing_scopes: list[str]
    abilities: list[AbilityShape]
    metadata: dict[str, Any]


class AccountList(Shape):
    """A page of profiles."""

    data: list[AccountShape]
    next_cursor: str | None


class AccountQuery(Paging):
    """Which profiles."""

    platform: Text | None = Field(None, max_length=40)
    status: Text | None = Field(None, max_length=40)


class DisconnectQuery(Shape):
    """What becomes of the posts that wait for the profile."""

    cancel_posts: bool = Field(False, description="Cancel them; else they are held until it is connected again.")


class DisconnectedShape(Shape):
    """What disconnecting achieved."""

    id: str
    status: str
    revocation: str = Field(description="revoked, not_offered, failed, stays, nothing: what happened at the platform")
    sentence: str
    settled: bool = Field(description="Whether nobody has to remove anything at the platform by hand.")


class LinkBody(Shape):
    """How long a link holds, and for whom it is."""

    life: Literal["hour", "day", "days", "week"] = Field("days", description="1 hour, 1, 3 or 7 days.")
    note: Text = Field("", description="Shown to whoever opens it.", max_length=connect_links.LONGEST_NOTE)


class ConnectLinkBody(LinkBody):
    """A link with which somebody connects a new profile."""

    platform: Text = Field("", description="The platform, or empty: the person chooses.", max_length=40)


class LinkShape(Shape):
    """A link for a person. Its address is told now and never again."""

    id: str
    url: str
    expires_at: Instant


class ConnectBody(Shape):
    """What a program may have hoped for."""

    platform: Text = Field("", max_length=40)


def account(found: Account, now: datetime) -> AccountShape:
    """A profile as it is told."""
    status, connected = accounts.status(found, now), found.state != DISCONNECTED
    scopes = accounts.scopes(found)
    return AccountShape(
        id=found.id, workspace_id=public_ids.public(found.workspace_id), platform=found.platform, kind=found.kind,
        username=found.username, display_name=found.display_name, profile_url=found.profile_url, status=status.word,
        reason=status.reason, sandbox=found.is_sandbox, connected_at=found.connected_at,
        last_synced_at=found.last_synced_at, expires_at=accounts.token_ends(found) if connected else None,
        next_renewal_at=accounts.next_renewal(found) if connected else None,
        granted_scopes=[one.name for one in scopes if one.answer == accounts.GRANTED_WORD],
        missing_scopes=[one.name for one in scopes if one.answer == accounts.MISSING_WORD],
        abilities=[AbilityShape(name=one.slug, label=one.label, on=one.on, missing_scopes=list(one.missing))
                   for one in accounts.abilities(found)],
        metadata=found.meta)


def _one(asked: Asked) -> Account:
    return accounts.account(asked.place, asked.ids["accountId"])


def _tag(found: Account, now: datetime) -> str:
    return tag(account(found, now).model_dump_json(by_alias=True))


@operation("GET", "/workspaces/{workspaceId}/accounts", "see", "accounts", "The profiles of a workspace",
           query=AccountQuery, answer=AccountList)
def list_accounts(asked: Asked) -> AccountList:
    """By id, the oldest first; also those that were disconnected."""
    query = asked.query
    lines = sorted(accounts.outlines(asked.place), key=lambda one: one.id)
    wanted = [one.id for one in lines if (not query.platform or one.platform == query.platform)
              and (not query.status or one.word(asked.now) == query.status)
              and (not query.cursor or one.id > query.cursor)]
    found = {one.id: one for one in accounts.some(asked.place, wanted[:query.limit])}
    return AccountList(data=[account(found[one], asked.now) for one in wanted[:query.limit] if one in found],
                       next_cursor=wanted[query.limit - 1] if len(wanted) > query.limit else None)


@operation("POST", "/workspaces/{workspaceId}/accounts", "see", "accounts", "Why no program connects a profile",
           body=ConnectBody, answer=AccountShape, problems=("person_needed",))
def connect_account(asked: Asked) -> AccountShape:
    """Always refused: consent is given by a person at the platform. The answer names the call that makes a link."""
    raise Problem("person_needed", "A profile is connected by the consent of its person, on the platform's own pages. "
                  "No program can give it. Make a link and pass it on.",
                  instead=f"POST /v1/workspaces/{public_ids.public(asked.place.id)}/connect-links")


@operation("GET", "/workspaces/{workspaceId}/accounts/{accountId}", "see", "accounts", "One profile",
           answer=AccountShape, is_tagged=True)
def get_account(asked: Asked) -> AccountShape:
    """Its status and why, when it ends, what it may do."""
    return account(_one(asked), asked.now)


@operation("DELETE", "/workspaces/{workspaceId}/accounts/{accountId}", "manage", "accounts", "Disconnect a profile",
           query=DisconnectQuery, answer=DisconnectedShape, is_tagged=True)
def disconnect_account(asked: Asked) -> DisconnectedShape:
    """Erases our tokens and takes the permission back at the platform where that harms no other profile.

    Posts stay; those that wait are held, or cancelled if asked for. Again changes nothing.
    """
    found = _one(asked)
    heed(asked, _tag(found, asked.now))
    said = disconnections.disconnect(found, asked.user, cancel_posts=asked.query.cancel_posts)
    return DisconnectedShape(id=found.id, status=DISCONNECTED, revocation=said.outcome, sentence=said.sentence,
                             settled=said.is_settled)


@operation("POST", "/workspaces/{workspaceId}/accounts/{accountId}/pause", "manage", "accounts", "Pause a profile",
           answer=AccountShape, is_tagged=True, problems=("conflict",))
def pause_account(asked: Asked) -> AccountShape:
    """Nothing is published until it is resumed; the connection is kept alive."""
    return _changed(asked, disconnections.pause)


@operation("POST", "/workspaces/{workspaceId}/accounts/{accountId}/resume", "manage", "accounts", "Resume a profile",
           answer=AccountShape, is_tagged=True, problems=("conflict",))
def resume_account(asked: Asked) -> AccountShape:
    """It publishes again, also what was held for it."""
    return _changed(asked, disconnections.resume)


def _changed(asked: Asked, change: Any) -> AccountShape:
    found = _one(asked)
    heed(asked, _tag(found, asked.now))
    if found.state not in (ACTIVE, PAUSED):
        raise Problem("conflict", f"The profile is {accounts.status(found, asked.now).label.lower()}.")
    change(found, asked.user)
    return account(found, asked.now)


@operation("POST", "/workspaces/{workspaceId}/accounts/{accountId}/reconnect-links", "reconnect", "accounts",
           "A link that reconnects a profile", body=LinkBody, answer=LinkShape, status=201, problems=("conflict",))
def make_reconnect_link(asked: Asked) -> Answer:
    """A person who holds the login at the platform opens it and consents. It works once."""
    found = _one(asked)
    return _link(lambda: connect_links.to_reconnect(found, asked.user, asked.body.life, asked.body.note))


@operation("POST", "/workspaces/{workspaceId}/connect-links", "connect", "accounts",
           "A link that connects a new profile", body=ConnectLinkBody, answer=LinkShape, status=201,
           problems=("conflict",))
def make_connect_link(asked: Asked) -> Answer:
    """A person opens it and consents at the platform. It works once."""
    body = asked.body
    return _link(lambda: connect_links.to_connect(asked.place, asked.user, body.platform, body.life, body.note))


def _link(make: Any) -> Answer:
    try:
        made = make()
    except Invalid as error:
        if "segment" in error.errors:
            raise Problem("conflict", "No platform of this name is turned on for the workspace.") from None
        raise invalid(error.errors) from None
    except connections.NotOffered as error:
        raise Problem("conflict", str(error)) from None
    return Answer(LinkShape(id=made.link.id, url=made.address, expires_at=made.link.expires_at), 201)



"""A walk through all routes, as everybody: who is let in follows from the one table, and a stranger learns nothing.

New routes are walked by themselves. A route with a parameter that is unknown here makes the walk fail.
"""

import re

import pytest
from flask import Flask
from pydantic.alias_generators import to_camel

from socialconsole import access, api_keys, audit, outside
from socialconsole.api.operations import OPERATIONS
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import EDITOR, VIEWER, User, Workspace
from socialconsole.public_ids import public
from tests.cast import make_things
from tests.journeys.walk import ABSENT, form_token, same, steps, tenant_steps

HTMX = {"HX-Request": "true"}
# What others of the workspace do not find either.
OF_ONE_PERSON = ("connect.attempt", "uploads.look", "receipts.receipt", "receipts.download")
# Lists that are of something, and not there without.
OF_WHAT = {"board.profiles": "?platform=twitter&state=active", "board.posts": "?platform=twitter&state=held",
           "address.open_here": "?url=http://127.0.0.1:8000"}


@pytest.fixture
def things(app, cast):
    with app.app_context():
        return make_things(cast)


@pytest.fixture
def as_(app, cast, sign_in):
    """A browser in which this person is signed in, and what it sends with a change."""

    def browser(name: str):
        client = sign_in(app.test_client(), getattr(cast, name))
        return client, {"csrf_token": form_token(client)}

    return browser


def send(client, step, path, data=None, headers=None):
    return client.open(path, method=step.method, headers=headers, data=data if step.method != "GET" else None)


def test_the_walk_sees_every_kind_of_route(app: Flask):
    every = list(steps(app))
    assert {step.permission for step in every} == {"public", "signed_in", "admin", *access.PERMISSIONS}
    assert {name for step in every for name in step.ids} == {
        "account_id", "attempt_id", "post_id", "delivery_id", "media_id", "upload_id", "series_id", "member_id",
        "invitation_id", "slot_id", "link_id", "recording_id", "incident_id", "key_id", "plan_id"}


def test_nobody_gets_further_than_the_sign_in_page(app, client, cast, things):
    data = {"csrf_token": form_token(client)}
    for step in steps(app):
        if step.permission == "public":
            continue
        path = step.path(cast, things)
        answer = send(client, step, path, data)
        assert answer.status_code == 303, step
        assert answer.headers["Location"].startswith("/sign-in"), step
        part = send(client, step, path, data, HTMX)
        assert (part.status_code, part.text) == (401, ""), step
        assert part.headers["HX-Redirect"].startswith("/sign-in"), step


def test_after_signing_in_one_is_back_where_one_was(client, cast):
    answer = client.get("/w/wsp_bakery/posts?filter=needs")
    assert answer.headers["Location"] == "/sign-in?next=/w/wsp_bakery/posts?filter%3Dneeds"
    assert client.post("/w/wsp_bakery/compose").headers["Location"] == "/sign-in"
    here = {**HTMX, "HX-Current-URL": "http://127.0.0.1:8000/w/wsp_bakery/posts?filter=needs"}
    part = client.get("/w/wsp_bakery/posts", headers=here)
    assert part.headers["HX-Redirect"] == "/sign-in?next=/w/wsp_bakery/posts?filter%3Dneeds"
    for foreign in ("http://127.0.0.1:8000//evil.example", "http://[::1", "nonsense"):
        part = client.get("/w/wsp_bakery/posts", headers={**HTMX, "HX-Current-URL": foreign})
        assert "evil" not in part.headers["HX-Redirect"] and part.status_code == 401


@pytest.mark.parametrize("who", ["charlie", "root"])
def test_a_stranger_cannot_tell_the_bakery_from_a_workspace_that_is_not_there(app, cast, things, as_, who):
    client, data = as_(who)
    for step in tenant_steps(app):
        there = send(client, step, step.path(cast, things), data)
        absent = send(client, step, step.path(cast, things, workspace_id=ABSENT), data)
        assert there.status_code == absent.status_code == 404, step
        assert same(there.text, cast.bakery.id) == same(absent.text, ABSENT), step
        part = send(client, step, step.path(cast, things), data, HTMX)
        assert part.status_code == 404 and "Secret recipe" not in part.text, step


def test_a_strangers_id_in_ones_own_workspace_is_the_same_as_an_absent_one(app, cast, things, as_):
    client, data = as_("charlie")
    walked = 0
    for step in tenant_steps(app):
        own = {"workspace_id": cast.cycles.id}
        for name in step.ids:
            foreign = send(client, step, step.path(cast, things, **own), data)
            absent = send(client, step, step.path(cast, things, **own, **{name: ABSENT}), data)
            assert foreign.status_code == absent.status_code == 404, (step, name)
            assert same(foreign.text, *vars(things).values()) == same(absent.text, ABSENT, *vars(things).values())
            walked += 1
    assert walked >= 15


@pytest.mark.parametrize(("who", "role"), [("vera", VIEWER), ("bob", EDITOR)])
def test_a_member_without_the_permission_gets_403_with_a_sentence(app, cast, things, as_, who, role):
    client, data = as_(who)
    for step in tenant_steps(app):
        allowed = role in access.PERMISSIONS[step.permission]
        if allowed and step.method != "GET":
            continue  # that they work is shown where each is at home
        answer = send(client, step, step.path(cast, things), data)
        if allowed:
            assert answer.status_code in (200, 303, 404 if step.rule.endpoint in OF_ONE_PERSON else 200), step
        else:
            assert answer.status_code == 403, step
            assert access.WHY_NOT[step.permission] in answer.text, step


def test_the_owner_gets_everywhere(app, cast, things, as_):
    client, _ = as_("alice")
    for step in tenant_steps(app):
        if step.method == "GET":
            assert send(client, step, step.path(cast, things)).status_code in (200, 303), step


def test_the_administration_is_for_platform_admins_only(app, cast, things, as_):
    members, admin = as_("charlie"), as_("root")
    walked = 0
    for step in steps(app):
        if step.permission != "admin":
            continue
        path = step.path(cast, things)
        refused = send(members[0], step, path, members[1])
        assert refused.status_code == 403 and access.WHY_NOT["admin"] in refused.text, step
        if step.method == "GET":
            assert send(admin[0], step, path + OF_WHAT.get(step.rule.endpoint, "")).status_code in (200, 303), step
        walked += 1
    assert walked >= 5


def test_an_admin_sees_nothing_of_a_workspace_in_the_administration(app, cast, things, as_):
    with app.app_context(), writing():
        audit.record("post.scheduled", "post", things.post_id, "Secret recipe", workspace_id=cast.bakery.id)
    client, _ = as_("root")
    for path in ("/admin/platforms", "/admin/activity", "/admin/platforms/twitter", "/", "/me"):
        page = client.get(path, follow_redirects=True).text
        for theirs in ("Fresh Bread", "Secret recipe", cast.bakery.name, cast.bakery.id):
            # Which workspaces may connect through an app is the admin's to say; what is in them is not.
            may_be_named = path == "/admin/platforms/twitter" and theirs in (cast.bakery.name, cast.bakery.id)
            assert may_be_named or theirs not in page, (path, theirs)


def test_a_page_offers_only_what_the_role_may_do(cast, things, as_):
    for who, offered in (("vera", False), ("bob", True), ("alice", True)):
        page = as_(who)[0].get("/w/wsp_bakery/posts").text
        assert ('href="/w/wsp_bakery/compose"' in page) is offered, who
        assert ('href="/admin/platforms"' in page) is (who == "alice"), who


# ---------------------------------------------------------------- programs


@pytest.mark.timeout(300)
def test_every_call_asks_for_a_key_and_a_strangers_id_is_like_an_absent_one(app, cast, things):
    with app.app_context():
        place, charlie = db.session.get_one(Workspace, cast.cycles.id), db.session.get_one(User, cast.charlie.id)
        token = api_keys.create(place, charlie, "Test", tuple(api_keys.PERMISSIONS), None, outside.now())[1]
    client, headers, walked = app.test_client(use_cookies=False), {"Authorization": f"Bearer {token}"}, 0
    for one in OPERATIONS.values():
        own = {"workspaceId": public(cast.cycles.id)}
        foreign = path_of(one, {**snake(things), **own})
        nobody = client.open(foreign, method=one.method)
        assert nobody.status_code == 401 and nobody.json["code"] == "unauthenticated", one.name
        for name in set(one.ids) - {"workspaceId"}:
            given = {**snake(things), **own}
            body = {} if one.body is not None else None
            theirs = client.open(path_of(one, given), method=one.method, headers=headers, json=body)
            absent = client.open(path_of(one, {**given, name: f"{given[name][:4]}{'0' * 26}"}), method=one.method,
                                 headers=headers, json=body)
            assert theirs.status_code == absent.status_code, (one.name, theirs.text)
            assert theirs.status_code in (400, 404, 415, 422), (one.name, theirs.text)
            assert theirs.json == absent.json
            walked += 1
        if "workspaceId" in one.ids:
            other = client.open(path_of(one, {**snake(things), "workspaceId": public(cast.bakery.id)}),
                                method=one.method, headers=headers, json={} if one.body is not None else None)
            assert other.status_code == 404, one.name
    assert walked >= 5


def path_of(one, values):
    return re.sub(r"\{(\w+)\}", lambda found: public(values[found[1]]), one.path)


def snake(things):
    """The ids of the bakery by the names that paths of the API have for them."""
    return {to_camel(name): value for name, value in vars(things).items()}

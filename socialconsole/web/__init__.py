"""The web: its blueprints, and what happens around each request, in this order."""

from flask import Flask

from .. import access, api
from . import (
    accounts,
    activity,
    address,
    alerts,
    api_docs,
    api_keys,
    board,
    bulk,
    calendar,
    callbacks,
    compose,
    connect,
    connect_links,
    drafts,
    errors,
    expiry,
    feeds,
    forgotten,
    frame,
    guard,
    health,
    help,
    installation_file,
    join,
    library,
    media,
    members,
    metrics,
    palette,
    people,
    plans,
    platform_apps,
    posts,
    preview,
    queue,
    receipts,
    redirects,
    series,
    settings,
    setup,
    sign_in,
    timelines,
    uploads,
    workspaces,
)

BLUEPRINTS = (
    connect_links.bp,
    health.bp, metrics.bp, palette.bp, sign_in.bp, setup.bp, people.bp, activity.bp, platform_apps.bp, accounts.bp,
    connect.bp, compose.bp, drafts.bp, posts.bp, calendar.bp, queue.bp, feeds.bp, series.bp, media.bp, library.bp,
    uploads.bp, preview.bp, bulk.bp, redirects.bp, callbacks.bp, members.bp, join.bp, settings.bp, workspaces.bp,
    receipts.bp, forgotten.bp, help.bp, board.bp, address.bp, timelines.bp,
    alerts.bp, expiry.bp, installation_file.bp, api_docs.bp, api_keys.bp, plans.bp,
)


def register(app: Flask) -> None:
    """Add all pages, their frame, their guards and the error pages to the app."""
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    api.init_app(app)
    frame.init_app(app)
    preview.init_app(app)
    help.init_app(app)
    address.init_app(app)
    errors.init_app(app)
    # The form token is checked last: a stranger learns nothing from it, and a signed-out person is asked to sign in.
    checks = app.before_request_funcs.setdefault(None, [])
    checks[:0] = [address.tell, guard.check_host, access.find_login, access.check_permission, guard.check_origin]
    app.after_request(guard.finish)
    guard.behind_proxy(app)

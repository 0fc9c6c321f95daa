"""The REST API below /v1: its operations, its document, and the page that shows it."""

from flask import Flask, current_app, json
from flask.typing import ResponseReturnValue

from .. import access
from .. import plans as waiting
from . import accounts, media, operations, plans, platforms, posts, workspaces
from .openapi import document
from .problems import PREFIX

VERSION = "1.0.0"
PARTS = (workspaces, accounts, posts, media, plans, platforms)  # importing them declares their operations


def init_app(app: Flask) -> None:
    """Add all operations and the document."""
    made = operations.blueprint()
    made.before_request(plans.heed_door)
    made.add_url_rule(f"{PREFIX}/openapi.json", "openapi", _document)
    app.register_blueprint(made)
    waiting.PERFORM = operations.perform


@access.requires("public")
def _document() -> ResponseReturnValue:
    """The OpenAPI document, for everybody: it says nothing of this console."""
    return current_app.response_class(json.dumps(document(VERSION)), mimetype="application/json")

"""Social Console: a small team's own console for its social platforms. Here: the web app, put together."""

from flask import Flask

from . import (
    access,
    assets,
    clock,
    database,
    incidents,
    logs,
    media_store,
    outside,
    platform_apps,
    store,
    troubles,
    web,
)
from . import config as settings
from .config import Config
from .extensions import csrf, db, htmx
from .providers.oauth2 import VERSION_ENDED
from .vault import Vault

LARGEST_FORM = 512 * 1024


def create_app(config: Config | None = None) -> Flask:
    """The console's web app, for any WSGI server and for the workers. Opens no database and calls nobody."""
    config = config or settings.read()
    app = Flask(__name__, static_folder=None)
    url, options = database.driver_options(config.database_url)
    app.config.update(
        SECRET_KEY=config.secret_key,
        SQLALCHEMY_DATABASE_URI=url,
        SQLALCHEMY_ENGINE_OPTIONS=options,
        MAX_CONTENT_LENGTH=LARGEST_FORM,
        WTF_CSRF_TIME_LIMIT=None,  # a page left open overnight must still work; the token is bound to the session
        # The prefix makes a browser refuse the cookie from anywhere but this very host over https, for all paths.
        SESSION_COOKIE_NAME="__Host-console_session" if config.https else "console_session",
        SESSION_COOKIE_PATH="/" if config.https else None,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=config.https,
        APPLICATION_ROOT=config.path_prefix or "/",
        PREFERRED_URL_SCHEME="https" if config.https else "http",
    )
    app.extensions["config"] = config
    app.extensions["vault"] = Vault(config.token_keys)
    app.extensions["store"] = store.connect(config)
    app.extensions["media_store"] = media_store.make(config)
    db.init_app(app)
    csrf.init_app(app)
    htmx.init_app(app)
    with app.app_context():
        database.prepare_engine(db.engine)
        clock.watch(db.engine)
    database.prepare_session()
    outside.before_call(database.refuse_open_transaction)
    incidents.OF_CONSOLE[:] = [troubles.found]
    VERSION_ENDED[:] = [platform_apps.version_ended]
    assets.init_app(app)
    web.register(app)
    access.init_app(app)
    logs.watch(app)
    return app

"""The Flask extensions, without anything of ours, so that nobody imports in circles."""

from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from htmx_flask import Htmx
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase

# Constraints have names, so that a later migration can name what it changes.
NAMES = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """All tables of the console."""

    metadata = MetaData(naming_convention=NAMES)


# Objects keep their values after a commit: reading one later must not open a transaction by accident,
# least of all while a platform is being called. `database.writing` reads afresh instead.
db = SQLAlchemy(metadata=Base.metadata, session_options={"expire_on_commit": False, "autoflush": True})
csrf = CSRFProtect()
htmx = Htmx()

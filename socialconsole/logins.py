"""Signing in and out: logins as rows, the limit on failures, one-time links.

A login's cookie is 256 random bits; the row keeps their hash. So a stolen SECRET_KEY forges no login, and ending one
holds at once in every process.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update

from . import audit, outside, passwords
from .database import alone, took, writing
from .extensions import db
from .models import Login, OneTimeLink, SignInFailure, User

IDLE_END = timedelta(days=14)
ABSOLUTE_END = timedelta(days=60)
SEEN_EVERY = timedelta(minutes=1)
WINDOW = timedelta(minutes=15)
FAILURES_PER_EMAIL = 10
FAILURES_PER_ADDRESS = 30
WRONG_LINKS = 30  # from one network address within WINDOW
RESETS_PER_EMAIL = 3  # links for a new password that are asked for, within WINDOW
RESETS_PER_ADDRESS = 20


class Refused(Exception):
    """The sign-in failed; the message is for people and is the same for every cause."""


class TooMany(Refused):
    """Too many failures; `wait` says for how long nothing is even checked."""

    def __init__(self, wait: timedelta, tried: str = "failed attempts to sign in") -> None:
        minutes = max(1, -(-round(wait.total_seconds()) // 60))
        super().__init__(
            f"There were too many {tried}, so the console pauses. "
            f"Try again in {minutes} {'minute' if minutes == 1 else 'minutes'}.")
        self.wait = wait


@dataclass(frozen=True)
class Caller:
    """The address and the browser that a sign-in comes from."""

    address: str = ""
    browser: str = ""


def digest(token: str) -> str:
    """What is stored of a random token."""
    return hashlib.sha256(token.encode()).hexdigest()


def by_email(email: str) -> User | None:
    """The person with this e-mail address, in whatever case it is typed."""
    return db.session.scalar(select(User).where(User.email == email.strip().lower()))


# ---------------------------------------------------------------- in


def sign_in(email: str, password: str, caller: Caller, now: datetime) -> str:
    """Sign a person in; returns the token for the cookie.

    Raises Refused, with one text and after the same work for an unknown address and a wrong password, and TooMany
    when there were too many failures for this e-mail or from this network address.
    """
    try_id = _reserve_try(email, caller.address, now)
    user = by_email(email)
    stored = user.password_hash if user else None
    db.session.commit()
    if not passwords.fits(password, stored) or user is None:
        raise Refused("That e-mail address and password do not belong together. Check both and try again.")
    with writing():
        _forget_tries(email, try_id)
    return begin(user, caller, now)


def begin(user: User, caller: Caller, now: datetime) -> str:
    """A new login of this person; returns the token for the cookie."""
    token = outside.secret(32)
    with writing() as session:
        session.add(Login(user_id=user.id, token_hash=digest(token), created_at=now, seen_at=now,
                          expires_at=now + ABSOLUTE_END, browser=caller.browser[:200], address=caller.address[:64]))
        session.execute(delete(Login).where(Login.expires_at < now))
    return token


def _reserve_try(email: str, address: str, now: datetime) -> list[str]:
    """Count this try as failed before it is checked, so that many at once cannot slip past the limit."""
    limits = ((_about_email(email), FAILURES_PER_EMAIL), (_about_address(address), FAILURES_PER_ADDRESS))
    with writing() as session:
        alone("sign in")  # or many at once would each count the tries from before
        session.execute(delete(SignInFailure).where(SignInFailure.at <= now - WINDOW))
        for about, most in limits:
            tried = select(func.count(), func.min(SignInFailure.at)).where(SignInFailure.about == about)
            count, first = session.execute(tried).one()
            if count >= most:
                raise TooMany(first + WINDOW - now)
        tries = [SignInFailure(about=about, at=now) for about, _ in limits]
        session.add_all(tries)
        session.flush()
        return [one.id for one in tries]


def refuse_guesser(address: str, now: datetime) -> None:
    """Raise TooMany where too many links that lead nowhere were opened from this network address lately."""
    count, first = _failures(_about_links(address), now)
    if count >= WRONG_LINKS:
        raise TooMany(first + WINDOW - now, "links that lead nowhere, opened from your network address")


def note_guess(address: str, now: datetime) -> None:
    """A link that leads nowhere was opened from this network address."""
    with writing() as session:
        session.add(SignInFailure(about=_about_links(address), at=now))


def count_reset(email: str, address: str, now: datetime) -> None:
    """Somebody asks for a link to choose a new password. Raises TooMany, alike for known and unknown e-mails."""
    limits = (("r" + _about_email(email), RESETS_PER_EMAIL), ("r" + _about_address(address), RESETS_PER_ADDRESS))
    with writing() as session:
        alone("reset")
        for about, most in limits:
            count, first = _failures(about, now)
            if count >= most:
                raise TooMany(first + WINDOW - now, "requests for a new password")
        session.add_all(SignInFailure(about=about, at=now) for about, _ in limits)


def _failures(about: str, now: datetime) -> tuple[int, datetime]:
    """How many of these there were within the window, and the first of them."""
    counted = select(func.count(), func.min(SignInFailure.at)).where(
        SignInFailure.about == about, SignInFailure.at > now - WINDOW)
    count, first = db.session.execute(counted).one()
    return count, first or now


def _about_links(address: str) -> str:
    """Counted on their own: a foreign page that opens such links in somebody's browser must not bar signing in."""
    return "l:" + digest(address)


def _forget_tries(email: str, try_ids: list[str]) -> None:
    """The password was right: the person's failures count no more, the address keeps its earlier ones."""
    db.session.execute(delete(SignInFailure).where(
        SignInFailure.id.in_(try_ids) | (SignInFailure.about == _about_email(email))))


def _about_email(email: str) -> str:
    return "e:" + digest(email.strip().lower())


def _about_address(address: str) -> str:
    return "a:" + digest(address)


# ---------------------------------------------------------------- while signed in


def find(token: str, now: datetime) -> Login | None:
    """The living login of a cookie's token, None if it is unknown, idle for too long, too old or ended."""
    login = db.session.scalar(select(Login).where(Login.token_hash == digest(token), Login.ended_at.is_(None)))
    if login is None or login.expires_at <= now or login.seen_at <= now - IDLE_END:
        return None
    if login.seen_at <= now - SEEN_EVERY:
        with writing() as session:
            session.execute(update(Login).where(Login.id == login.id).values(seen_at=now))
        db.session.refresh(login)
    return login


def end(login: Login, now: datetime) -> None:
    """Sign this browser out."""
    with writing():
        login.ended_at = now


def living(user: User, now: datetime) -> list[Login]:
    """The browsers in which a person is signed in, the one seen last first."""
    return list(db.session.scalars(
        select(Login).where(Login.user_id == user.id, Login.ended_at.is_(None), Login.expires_at > now,
                            Login.seen_at > now - IDLE_END)
        .order_by(Login.seen_at.desc(), Login.id.desc())))


def end_one(user: User, login_id: str, now: datetime) -> bool:
    """End one of a person's logins; False if it is none of theirs or has ended already."""
    with writing():
        mine = took(update(Login).where(Login.id == login_id, Login.user_id == user.id, Login.ended_at.is_(None))
                    .values(ended_at=now))
        if mine:
            audit.record("person.login_ended", "user", user.id, "Signed another browser out", name=user.shown)
        return mine


def end_all_others(user: User, keep: Login, now: datetime) -> int:
    """End all logins of a person but one; returns how many that were."""
    with writing():
        number = sum(one.id != keep.id for one in living(user, now))
        end_others(user, keep, now)
        if number:
            audit.record("person.login_ended", "user", user.id, "Signed all other browsers out", name=user.shown)
    return number


def end_others(user: User, keep: Login | None, now: datetime) -> None:
    """End the person's logins but one; inside `writing()`."""
    query = update(Login).where(Login.user_id == user.id, Login.ended_at.is_(None)).values(ended_at=now)
    db.session.execute(query.where(Login.id != keep.id) if keep else query)


def change_password(user: User, current: str, new: str, login: Login, now: datetime) -> str:
    """Replace the password and end the person's other logins. Returns what is wrong in words, empty if done.

    Raises TooMany like signing in does, since the current password can be guessed here as well.
    """
    tries = _reserve_try(user.email, login.address, now)
    stored, email = user.password_hash, user.email
    db.session.commit()
    if not passwords.fits(current, stored):
        return "This is not your present password. Type the one you signed in with."
    fresh = passwords.hashed(new)
    with writing():
        _forget_tries(email, tries)
        user.password_hash = fresh
        end_others(user, login, now)
        audit.record("person.password_changed", "user", user.id, "Changed the password", name=user.shown)
    return ""


# ---------------------------------------------------------------- one-time links


def new_link(purpose: str, user: User | None, life: timedelta, now: datetime) -> str:
    """A fresh one-time token; earlier ones of the same purpose and person stop working."""
    token = outside.secret(32)
    with writing() as session:
        alone("link", purpose, user.id if user else "")
        session.execute(delete(OneTimeLink).where(
            OneTimeLink.purpose == purpose, OneTimeLink.user_id == (user.id if user else None)))
        session.add(OneTimeLink(purpose=purpose, token_hash=digest(token), user_id=user.id if user else None,
                                expires_at=now + life))
    return token


def link(purpose: str, token: str, now: datetime) -> OneTimeLink | None:
    """The unused link of this token, None if there is none (any more)."""
    return db.session.scalar(select(OneTimeLink).where(
        OneTimeLink.purpose == purpose, OneTimeLink.token_hash == digest(token), OneTimeLink.used_at.is_(None),
        OneTimeLink.expires_at > now))


def spend(purpose: str, token: str, now: datetime) -> OneTimeLink | None:
    """Use a link up; inside `writing()`. Of many that try, one gets it."""
    found = link(purpose, token, now)
    mine = found is not None and took(
        update(OneTimeLink).where(OneTimeLink.id == found.id, OneTimeLink.used_at.is_(None)).values(used_at=now))
    return found if mine else None

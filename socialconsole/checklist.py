"""What an installation needs beside the program, looked at one by one: in order, to be done, or not to be told.

Drawn from the settings, the database, the store and this machine; nobody outside is asked. The sentences name no
person, no workspace and no value of a setting that could be secret, so that they may go into a report.
"""

import ctypes
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from flask import current_app
from sqlalchemy import func, select, text

from . import address_check, audit, credentials, mail, metrics, outbox, outside, platform_apps, tallies
from .config import Config
from .database import sqlite_path, writing
from .extensions import db
from .metrics import Figures
from .models import DISCONNECTED, PUBLISHED, SENT, Account, Delivery, Installation, PlatformApp, User
from .platform_apps import CallbackChange
from .providers import PROVIDERS, versions
from .providers import provider as provider_of
from .providers.versions import Life
from .times import ago, span

OK, TODO, UNKNOWN = "ok", "todo", "unknown"
ORDER = {TODO: 0, UNKNOWN: 1, OK: 2}
GIB = 1024**3
LITTLE_SPACE, NO_SPACE = 5 * GIB, GIB
LATE_ADDRESS = timedelta(days=8)  # it is looked at daily; after a week of silence nobody knows any more
MAIL_SEEN = timedelta(days=30)
WORTH_A_WORD = 30  # seconds; platforms refuse signed requests from minutes on
KEYS_NOTE = "keys_copied"  # the row of Installation that says who has a copy of which keys
NETWORK_DISKS = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "glusterfs", "fuse.sshfs", "fuse.glusterfs", "9p",
                 "afs", "lustre", "fuse.s3fs", "fuse.rclone")
MOUNTS = Path("/proc/self/mountinfo")
CLOCK_NOT_SET, ONLY_READ = 5, 0  # TIME_ERROR of adjtimex(2); a call that changes nothing

# Where each thing is done: paths below the public address.
HEALTH, PLATFORMS = "/admin/health", "/admin/platforms"
ADDRESS_PAGE, MAIL_PAGE, DEPLOYMENT = "/admin/address", "/admin/alerts", "/help/deployment"


@dataclass(frozen=True)
class Item:
    """One thing that was looked at. `step`: what to do, empty where it is in order; `path`: where, below our address.

    `ticks`: an admin says that it is done, by a button. `is_own`: the text is the console's own; else it has words of a
    setting, a proxy or a platform in it, which no report repeats.
    """

    name: str
    title: str
    state: str  # ok, todo, unknown
    text: str
    step: str = ""
    path: str = ""
    path_words: str = ""
    ticks: bool = False
    is_own: bool = True

    @property
    def tone(self) -> str:
        """The status word whose colour and icon it has."""
        return {OK: "ok", TODO: "warn", UNKNOWN: "info"}[self.state]


@dataclass(frozen=True)
class Copy:
    """Who said that there is a copy of the keys, and when."""

    by: str
    at: datetime


@dataclass(frozen=True)
class About:
    """What the items are drawn from."""

    config: Config
    found: Figures
    now: datetime


Look = Callable[[About], Iterator[Item]]


def items(now: datetime) -> list[Item]:
    """All items, what is to be done first. With the database away, only those that need none."""
    about = About(_config(), metrics.figures(now), now)
    looks = (*WITHOUT_DATABASE, *WITH_DATABASE) if about.found.rows is not None else WITHOUT_DATABASE
    return sorted((item for look in looks for item in look(about)), key=lambda item: ORDER[item.state])


def _config() -> Config:
    config: Config = current_app.extensions["config"]
    return config


# ---------------------------------------------------------------- how it is reached


def _https(about: About) -> Iterator[Item]:
    title = "HTTPS"
    if about.config.https:
        yield Item("https", title, OK, "People reach the console by https.")
    elif about.config.is_loopback:
        yield Item("https", title, OK, "Only this machine reaches the console, so it needs no encryption.")
    else:
        yield Item("https", title, TODO, "The public address is http: passwords and permissions cross the net in the "
                   "open, and most platforms refuse such a callback.", "Put a proxy with a certificate before the "
                   "console and set API_PUBLIC_URL to https.", DEPLOYMENT, "How to set it up")


def _address(about: About) -> Iterator[Item]:
    title, last = "Public address", address_check.last()
    if about.config.is_loopback:
        yield Item("address", title, OK, "It is this machine's own. Platforms that fetch files from the console, and "
                   "people elsewhere, cannot reach it.")
    elif last is None or about.now - last.at > LATE_ADDRESS:
        yield Item("address", title, UNKNOWN, "Nobody has looked lately whether the console answers at its public "
                   "address.", "Press Check the address.", ADDRESS_PAGE, "Check the address")
    elif last.verdict == address_check.OK:
        yield Item("address", title, OK, f"The console answers there, seen {ago(last.at, about.now)}.")
    else:
        state = TODO if last.verdict == address_check.DIFFERS else UNKNOWN
        yield Item("address", title, state, last.sentence, "Correct the proxy or the setting, then check again.",
                   ADDRESS_PAGE, "Look at the check", is_own=False)


def _warnings(about: About) -> Iterator[Item]:
    for number, warning in enumerate(about.config.warnings, 1):
        yield Item(f"setting_{number}", "A setting", TODO, warning, "Change it, then start the console again.",
                   is_own=False)


# ---------------------------------------------------------------- the clock


def _clock(about: About) -> Iterator[Item]:
    """By the platforms that answered lately, else by the kernel; a clock that several hosts share is corrected."""
    title = "Clock"
    worst = _worst_drift(about) if about.found.rows is not None else None
    ahead = outside.corrected()
    if worst is not None and abs(worst) > WORTH_A_WORD:
        way = "behind" if worst > 0 else "ahead of"
        yield Item("clock", title, TODO, f"This machine's clock is about {abs(worst):,.0f} seconds {way} those of the "
                   "platforms. Posts go out at the wrong time, and signed requests are refused.",
                   "Turn on time synchronisation, for example `timedatectl set-ntp true`.")
    elif abs(ahead) > timedelta(seconds=WORTH_A_WORD):
        yield Item("clock", title, TODO, f"This machine's clock differs from the database's by {span(abs(ahead))}. The "
                   "console goes by the database's.", "Turn on time synchronisation on this machine.")
    elif worst is not None:
        yield Item("clock", title, OK, "It agrees with those of the platforms that answered in the last hour.")
    elif kernel_keeps_time():
        yield Item("clock", title, OK, "This machine says that it is kept in time.")
    else:
        yield Item("clock", title, UNKNOWN, "No platform outside this machine answered in the last hour to compare "
                   "with, and this machine does not say that anything sets its clock.",
                   "Look whether time synchronisation is on, for example with `timedatectl`.")


def _worst_drift(about: About) -> float | None:
    """Seconds that platforms were ahead of us in the last hour, the most; None if none answered."""
    rows = about.found.rows.hour if about.found.rows is not None else {}
    means = [one.total / one.number for key, one in rows.items() if key.what == tallies.CLOCK and one.number]
    return max(means, key=abs, default=None)


def kernel_keeps_time() -> bool:
    """Whether the kernel says that something sets its clock; False where it does not, or cannot be asked."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        call = ctypes.CDLL(None, use_errno=True).adjtimex
        return 0 <= int(call(ctypes.create_string_buffer(512))) != CLOCK_NOT_SET
    except (OSError, AttributeError):
        return False


# ---------------------------------------------------------------- what must not be lost


def _keys(about: About) -> Iterator[Item]:
    title, copied = "Copy of the keys", keys_copied()
    mark = fingerprint(about.config)
    if copied is not None:
        yield Item("keys", title, OK, f"An admin said {ago(copied.at, about.now)} that there is a copy of the keys "
                   f"{mark}.")
        return
    yield Item("keys", title, TODO, f"Without TOKEN_ENCRYPTION_KEY (fingerprint {mark}) no stored token opens again, "
               "and every profile has to be reconnected.", f"Copy {_keys_place(about.config)} to a place that is not "
               "this machine, then press “I have a copy” under Health. You are asked again when the keys change.",
               ticks=True)


def _keys_place(config: Config) -> str:
    source = config.source["TOKEN_ENCRYPTION_KEY"]
    return {"environment": "the environment that TOKEN_ENCRYPTION_KEY comes from",
            "file": "the file that TOKEN_ENCRYPTION_KEY_FILE names"}.get(source, f"the file {source}")


def fingerprint(config: Config) -> str:
    """A short name of the present keys, from which nobody can compute them."""
    told = hashlib.sha256(b"fingerprint of the keys\0" + ",".join(config.token_keys).encode()).hexdigest()
    return f"{told[:4]}-{told[4:8]}"


def keys_copied() -> Copy | None:
    """Who said that there is a copy of the present keys; None if nobody did."""
    note = db.session.get(Installation, KEYS_NOTE)
    found = json.loads(note.text) if note is not None and note.text else {}
    if found.get("keys") != fingerprint(_config()):
        return None
    return Copy(found["by"], datetime.fromisoformat(found["at"]))


def confirm_keys(seen: str, by: User, now: datetime) -> bool:
    """An admin has a copy of the keys with the fingerprint `seen`; False where the keys changed meanwhile."""
    mark = fingerprint(_config())
    if seen != mark:
        return False
    with writing() as session:
        note = session.get(Installation, KEYS_NOTE) or Installation(name=KEYS_NOTE)
        note.text = json.dumps({"keys": mark, "by": by.shown, "at": now.isoformat()})
        session.add(note)
        audit.record("keys.copied", "installation", KEYS_NOTE, f"{by.shown} has a copy of the keys {mark}", name="Keys")
    return True


def _backup(about: About) -> Iterator[Item]:
    """When a copy of the database was last made, only its keeper knows."""
    way = ("`sqlite3 console.db \"VACUUM INTO 'copy.db'\"`, while the console runs, or a snapshot of the disk"
           if about.found.database == "sqlite" else "`pg_dump`, or the copies of your provider")
    yield Item("backup", "Backup of the database", UNKNOWN, "The console cannot see whether copies of its database "
               "are made, nor how old they are.", f"Make one every day with {way}, keep the files and the keys with "
               "it, and try once to start from it.", DEPLOYMENT, "What to back up")


# ---------------------------------------------------------------- mail


def _mail(about: About) -> Iterator[Item]:
    title = "E-mail"
    if not mail.is_set(about.config):
        yield Item("mail", title, TODO, "No mail server is set: nobody is told when a profile breaks, and invitations "
                   "are copied by hand.", "Set MAIL_URL and MAIL_FROM, then start the console again.")
        return
    box = outbox.status(about.now)
    if box.trouble:
        yield Item("mail", title, TODO, f"The mail server did not take the last mail. {box.waiting:,} wait, "
                   f"{box.given_up:,} were given up.", "Read why on the page, correct MAIL_URL, and send a test.",
                   MAIL_PAGE, "Send a test")
    elif box.last_sent is None or about.now - box.last_sent > MAIL_SEEN:
        yield Item("mail", title, UNKNOWN, "A mail server is set, and no mail was sent by it lately.", "Send a test to "
                   "yourself.", MAIL_PAGE, "Send a test")
    else:
        yield Item("mail", title, OK, f"The mail server took a mail {ago(box.last_sent, about.now)}.")


# ---------------------------------------------------------------- this machine


def _disk(about: About) -> Iterator[Item]:
    places = [("disk", "Disk of the instance folder", about.config.instance_path)]
    if not about.config.media_s3_url and _device(about.config.media_folder) not in (
            None, _device(about.config.instance_path)):
        places.append(("disk_media", "Disk of the files", about.config.media_folder))
    for name, title, folder in places:
        try:
            free = shutil.disk_usage(folder).free
        except OSError:
            yield Item(name, title, TODO, "The folder cannot be read.", "Look whether it is there, and at its rights.")
            continue
        words = f"{free / GIB:,.1f} GB are free."
        if free < LITTLE_SPACE:
            yield Item(name, title, TODO, words + (" A full disk stops everything." if free < NO_SPACE else ""),
                       "Make room, or give the folder a larger disk.")
        else:
            yield Item(name, title, OK, words)


def _device(folder: Path) -> int | None:
    try:
        return folder.stat().st_dev
    except OSError:
        return None


def disk_kind(path: Path, mounts: Path = MOUNTS) -> str:
    """The kind of file system that a path lies on, such as ext4 or nfs4; empty where it cannot be told."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
        real = str(path.resolve())
    except OSError:
        return ""
    found, longest = "", -1
    for line in lines:
        head, separator, tail = line.partition(" - ")
        fields = head.split()
        if not separator or len(fields) < 5:
            continue
        point = fields[4].replace("\\040", " ")
        if (real == point or real.startswith(f"{point.rstrip('/')}/")) and len(point) >= longest:
            found, longest = tail.split()[0], len(point)
    return found


def _database(about: About) -> Iterator[Item]:
    title, file = "Database", sqlite_path(about.config)
    size = _database_size(file)
    words = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}.get(about.found.database, about.found.database)
    if file is not None and disk_kind(file) in NETWORK_DISKS:
        yield Item("database", title, TODO, f"The SQLite file lies on a network disk ({disk_kind(file)}), where its "
                   "locks do not hold. It can be damaged.", "Move the instance folder to a disk of this machine, or "
                   "use PostgreSQL.")
        return
    yield Item("database", title, OK, f"{words} {_server_version()} answers; it has {size / 1024**2:,.0f} MB.")


def _server_version() -> str:
    if db.engine.dialect.name == "sqlite":
        return str(getattr(db.engine.dialect.dbapi, "sqlite_version", ""))
    return ".".join(str(part) for part in db.engine.dialect.server_version_info or ())


def _database_size(file: Path | None) -> int:
    if file is None:
        return int(db.session.scalar(text("SELECT pg_database_size(current_database())")) or 0)
    return sum(os.stat(part).st_size for part in (file, Path(f"{file}-wal")) if part.exists())


def _work(about: About) -> Iterator[Item]:
    found = about.found.processes
    if found is None:
        yield Item("store", "Store", TODO, "It does not answer, so nobody is woken. Posts wait.", "Look whether it "
                   "runs, and at REDIS_URL.")
        return
    yield Item("store", "Store", OK, "It answers.")
    for name, title, seen, who in (("workers", "Workers", found.workers, "publishes or renews"),
                                   ("ticker", "Ticker", found.tickers, "finds what is due")):
        if seen:
            yield Item(name, title, OK, f"{len(seen):,} at work.")
        else:
            yield Item(name, title, TODO, f"None is at work: nobody {who}.",
                       f"Start `socialconsole run` or `socialconsole {'worker' if name == 'workers' else 'ticker'}`.")


def _spool(about: About) -> Iterator[Item]:
    if about.found.spool_trouble:
        yield Item("spool", "Spool", TODO, "Renewed tokens cannot be kept beside the database on this machine.",
                   "Look at the rights of the spool folder, and whether the disk is full.")
    else:
        yield Item("spool", "Spool", OK, "Renewed tokens can be kept beside the database.")


# ---------------------------------------------------------------- platforms


def apps() -> list[PlatformApp]:
    """All apps that are saved, as they were made."""
    return [app for app in db.session.scalars(select(PlatformApp).order_by(PlatformApp.created_at, PlatformApp.id))
            if app.is_saved]


def _platforms(about: About) -> Iterator[Item]:
    saved = apps()
    on = sum(app.is_on for app in saved)
    if not on:
        yield Item("platforms", "Platforms", TODO, "No platform is on, so nobody can connect a profile.",
                   "Set one up, or try it with the sandbox." if about.config.sandbox else "Set one up.", PLATFORMS,
                   "Social Platform")
    else:
        yield Item("platforms", "Platforms", OK, f"{on} {'app is' if on == 1 else 'apps are'} on.")
    for app in saved:
        yield from _app(app, about)


def _app(app: PlatformApp, about: About) -> Iterator[Item]:
    title, path = platform_apps.title(app), f"{PLATFORMS}/{app.segment}"
    words = f"Configure {title}"
    change: CallbackChange | None = platform_apps.callback_change(app)
    if change is not None:
        yield Item(f"callback_{app.segment}", f"Callback of {title}", TODO, "The callback is another one than when the "
                   "app was saved, so nobody can connect until the platform knows it.", "Register the new one there, "
                   "then save here again.", path, words)
    if app.is_on and app.trouble:
        yield Item(f"trouble_{app.segment}", title, TODO, app.trouble, "Look at the app.", path, words, is_own=False)
    elif app.is_check_current and app.check_verdict in credentials.WRONG:
        yield Item(f"check_{app.segment}", title, TODO,
                   f"The last check: {credentials.label(app.check_verdict, app.check_message)}.",
                   "Correct it and check again.", path, words)
    if app.is_on and app.is_sandbox and not about.config.is_loopback:
        yield Item(f"sandbox_{app.segment}", title, TODO, "It speaks to the sandbox: nothing is posted in public.",
                   "Save the ID and secret of a real app.", path, words)
    if not app.is_sandbox:
        yield from _version(app, title, path, about)


def _version(app: PlatformApp, title: str, path: str, about: About) -> Iterator[Item]:
    life = versions.life(provider_of(app.platform), app.api_version)
    if life is None:
        return
    name, label = f"version_{app.segment}", f"{_label(app)} of {title}"
    left = life.left(about.now.date())
    if left is None:
        if not life.is_known:
            yield Item(name, label, UNKNOWN, f"The console does not know {life.version}, nor when it ends.",
                       f"Look at {life.source}.", path, f"Configure {title}")
        else:
            yield Item(name, label, OK, f"{life.version}; no end is announced.")
        return
    yield Item(name, label, *_how_long(life, left), path if left <= versions.SOON else "",
               f"Configure {title}" if left <= versions.SOON else "")


def _label(app: PlatformApp) -> str:
    facts = provider_of(app.platform).api_version
    return facts.label if facts is not None else "Version"


def _how_long(life: Life, left: timedelta) -> tuple[str, str, str]:
    """State, sentence and step for a version with a last day."""
    day = f"{life.ends.day} {life.ends:%B %Y}" if life.ends is not None else ""
    if left > versions.SOON:
        return OK, f"{life.version} lives until {day}.", ""
    step = (f"Choose {life.instead} under Advanced and try a post." if life.instead else
            "This console knows none that lives longer: install its newest version, or type a newer one from "
            f"{life.source} under Advanced.")
    if left < timedelta(0):
        return TODO, f"{life.version} ended on {day}. Posts may be refused.", step
    urgent = "Only " if left <= versions.NEAR else ""
    days = f"{left.days} {'day' if left.days == 1 else 'days'}"
    return TODO, f"{life.version} ends on {day}. {urgent}{days} are left.".replace("1 day are", "1 day is"), step


def _sandbox(about: About) -> Iterator[Item]:
    if about.config.sandbox and not about.config.is_loopback:
        yield Item("sandbox", "Sandbox", TODO, "The built-in platforms to try the console with are on, at a public "
                   "address.", "Set SANDBOX=off, unless you are trying things out.")


# ---------------------------------------------------------------- the first days


@dataclass(frozen=True)
class Step:
    """One step of getting started, and whether it is done."""

    name: str
    title: str
    text: str
    path: str
    is_done: bool


def first_steps(now: datetime) -> list[Step]:
    """The way from an empty console to the first post; empty once all of it was done."""
    is_on = any(app.is_on for app in apps())
    has_account = db.session.scalar(select(Account.id).where(Account.state != DISCONNECTED).limit(1)) is not None
    has_post = db.session.scalar(select(Delivery.id).where(Delivery.state.in_((PUBLISHED, SENT))).limit(1)) is not None
    people = db.session.scalar(select(func.count()).select_from(User)) or 0
    steps = [
        Step("keys", "Copy the keys", "They alone open what is stored.", f"{HEALTH}#item-keys",
             keys_copied() is not None),
        Step("platform", "Turn on a platform", f"One of {len(PROVIDERS)}; the sandbox needs no developer account."
             if _config().sandbox else f"One of {len(PROVIDERS)}.", PLATFORMS, is_on),
        Step("people", "Invite somebody", "An owner of a workspace connects profiles and approves posts.",
             "/admin/workspaces", people > 1),
        Step("profile", "Connect a profile", "In a workspace, under Social Profile.", "/", has_account),
        Step("post", "Publish a post", "In a workspace, under Compose.", "/", has_post),
    ]
    return [] if has_post and all(one.is_done for one in steps if one.name != "people") else steps


WITHOUT_DATABASE: Sequence[Look] = (_https, _warnings, _sandbox, _work, _disk, _spool)
WITH_DATABASE: Sequence[Look] = (_address, _clock, _keys, _mail, _database, _backup, _platforms)

"""The sentences of the tenant pages, as data: what a state means to people and what can be done about it.

Services write a note where they know more; these are the words for when they do not. Statuses themselves, their
icons and tones are the same everywhere and live with the macros.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..models import (
    CANCELLED,
    DECLINED,
    EXPIRED,
    FAILED,
    FINISHED,
    HELD,
    MISSED,
    PREPARING,
    PROCESSING,
    PUBLISHED,
    PUBLISHING,
    SCHEDULED,
    SENT,
    STARTED,
    UNCONFIRMED,
    Delivery,
    DeliveryEvent,
)
from ..post_lists import NEEDS_PERSON

# ---------------------------------------------------------------- deliveries

# state -> the line beside its chip when the service left no note; {platform} is filled in
DELIVERY_NOTES = {
    SCHEDULED: "",
    PREPARING: "Being prepared for {platform}.",
    PROCESSING: "{platform} is getting it ready.",
    PUBLISHING: "Being sent to {platform}.",
    SENT: "{platform} has accepted it and is still working on it.",
    PUBLISHED: "",
    HELD: "It waits for a person.",
    UNCONFIRMED: "{platform} did not answer and may have it. Look there before you publish again.",
    MISSED: "Its window passed while the server was down. Reschedule it if it still fits.",
    FAILED: "{platform} refused it.",
    CANCELLED: "",
}

# what releases a held delivery, by the reason it is held for
HOLDS = {
    "account": "Reconnect or resume the profile and it goes out.",
    "platform": "It goes out when an administrator turns {platform} on again.",
    "app": "It goes out when an administrator has repaired the connection to {platform}.",
}


@dataclass(frozen=True)
class Action:
    """Something a person may do to a delivery: its address, its words, and whether a page asks first."""

    slug: str
    label: str
    asks: bool = False  # the button leads to a page with a question
    stands_out: bool = True  # False: drawn quietly, never the highlighted choice


RETRY = Action("retry", "Try again")
PUBLISH_NOW = Action("retry", "Publish now")
CANCEL = Action("cancel", "Cancel", stands_out=False)
RESCHEDULE = Action("reschedule", "Reschedule", asks=True)
CHECK_AGAIN = Action("check-again", "Check again")
MARK_PUBLISHED = Action("mark-published", "Mark as published", asks=True, stands_out=False)
PUBLISH_AGAIN = Action("publish-again", "Publish again", asks=True, stands_out=False)
DELETE = Action("delete", "Delete there", asks=True, stands_out=False)

ACTIONS: dict[str, tuple[Action, ...]] = {
    SCHEDULED: (RESCHEDULE, CANCEL),
    HELD: (RESCHEDULE, CANCEL),
    UNCONFIRMED: (CHECK_AGAIN, MARK_PUBLISHED, PUBLISH_AGAIN),
    MISSED: (RESCHEDULE, PUBLISH_NOW, CANCEL),
    FAILED: (RETRY, CANCEL),
    CANCELLED: (RESCHEDULE,),
    PUBLISHED: (DELETE,),
}
# where the platform accepted a post and nobody asks any more what became of it
STUCK = (CHECK_AGAIN, MARK_PUBLISHED)
BY_SLUG = {action.slug: action for actions in ACTIONS.values() for action in actions}

# what is said once an action took effect
DONE = {
    "retry": "It is tried again now.",
    "cancel": "Cancelled. Nothing is sent to {account}.",
    "reschedule": "Rescheduled.",
    "check-again": "We look again whether {platform} has it.",
    "mark-published": "Marked as published.",
    "publish-again": "It is sent again now.",
    "delete": "Deleted at {platform}.",
}

# what is said where a list of posts is empty, by its filter
NO_POSTS = {
    "all": "No older posts.",
    "needs": "Nothing needs you.",
    "scheduled": "Nothing is scheduled.",
    "published": "Nothing is published yet.",
    "failed": "Nothing failed.",
}
NOT_FOUND = "No post fits what you look for. Widen the period, choose another profile, or search for less."
NONE_CHOSEN = "Choose at least one post first."

# where a delivery moves by itself within seconds; elsewhere a slow look is enough
MOVING = (PREPARING, PROCESSING, PUBLISHING, SENT)


def note(delivery: Delivery, platform: str) -> str:
    """The sentence beside the chip of a delivery; empty where the chip says it all."""
    if delivery.state == PUBLISHED and delivery.note == "Published.":
        return ""
    text = delivery.note or DELIVERY_NOTES.get(delivery.state, "").format(platform=platform)
    if delivery.state == HELD and not delivery.note:
        text = HOLDS.get(delivery.hold, text).format(platform=platform)
    return text


def actions(delivery: Delivery) -> tuple[Action, ...]:
    """What a person may do to a delivery in its present state, the likeliest first."""
    if delivery.state == SENT and delivery.due_at is None and delivery.lease_until is None:
        return STUCK
    return ACTIONS.get(delivery.state, ())


def summary(deliveries: Iterable[Delivery]) -> str:
    """One line for screen readers and titles: "2 published, 1 held"."""
    counts: dict[str, int] = {}
    for delivery in deliveries:
        counts[delivery.state] = counts.get(delivery.state, 0) + 1
    return ", ".join(f"{number} {state}" for state, number in counts.items()) or "not sent to any profile"


def counted(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """The states of a post to many profiles with their numbers, what needs a person first, then the most."""
    return sorted(counts.items(), key=lambda pair: (pair[0] not in NEEDS_PERSON, -pair[1], pair[0]))


def cancelled(done: int, late: int) -> str:
    """What came of cancelling several posts."""
    said = f"{count(done, 'post')} cancelled. What is already published stays."
    return f"{said} {count(late, 'post')} had moved on, so nothing of {'it' if late == 1 else 'them'} was " \
           "cancelled." if late else said


def step(event: DeliveryEvent) -> str:
    """One step of a delivery's log, in words."""
    return event.text or event.state.capitalize()


# ---------------------------------------------------------------- connecting


@dataclass(frozen=True)
class Outcome:
    """How a walk through consent ended: heading, what follows, tone of its sign."""

    title: str
    text: str
    tone: str
    icon: str


OUTCOMES = {
    STARTED: Outcome(
        "Waiting for {platform}", "Give your consent in the window of {platform}. This page goes on by itself.",
        "info", "busy"),
    FINISHED: Outcome("{names} connected to {workspace}", "Nothing else is needed.", "ok", "ok"),
    DECLINED: Outcome(
        "Nothing was connected", "You said no, at {platform} or here. Nothing was kept, and you can start again "
        "whenever you like.", "info", "slash"),
    FAILED: Outcome("Connecting to {platform} failed", "Nothing was connected.", "bad", "bad"),
    EXPIRED: Outcome(
        "This took too long", "The consent was not completed in time, so everything about it was erased. "
        "Nothing was connected. Start again; it takes about a minute.", "warn", "clock"),
}

# where the profile was connected without a permission that publishing needs
CANNOT_PUBLISH = Outcome("{names} connected to {workspace}", "One thing is left before it can publish.", "warn", "half")

# where only a permission was asked for, for a profile that is connected
NOT_GRANTED = Outcome(
    "Nothing was changed", "You said no, at {platform} or here. The profile works as before, and what was off stays "
    "off.", "info", "slash")

# after two minutes without an answer; general, since we cannot see the platform's page
HINTS = (
    "The window of {platform} was closed: press Start again below.",
    "{platform} shows an error page and does not send you back: the settings at {platform} do not fit this console. "
    "An administrator compares the callback address and the client ID, character by character.",
    "Another person is signed in at {platform} in this browser: sign out there first.",
)

UNKNOWN_ATTEMPT = Outcome(
    "This return does not belong to a connection", "The address came without a valid ticket, or the ticket was too "
    "old. Nothing was connected. Press Connect account and give your consent again.", "warn", "help")
WRONG_BROWSER = Outcome(
    "Finish where you started", "This connection was started in another browser, or by another person. Nothing was "
    "connected. Start it here, signed in as yourself.", "warn", "lock")
WRONG_BROWSER_OF_LINK = Outcome(
    "Finish where you started", "This connection was started by a link in another browser. Nothing was connected. Open "
    "the link here and begin again, or go on in the other browser.", "warn", "lock")

# ---------------------------------------------------------------- accounts

# what each status means on the card where the service gives no reason
ACCOUNT_REASONS = {
    "expiring": "Access ends soon, and only you can renew it.",
    "limited": "A permission is missing. Reconnect asks for it again.",
    "token_expired": "The platform no longer accepts this connection. Reconnect it.",
    "paused": "Nothing is published; the connection is kept alive.",
    "disconnected": "Only its history is kept.",
}
NEEDS_A_PERSON = ("token_expired", "limited", "expiring")
STATUS_ORDER = ("token_expired", "limited", "expiring", "active", "paused", "disconnected")
SWITCHED_OFF = "Posts to this profile wait until an administrator turns it on."
NEVER_ENDS = "This access has no end date."
PICTURE_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp")

CANNOT_PAUSE = "Only a profile that works can be paused. Look at its state below."
CANNOT_RESUME = "This profile needs a new connection first. Reconnect it, and it publishes again."
NOT_DISCONNECTED = "This profile is connected, so its permission at the platform is in use. Disconnect it first."
IS_DISCONNECTED = "This profile is disconnected already. Connect it again to publish to it."

# what disconnecting achieved at the platform, and what it says of the token: word and sign
REVOCATIONS = {"revoked": ("Revoked at {platform}", "ok"), "not_offered": ("Not offered by {platform}", "warn"),
               "failed": ("Not confirmed by {platform}", "bad"), "stays": ("Stays for others", "info"),
               "nothing": ("Nothing to take back", "info")}
LIGHTS = {"works": ("Works", "ok"), "off": ("Off", "warn"), "unknown": ("Not known", "info")}

ANSWERS = {"granted": "Granted", "missing": "Declined", "unknown": "Not confirmed"}

# action of an audit event -> tone and icon in a timeline; the first part that fits wins
TIMELINE = (
    ("account.connected", "ok", "profiles"),
    ("account.reconnected", "ok", "profiles"),
    ("account.paused", "paused", "pause"),
    ("account.resumed", "ok", "ok"),
    ("account.disconnected", "disconnected", "slash"),
    ("account.expired", "token_expired", "unplug"),
    ("account.token_expired", "token_expired", "unplug"),
    ("account.synced", "info", "refresh"),
    ("grant.renewed", "ok", "ok"),
    ("grant.", "info", "refresh"),
    ("token.renewed", "ok", "ok"),
    ("", "info", "info"),
)


def count(number: int, thing: str) -> str:
    """`1 post`, `3 posts`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def posts_wait(number: int) -> str:
    """How many posts wait, as a sentence."""
    return "1 scheduled post waits." if number == 1 else f"{number} scheduled posts wait."


def sign(action: str) -> tuple[str, str]:
    """Tone and icon of an event in a timeline."""
    return next((tone, icon) for start, tone, icon in TIMELINE if action.startswith(start))

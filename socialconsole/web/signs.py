"""Status words with their icon and label: one table, so that a state looks the same on every page.

The tone follows from the word alone, in the stylesheet.
"""

import hashlib

# status -> icon, label
SIGNS: dict[str, tuple[str, str]] = {
    # accounts
    "active": ("ok", "Active"),
    "expiring": ("clock", "Expires soon"),
    "limited": ("half", "Limited"),
    "token_expired": ("unplug", "Reconnect needed"),
    "paused": ("pause", "Paused"),
    "disconnected": ("slash", "Disconnected"),
    # deliveries
    "draft": ("compose", "Draft"),
    "submitted": ("clock", "Waiting for approval"),
    "scheduled": ("clock", "Scheduled"),
    "preparing": ("busy", "Preparing"),
    "processing": ("busy", "Processing"),
    "publishing": ("busy", "Publishing"),
    "sent": ("sent", "Sent"),
    "published": ("check", "Published"),
    "held": ("held", "Held"),
    "unconfirmed": ("help", "Unconfirmed"),
    "missed": ("missed", "Missed"),
    "failed": ("bad", "Failed"),
    "cancelled": ("slash", "Cancelled"),
    # platforms
    "on": ("ok", "On"),
    "ready": ("check", "Ready"),
    "none": ("blank", "Not configured"),
    "attention": ("alert", "Needs attention"),
    # permissions and plain remarks
    "granted": ("check", "Granted"),
    "missing": ("x", "Missing"),
    "unknown": ("help", "Unknown"),
    "sandbox": ("sandbox", "Sandbox"),
    "ok": ("ok", "Done"),
    "info": ("info", "Note"),
    "warn": ("alert", "Attention"),
    "bad": ("bad", "Problem"),
}

# status of an account or a platform -> the line that is drawn for it
WIRES = {"active": "wire-on", "expiring": "wire-soft", "limited": "wire-soft", "token_expired": "wire-cut",
         "paused": "wire-rest", "disconnected": "wire-none",
         "on": "wire-on", "ready": "wire-soft", "attention": "wire-cut", "none": "wire-none"}


def icon_of(status: str) -> str:
    """The icon of a status."""
    return SIGNS.get(status, SIGNS["info"])[0]


def label_of(status: str) -> str:
    """The words of a status."""
    return SIGNS[status][1] if status in SIGNS else status.replace("_", " ").capitalize()


def wire_of(status: str) -> str:
    """The line between a platform and a profile in this state."""
    return WIRES.get(status, "wire-none")


def initials(name: str) -> str:
    """One or two letters that stand for a name."""
    words = [word for word in name.replace("@", " ").replace(".", " ").split() if word[:1].isalnum()]
    if not words:
        return "?"
    return (words[0][0] + (words[1][0] if len(words) > 1 else words[0][1:2])).upper()


def tone(name: str) -> int:
    """One of the four quiet grounds for a name, always the same one."""
    return sum(name.encode()) % 4 + 1


def tag(text: str) -> str:
    """A short name for an element of the page that shows this text; the same text has the same one."""
    return hashlib.sha256(text.encode()).hexdigest()[:10]

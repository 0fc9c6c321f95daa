"""A recording in words: its steps for a page and for a file, and what its outcome means."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .. import times
from ..errors import ADMIN, AUTHOR, CONSOLE, DEVELOPER, TENANT
from ..metrics import version
from ..models import Recording
from ..providers import provider as provider_of
from ..recorder import CONNECT, PUBLISH, RENEW
from ..recordings import NOT_FOUND, OK, STARTED, WAITS
from ..takedown import LEFT_OUT, Step

KINDS = {CONNECT: "Connection", RENEW: "Renewal", PUBLISH: "Publishing"}

# outcome -> tone, words; of `ok` and `waits` by kind
OUTCOMES = {
    STARTED: ("info", "Sent to the platform"), "declined": ("info", "Declined"),
    "expired": ("warn", "Not finished in time"),
    "rate_limited": ("warn", "Asked to wait"), "no_answer": ("warn", "No clear answer"),
    "try_later": ("warn", "Could not be reached"), "reconnect": ("bad", "Permission ended"),
    "permission": ("bad", "Permission missing"), "already_published": ("warn", "Was there already"),
    "content": ("bad", "Post refused"), "app": ("bad", "App refused"), "failed": ("bad", "Failed"),
    "ours": ("bad", "Fault of the console"), NOT_FOUND: ("info", "Looked: not found"),
}
WELL = {CONNECT: "Connected", RENEW: "Renewed", PUBLISH: "Accepted"}
WAITING = {CONNECT: "Waits for a person’s word", PUBLISH: "The platform prepares it"}
READ = {
    "declined": "the person said no", "rate_limited": "the platform asks to wait",
    "no_answer": "nobody knows what happened",
    "try_later": "nothing happened, and it may be tried again", "reconnect": "the permission is over",
    "permission": "a permission is missing", "already_published": "the platform has this post already",
    "content": "the platform refuses this text or file", "app": "the platform refuses the app of this console",
    "failed": "this walk failed, and a new one may succeed", "ours": "a fault of the console itself",
}
WHO = {
    TENANT: "Somebody of the workspace has to act.", AUTHOR: "The author has to act.",
    ADMIN: "A platform admin of this console has to act.", CONSOLE: "Nobody has to act: the console goes on by itself.",
    DEVELOPER: "Nobody here can mend it; tell whoever looks after this console.",
}


@dataclass(frozen=True)
class Line:
    """One step: a sign, a sentence or a call, and what else is known of it."""

    tone: str
    text: str
    after: str  # from the beginning: +0.3 s
    is_call: bool = False
    result: str = ""
    details: tuple[tuple[str, str], ...] = ()  # label, value
    said: str = ""  # the platform's sentence


@dataclass(frozen=True)
class Told:
    """A recording for a page."""

    row: Recording
    tone: str
    outcome: str
    lines: list[Line]

    @property
    def kind(self) -> str:
        """What it is a recording of."""
        return KINDS.get(self.row.kind, self.row.kind)

    @property
    def platform(self) -> str:
        """The platform's name."""
        return provider_of(self.row.platform).name

    @property
    def took(self) -> str:
        """How long it took."""
        return length(self.row.spent)


def tell(row: Recording) -> Told:
    """A recording in words."""
    tone, words = OUTCOMES.get(row.outcome, ("bad", row.outcome.replace("_", " ").capitalize()))
    if row.outcome == OK:
        tone, words = "ok", WELL.get(row.kind, "Done")
    elif row.outcome == WAITS:
        tone, words = "info", WAITING.get(row.kind, "Waits")
    return Told(row, tone, words, [_line(step) for step in row.steps])


def length(milliseconds: int) -> str:
    """A stretch of time as people say it: 40 ms, 1.2 s, 3 min."""
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    if milliseconds < 100_000:
        return f"{milliseconds / 1000:.1f} s"
    return f"{round(milliseconds / 60_000):,} min"


def _line(step: Step) -> Line:
    after = f"+{length(int(step.get('at', 0)))}"
    if "call" in step:
        return _call(step, after)
    if "page" in step:
        return Line("info", f"Consent page: {step['page']}", after, is_call=True,
                    details=_listed(("Parameters", step.get("query"))))
    if "read" in step:
        who = WHO.get(str(step.get("who")), "")
        return Line("warn", f"Read as: {READ.get(step['read'], step['read'])}. {who}".strip(), after,
                    said=str(step.get("said", "")))
    if "decided" in step:
        return Line("info", f"Decision: {step['decided']}", after)
    if step.get("note") == LEFT_OUT:
        return Line("info", f"{LEFT_OUT}: {step.get('left', 1)}.", after)
    values = step.get("values")
    return Line("info", f"{step.get('note', '')}{':' if values else '.'} {', '.join(values or ())}".strip(), after)


def _call(step: Step, after: str) -> Line:
    status = int(step.get("status") or 0)
    error = step.get("error") or {}
    tone = "ok" if 200 <= status < 300 and not error else "bad" if 400 <= status < 500 else "warn"
    result = f"Answered {status} after {length(int(step.get('ms', 0)))}" if status else \
        f"No answer after {length(int(step.get('ms', 0)))}"
    if step.get("size"):
        result += f", {int(step['size']):,} bytes"
    if "form" in step:
        result += f", {step['form']}"
    said = next((str(error[name]) for name in ("message", "error_description", "error_message", "detail",
                                               "error_user_msg") if error.get(name)), "")
    codes = [f"{name} {value}" for name, value in error.items() if not isinstance(value, str) or value != said]
    heads = [f"{name}: {value}" for name, value in (step.get("heads") or {}).items()]
    return Line(tone, str(step["call"]), after, is_call=True, result=f"{result}.", said=said, details=_listed(
        ("Parameters", step.get("query")), ("Sent", step.get("sent")), ("Answer holds", step.get("got")),
        ("Error", codes), ("Headers", heads), ("Broke off with", step.get("trouble"))))


def _listed(*pairs: tuple[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((label, ", ".join(map(str, values))) for label, values in pairs if values)


# ---------------------------------------------------------------- as a file


def as_json(row: Recording, workspace: str = "") -> str:
    """A recording as a JSON document; the workspace's name only if it is given."""
    return json.dumps({**_facts(row, workspace), "steps": row.steps, "readable": as_text(row, workspace).splitlines()},
                      indent=2, ensure_ascii=False) + "\n"


def as_text(row: Recording, workspace: str = "") -> str:
    """A recording as lines to read."""
    told, facts = tell(row), _facts(row, workspace)
    head = [f"{label}: {facts[name]}" for name, label in FACTS if facts.get(name) not in (None, "")]
    return "\n".join([*head, f"Outcome: {told.outcome}", "", *_read(told.lines), "", NOTHING_SECRET]) + "\n"


FACTS = (("console", "Social Console"), ("kind", "Timeline of a"), ("platform", "Platform"), ("began", "Began"),
         ("spent_ms", "Milliseconds"), ("code", "Code"), ("workspace", "Workspace"), ("recording", "Timeline"),
         ("subject", "About"))
NOTHING_SECRET = ("It holds names of parameters, codes and times. Tokens, secrets, codes of a consent, addresses of "
                  "people and the texts of posts are never taken down.")


def _facts(row: Recording, workspace: str) -> dict[str, Any]:
    found = {"console": version(), "kind": KINDS.get(row.kind, row.kind).lower(),
             "platform": provider_of(row.platform).name, "began": times.exact(row.at, "UTC"), "spent_ms": row.spent,
             "outcome": row.outcome, "code": row.code, "recording": row.id, "subject": row.subject_id}
    return found | {"workspace": workspace} if workspace else found


def _read(lines: Iterable[Line]) -> Iterable[str]:
    for number, line in enumerate(lines, 1):
        yield f"{number:>3}. {line.after:>9}  {line.text}"
        for more in filter(None, (line.result, f"“{line.said}”" if line.said else "",
                                  *(f"{label}: {value}" for label, value in line.details))):
            yield f"{'':>16}{more}"

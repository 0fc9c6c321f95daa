"""What an error of a platform means for people: why it happened, who can end it, what to do next, and where.

Each platform lists its own causes as rows of data in `<platform>_errors.py`; the first row that fits wins. A row looks
at the platform's short code as the console keeps it (`190/460`, `invalid_client`) and at words of the platform's
sentence or of the one that the console wrote in its place. Nothing of what it looked at is ever shown.
"""

from dataclasses import dataclass

from ..errors import ADMIN, CONSOLE, TENANT
from .refusals import DELETE, PREPARE, PROFILES, PUBLISH, READ, RENEW, TOKEN

PLATFORM, NOBODY_KNOWS = "platform", ""  # besides those of `errors`: the platform itself; it cannot be told
# Further steps than those of `refusals`: the way back with a refusal, and a page that never sends the person back.
REDIRECT, CONSENT = "redirect", "consent"
CONNECTING = (REDIRECT, CONSENT, TOKEN, PROFILES)
SENDING = (READ, PREPARE, PUBLISH, DELETE)


@dataclass(frozen=True)
class Cause:
    """One row. It fits if a code and a text fit, where both are named. A code that ends in `*` is a beginning.

    `text`: fragments in lower case. `next_step` may name {name}. `page`: where to act, https; empty means the portal
    for what an administrator does. `shows`: for a page that never comes back, what stands on it.
    """

    code: tuple[str, ...]
    who: str
    cause: str
    next_step: str
    text: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    page: str = ""
    shows: str = ""

    def fits(self, step: str, code: str, raw: str) -> bool:
        """Whether this row speaks about an error. An empty `step` is any."""
        said = raw.lower()
        return ((not step or not self.steps or step in self.steps)
                and (not self.code or _names(self.code, code))
                and (not self.text or any(part in said for part in self.text))
                and bool(self.code or said))


def _names(patterns: tuple[str, ...], code: str) -> bool:
    """Whether one of the patterns names the code as a whole, or its main or further part."""
    known = {code, code.partition("/")[0], code.partition("/")[2]} - {""}
    return any(code.startswith(one[:-1]) if one.endswith("*") else one in known for one in patterns)


_WAIT = "Nothing has to be done. The console goes on by itself."
_AGAIN = "Press Connect or Reconnect once more and finish within a few minutes, in one go."

# For every platform, after its own rows.
EVERYWHERE = (
    Cause(("breaker",), PLATFORM, "Calls to {name} fail for many profiles at once, so the fault is at {name} or in its "
          "app and not with one profile.", "Wait: the console tries again by itself. If it lasts, look at the status "
          "page of {name}."),
    Cause(("scope_not_asked",), ADMIN, "The console does not ask for a permission that it needs: the scopes that were "
          "typed under Configure leave it out.", "Add it to the scopes there, or empty the field so that the usual "
          "ones are asked for, then have the profile connected again."),
    Cause(("access_denied",), TENANT, "The question of {name} was answered with No, or its window was closed.",
          "Connect again and allow what is asked, if that was not meant.", steps=(REDIRECT, TOKEN)),
    Cause((), TENANT, "The question of {name} was answered with No, or its window was closed.",
          "Connect again and allow what is asked, if that was not meant.", text=("you did not allow access",)),
    Cause(("server_error", "temporarily_unavailable"), PLATFORM, "{name} had a fault of its own while it asked for "
          "consent.", "Connect again in a few minutes.", steps=(REDIRECT,)),
    Cause((), ADMIN, "{name} does not accept what the console sent of the app: the callback, the client ID or a "
          "scope differs from what its portal holds.", "Compare the callback and the client ID with the portal, "
          "character by character, and the scopes with those that the app owns.",
          text=("refuses the settings of the app",)),
    Cause(("no_code", "no_token"), TENANT, "{name} came back without the code that it should have brought along.",
          "Connect again. Another address in the same window, or a browser extension, may have disturbed it.",
          steps=CONNECTING),
    Cause((), TENANT, "{name} ended the connection without telling why.", _AGAIN,
          text=("could not finish the connection",)),
    Cause(("app_changed",), TENANT, "An administrator changed the app at {name} after this connection was made, and "
          "what was allowed to the old app does not count for the new one.", "Connect the profile again."),
    Cause((), CONSOLE, "The answer of {name} was lost after the post was sent, so nobody knows yet whether it is out.",
          "The console looks for the post by itself. If it finds nothing, look at {name} and decide.",
          text=("did not confirm the post",)),
    Cause((), CONSOLE, "The answer of {name} was lost while the connection was renewed.",
          "Nothing has to be done. The console tries once more, and asks for a reconnect only if that is refused.",
          text=("did not answer while the connection was renewed",)),
    Cause((), TENANT, "{name} could not be reached, so nothing was connected.", "Connect again in a few minutes.",
          text=("nothing was connected. connect again in a few minutes",)),
    Cause(("unreachable", "no_answer", "foreign_address"), CONSOLE, "{name} could not be reached, or gave an answer "
          "that cannot be read.", _WAIT),
    Cause((), CONSOLE, "{name} could not be reached, or gave an answer that cannot be read.", _WAIT,
          text=("cannot be reached",)),
    Cause(("HTTP 429", "429"), CONSOLE, "So many calls were made that {name} asked for a pause.", _WAIT),
    Cause((), CONSOLE, "So many calls were made that {name} asked for a pause.", _WAIT, text=("asked us to wait",)),
    Cause(("HTTP 5*",), PLATFORM, "{name} has a fault of its own.", _WAIT),
    Cause(("stopped/*",), CONSOLE, "The process that sent the post was stopped in the middle of it.",
          "The console looks how far it came, and goes on from there."),
    Cause(("invalid_client", "unauthorized_client"), ADMIN, "{name} does not accept the client ID or its secret.",
          "Copy both again from the portal, and save them under Configure.", steps=(TOKEN, RENEW)),
    Cause(("invalid_grant",), TENANT, "The code that {name} gave was too old or used twice.", _AGAIN, steps=(TOKEN,)),
    Cause(("invalid_grant",), TENANT, "{name} ended this connection.", "Reconnect the profile.", steps=(RENEW,)),
    Cause((), TENANT, "{name} no longer lets this console read the profile: a role or a setting there changed.",
          "Have somebody with access to it connect the profile again.", text=("no longer shows us this",)),
    # The reasons that the console keeps for a profile that stopped working.
    Cause(("expired",), TENANT, "What was allowed at {name} holds for a limited time, and that time is over.",
          "Reconnect the profile."),
    Cause(("revoked",), TENANT, "{name} ended this connection, mostly because the app was removed there.",
          "Reconnect the profile."),
    Cause(("password_changed",), TENANT, "The password at {name} was changed, which ends every connection.",
          "Reconnect the profile with the new password."),
    Cause(("suspended",), TENANT, "{name} has locked or restricted this account.",
          "Sign in at {name}, follow what it asks for, then reconnect."),
    Cause(("permission_missing",), TENANT, "A permission or a role that this profile needs is not there any more.",
          "Reconnect the profile and allow everything that is asked."),
)
# Where files could not be fetched: the same for every platform that fetches them.
FETCH = "Open the public address of the console from outside, without signing in, and let the robots of {name} through."
WRITE_AGAIN = "Change the post and send it again."
NEW_FILE = "Replace the file and send the post again."

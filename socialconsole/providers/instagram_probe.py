"""How id and secret are checked in the two modes.

Through a Facebook Page it is a Meta app like any other. Instagram's own login looks at the id only, until somebody
connects: with a token of a connected account the secret is examined too.
"""

from dataclasses import replace

from .app_check import ID_KNOWN, SECRET_WRONG, Probe, Sign
from .facebook_probe import PROBE
from .verdicts import UNKNOWN, VALID, WRONG_ID, WRONG_SECRET

PAGE_PROBE = replace(PROBE, where=("graph", "/oauth/access_token"))

_NOT_INSTAGRAM = ("Instagram does not know this {id}: it may be that of the Meta app, or the Meta app lacks the "
                  "Instagram login. Take the Instagram app ID from API setup with Instagram login.")
_SECRET_UNSEEN = ("Instagram knows the {id}. It looks at the {secret} only when somebody connects, so connect an "
                  "account to be certain.")
_SECRET = Sign(WRONG_SECRET, SECRET_WRONG, text=("client secret",))
_WITH_TOKEN = Probe(
    ("api", "/access_token"),
    # What is wrong with the token does not matter: that the secret was looked at and not complained about does.
    (_SECRET, Sign(VALID, ID_KNOWN, token="", compared=True),
     Sign(VALID, ID_KNOWN, code=("100", "190"), compared=True)),
    lambda app, token: {"grant_type": "ig_exchange_token", "access_token": token},
    method="GET", proof="query", id_field="", needs_token=True)
DIRECT_PROBE = Probe(
    ("login", "/oauth/access_token"),
    (Sign(WRONG_ID, _NOT_INSTAGRAM, text=("invalid platform app",)), _SECRET,
     Sign(UNKNOWN, _SECRET_UNSEEN, text=("matching code was not found", "invalid authorization code",
                                         "error validating verification code"))),
    lambda app, token: {"grant_type": "authorization_code", "code": "console-check", "redirect_uri": app.redirect_uri},
    then=_WITH_TOKEN)

"""How id and secret are checked: an exchange of a made-up code, which Google judges after id and secret.

developers.google.com/identity/protocols/oauth2/web-server (errors of the token endpoint). The word in `error` counts;
its text only tells which of the two is meant.
"""

from .app_check import ID_KNOWN, ID_WRONG, PAIR_WRONG, SECRET_WRONG, Probe, Sign
from .verdicts import VALID, WRONG_ID, WRONG_SECRET

_GONE = ("Google has deleted or disabled this client ({code}). Restore it within 30 days under Clients, or make a new "
         "one.")
_NOT_REGISTERED = "The callback is not registered there yet: add it under Authorized redirect URIs."

PROBE = Probe(
    ("token", "/token"),
    (Sign(WRONG_SECRET, SECRET_WRONG, code=("invalid_client",), text=("secret",)),
     Sign(WRONG_ID, ID_WRONG, code=("invalid_client",), text=("not found",)),
     Sign(WRONG_ID, _GONE, code=("deleted_client", "disabled_client")),
     Sign(WRONG_SECRET, PAIR_WRONG, code=("invalid_client",)),
     Sign(VALID, ID_KNOWN, code=("invalid_grant",), status=(400,), compared=True),
     Sign(VALID, ID_KNOWN, code=("redirect_uri_mismatch",), status=(400,), compared=True, note=_NOT_REGISTERED)),
    lambda app, token: {"grant_type": "authorization_code", "code": "4/0console-check",
                        "redirect_uri": app.redirect_uri})

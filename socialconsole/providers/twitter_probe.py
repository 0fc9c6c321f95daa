"""How id and secret are checked: a renewal with a made-up token, since OAuth 2.0 apps get no token of their own here.

docs.x.com/fundamentals/authentication/oauth-2-0/authorization-code.
"""

import secrets

from .app_check import ID_KNOWN, Probe, Sign
from .verdicts import VALID, WRONG_ID, WRONG_SECRET

_SECRET = ("X refuses the {secret}. Make a new OAuth 2.0 Client Secret under Keys and tokens, and press Replace.")
_ID = "X does not know this {id}. Copy the OAuth 2.0 Client ID; an API Key does not work here."

PROBE = Probe(
    ("api", "/2/oauth2/token"),
    (Sign(WRONG_SECRET, _SECRET, code=("unauthorized_client",), status=(400, 401)),
     Sign(WRONG_ID, _ID, code=("invalid_client",)),
     Sign(VALID, ID_KNOWN, code=("invalid_request",), text=("value passed for the token was invalid",), status=(400,),
          compared=True),
     Sign(VALID, ID_KNOWN, code=("invalid_grant",), status=(400,), compared=True)),
    lambda app, token: {"grant_type": "refresh_token", "refresh_token": secrets.token_urlsafe(40),
                        "client_id": app.client_id},
    proof="basic")

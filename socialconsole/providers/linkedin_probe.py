"""How id and secret are checked: a token of the app itself is asked for, which ordinary apps are refused.

learn.microsoft.com/linkedin/shared/authentication/client-credentials-flow, …/token-introspection. Right and wrong pairs
are both answered with 401, so that only the word in `error` counts.
"""

from .app_check import ID_KNOWN, ID_WRONG, SECRET_WRONG, Probe, Sign
from .verdicts import VALID, WRONG_ID, WRONG_SECRET

_REFUSED = (
    Sign(WRONG_SECRET, SECRET_WRONG, code=("invalid_client",)),
    Sign(WRONG_SECRET, SECRET_WRONG, code=("invalid_client_id",), text=("client authentication failed",)),
    Sign(WRONG_ID, ID_WRONG, code=("invalid_client_id",)),
)
_SECOND_OPINION = Probe(
    ("web", "/oauth/v2/introspectToken"),
    (*_REFUSED[:2], Sign(VALID, ID_KNOWN, status=(200,), compared=True)), lambda app, token: {"token": "console-check"})
PROBE = Probe(
    ("web", "/oauth/v2/accessToken"),
    (Sign(VALID, ID_KNOWN, token=""), *_REFUSED, Sign(VALID, ID_KNOWN, code=("access_denied",), compared=True)),
    lambda app, token: {"grant_type": "client_credentials"}, then=_SECOND_OPINION)

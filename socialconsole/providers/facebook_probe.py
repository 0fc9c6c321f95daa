"""How id and secret of a Meta app are checked: a token of the app itself, which is thrown away.

developers.facebook.com/docs/facebook-login/guides/access-tokens (App access tokens). Id and secret travel in the query,
which is never logged.
"""

from .app_check import ID_KNOWN, SECRET_WRONG, Probe, Sign
from .verdicts import UNKNOWN, VALID, WRONG_ID, WRONG_SECRET

UNKNOWN_ID = ("Meta does not know this {id}, or it belongs to another Meta product such as Instagram or Threads, which "
              "have ids of their own. Copy it again from App settings → Basic.")
LIMITED = "Meta limits the calls of this app for now ({code}). Check again in an hour."

SIGNS = (
    Sign(VALID, ID_KNOWN, token=""),
    Sign(WRONG_SECRET, SECRET_WRONG, text=("client secret",)),
    Sign(WRONG_ID, UNKNOWN_ID, code=("101",)),
    Sign(UNKNOWN, LIMITED, code=("4", "17", "32", "613")),
)
PROBE = Probe(("api", "/oauth/access_token"), SIGNS, lambda app, token: {"grant_type": "client_credentials"},
              method="GET", proof="query")

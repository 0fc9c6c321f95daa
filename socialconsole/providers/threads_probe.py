"""How the Threads pair is checked: a token of the app itself, which is thrown away.

developers.facebook.com/docs/threads/get-started/get-access-tokens-and-permissions.
"""

from .app_check import ID_KNOWN, SECRET_WRONG, Probe, Sign
from .verdicts import VALID, WRONG_ID, WRONG_SECRET

_NOT_THREADS = ("Threads does not know this {id}. The Meta app has two pairs: take the Threads app ID and the Threads "
                "app secret, not those of the Meta app.")

PROBE = Probe(
    ("api", "/oauth/access_token"),
    (Sign(VALID, ID_KNOWN, token="TH|"), Sign(WRONG_SECRET, SECRET_WRONG, text=("client secret",)),
     Sign(WRONG_ID, _NOT_THREADS, code=("101", "4476002"))),
    lambda app, token: {"grant_type": "client_credentials"}, method="GET", proof="query")

"""How key and secret are checked: a token of the app itself, which is thrown away.

developers.tiktok.com/doc/client-access-token-management. A made-up code would prove nothing: it is judged before the
key. The status differs from report to report, so that only the word in `error` counts.
"""

from .app_check import ID_KNOWN, NOT_WHICH, Probe, Sign
from .verdicts import UNKNOWN, VALID, WRONG_SECRET

# TikTok does not say which of the two is wrong.
_REFUSED = (f"TikTok refuses this pair of {{id}} and {{secret}} and {NOT_WHICH} is wrong. Copy both again from the "
            "same page, and do not mix those of the sandbox with those of production.")
_NOT_OFFERED = ("TikTok gives this app no token of its own ({code}), so the pair cannot be checked this way. Connect "
                "an account: that shows whether it is right.")

PROBE = Probe(
    ("api", "/v2/oauth/token/"),
    (Sign(VALID, ID_KNOWN, token="clt."), Sign(WRONG_SECRET, _REFUSED, code=("invalid_client",)),
     Sign(UNKNOWN, _NOT_OFFERED, code=("unauthorized_client", "unsupported_grant_type", "invalid_scope"))),
    lambda app, token: {"grant_type": "client_credentials"}, id_field="client_key")

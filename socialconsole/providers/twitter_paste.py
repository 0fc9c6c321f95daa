"""X's facts for the paste doctor: an app has three pairs of keys, and only one of them is meant.

Vendor page: docs.x.com/fundamentals/authentication/oauth-2-0/authorization-code.
"""

from .paste_facts import BOTH, CLIENT_ID, CLIENT_SECRET, Approval, CallbackRule, Clash, Kind, PasteFacts, Usual

CALLBACK = CallbackRule(
    "X compares character by character.", ("127.0.0.1",),
    "X takes http only at http://127.0.0.1, for work on this very machine.", (r"localhost",),
    "X does not take localhost; write 127.0.0.1.",
    note="At most ten for an app. Website URL has to be filled in too, or X shows “Something went wrong”.")

_PAIR = "Under Keys and tokens, copy the OAuth 2.0 Client ID and Client Secret."

PASTE = PasteFacts(
    CALLBACK, Usual(r"[A-Za-z0-9_-]{28,60}={0,2}", "about 34 letters and digits"),
    Usual(r"[A-Za-z0-9_-]{40,64}", "about 50 letters, digits, “-” and “_”"),
    (
        Kind("the number of the app", r"\d{5,12}", _PAIR, (CLIENT_ID,)),
        Kind("an Access Token of OAuth 1.0a", r"\d{5,20}-[A-Za-z0-9]{30,50}", _PAIR, BOTH, True, True),
        Kind("a Bearer Token", r"A{18,}[A-Za-z0-9%]{30,}", _PAIR, BOTH, True, True),
        Kind("an API Key", r"[A-Za-z0-9]{25}", _PAIR, (CLIENT_SECRET,)),
        Kind("an Access Token Secret of OAuth 1.0a", r"[A-Za-z0-9]{45}", _PAIR, (CLIENT_SECRET,)),
        Kind("the name of an account", r"@\w{1,20}", _PAIR, BOTH, True, True),
    ),
    clashes=(
        Clash("Without offline.access there is no renewal.",
              "X gives no refresh token then, and an access token holds for two hours.",
              "Add offline.access, or every profile has to be reconnected every two hours.",
              without=r"offline\.access"),
        *(Clash("Without tweet.read and users.read nobody can connect.",
                "X tells who connected only with both of them.", "Add tweet.read and users.read.", without=missing)
          for missing in (r"users\.read", r"tweet\.read")),
        Clash("Names with a slash or of the old API are no scopes.",
              "X takes OAuth 2.0 scopes, such as tweet.write. Read and write are settings of the app in the portal.",
              "Take them out, and set Read and write under User authentication settings.",
              scopes="(?i:read|write|read.?(and.?)?write|r/w)"),
        Clash("Direct messages are asked for.",
              "The console does not use them, and people see them on the consent page.", "Take them out.",
              scopes=r"dm\..*", is_hint=True),
    ),
    approvals=(Approval(".*", ""),),
)

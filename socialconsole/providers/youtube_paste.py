"""YouTube's facts for the paste doctor: what Google's console hands out besides, its strict callbacks, its consent.

Vendor pages: developers.google.com/identity/protocols/oauth2/web-server (uri validation), support.google.com/cloud/
answer/15549945 (Testing and In production).
"""

from .paste_facts import BOTH, CLIENT_ID, CLIENT_SECRET, Approval, CallbackRule, Clash, Kind, PasteFacts, Usual
from .youtube_portal import PREFIX, REPORTS

CALLBACK = CallbackRule(
    "Google compares character by character, port and case included.", ("localhost", "127.0.0.1", "::1"),
    "Google takes http only at localhost or 127.0.0.1.",
    (r"(?!127\.)\d+(\.\d+){3}", r"[^.]+(?<!localhost)", r".*\.(local|lan|internal|home|test|localdomain)"),
    "Google takes no bare numbers and no names that only a network of its own knows: the host has to end in a public "
    "suffix such as .com.",
    note="A change takes minutes to hours until Google heeds it.")

_CLIENTS = "Copy the {field} of an OAuth client from Clients."

PASTE = PasteFacts(
    CALLBACK, Usual(r"\d{6,20}-[a-z0-9]{20,40}\.apps\.googleusercontent\.com",
                    "a number, a hyphen, 32 letters and digits, then .apps.googleusercontent.com"),
    Usual(r"GOCSPX-[\w-]{28}|[\w-]{24}", "GOCSPX- and 28 characters behind it; before 2021, 24 characters"),
    (
        Kind("a Client ID of Google's", r"[\w-]+\.apps\.googleusercontent\.com", _CLIENTS, (CLIENT_SECRET,), True,
             True),
        Kind("a client secret of Google's", r"GOCSPX-.+", _CLIENTS, (CLIENT_ID,), True, True),
        Kind("an API key of Google's", r"AIza[\w-]{30,45}", _CLIENTS, BOTH, True, True),
        Kind("an access token of Google's", r"ya29\..{10,}", _CLIENTS, BOTH, True, True),
        Kind("a refresh token of Google's", r"1//[\w-]{20,}", _CLIENTS, BOTH, True, True),
        Kind("the address of a service account", r".+@.+\.gserviceaccount\.com",
             "A service account has no channel. Make an OAuth client of the type Web application, and copy its "
             "{field}.", BOTH, True, True),
        Kind("a private key", r"-----BEGIN.*", "A service account has no channel. Make an OAuth client of the type Web "
                                               "application, and copy its {field}.", BOTH, True, True),
        Kind("the number of a Google Cloud project", r"\d{9,14}", _CLIENTS, (CLIENT_ID,)),
        Kind("the name of a channel", r"@[\w.-]+|UC[\w-]{22}", _CLIENTS, BOTH, True),
    ),
    options={"consent_status": Usual(r"testing|production", "testing or production")},
    files={"installed": "This file is of a client for desktop apps. Make a client of the type Web application: only "
                        "that one has a callback.",
           "private_key": "This is the key of a service account, which has no channel. Make an OAuth client of the "
                          "type Web application."},
    clashes=(
        Clash("In Testing every connection ends after seven days.",
              "Google ends the right to renew of apps whose consent screen is in Testing, and only listed test users "
              "can connect.", "Press Publish app under Audience, then write production here.",
              options={"consent_status": r"testing"}),
        Clash("Up to 100 people can connect before Google verifies the app.",
              "They see a warning page first, and nobody can connect after the hundredth.",
              "Ask for the verification under Verification Center before you need more.",
              options={"consent_status": r"production"}, is_hint=True),
        Clash("Scopes are written in short.", f"Google wants the whole name, which begins with {PREFIX}.",
              f"Write {PREFIX} before each of them.", scopes=r"youtube(\.[\w-]+)?|yt-analytics[\w.-]*"),
        Clash("The scope for the whole YouTube account is asked for.",
              "It allows more than the console uses, and people see that on the consent page.",
              "youtube.upload and youtube.readonly are enough for publishing.",
              scopes=f"{PREFIX}youtube", is_hint=True),
        Clash("Scopes of other Google products are asked for.",
              "The console does not use them; sensitive and restricted ones need a verification of their own.",
              "Take them out.",
              scopes=rf"{PREFIX}(?!youtube|yt-analytics|userinfo)\S+|https://mail\.google\.com/"),
        Clash("Reports of a channel's earnings are asked for.", "The console does not read them.", "Take it out.",
              scopes=f"{PREFIX}yt-analytics-monetary.readonly", is_hint=True),
    ),
    approvals=(
        Approval("openid|email|profile", ""),
        Approval(REPORTS, "the YouTube Analytics API enabled in the Library, the scope under Data Access, and with "
                          "more than 100 people Google's verification"),
        Approval(".*", "that it is added under Data Access, and with more than 100 people Google's verification"),
    ),
)

"""TikTok's facts for the paste doctor: sandbox and production keys, the audit, the strict callback.

Vendor pages: developers.tiktok.com/doc/login-kit-web (callback), …/doc/add-a-sandbox, …/doc/content-sharing-guidelines
(what an app may do before the audit).
"""

from .paste_facts import BOTH, CLIENT_ID, CLIENT_SECRET, Approval, CallbackRule, Clash, Kind, PasteFacts, Usual

CALLBACK = CallbackRule(
    "TikTok compares character by character.", ("localhost", "127.0.0.1"),
    "TikTok takes only https for a Web app; http at localhost or 127.0.0.1 is for a Desktop app, with a port and with "
    "PKCE s256_hex.",
    most_characters=511,
    note="The field is inside Login Kit, at most ten. The review may object to a platform's name in the path; then use "
         "another segment under Advanced.")

SANDBOX_KEY, LIVE_KEY = r"sb[a-z0-9]{12,24}", r"(?!sb)[a-z0-9]{12,24}"

PASTE = PasteFacts(
    CALLBACK, Usual(r"(sb)?aw[a-z0-9]{12,18}", "aw and about 16 small letters and digits; sbaw for TikTok's sandbox"),
    Usual(r"[A-Za-z0-9]{32}", "32 letters and digits"),
    (
        Kind("an access token of TikTok's", r"(act|clt)\..{10,}",
             "Tokens come about by connecting an account. Paste the {field} from Credentials.", BOTH, True, True),
        Kind("a refresh token of TikTok's", r"rft\..{10,}",
             "Tokens come about by connecting an account. Paste the {field} from Credentials.", BOTH, True, True),
        Kind("the Client key of TikTok's sandbox", r"sbaw[a-z0-9]{12,18}", "Paste the Client secret from Credentials.",
             (CLIENT_SECRET,), True, True),
        Kind("a Client key of TikTok's", r"aw[a-z0-9]{14,16}", "Paste the Client secret from Credentials.",
             (CLIENT_SECRET,)),
        Kind("the App ID", r"\d{10,25}", "Paste the {field} from Credentials.", (CLIENT_SECRET,), True),
        Kind("the number of an organization or of an app", r"\d{5,14}", "Paste the Client key from Credentials.",
             (CLIENT_ID,)),
    ),
    options={"pkce": Usual(r"off|s256_hex", "off or s256_hex"),
             "app_state": Usual(r"sandbox|unaudited|audited", "sandbox, unaudited or audited")},
    clashes=(
        Clash("The key is that of TikTok's sandbox, but the state of the app says otherwise.",
              "A key that begins with sb works only for the Target users of the sandbox, and posts are never public.",
              "Write sandbox as the state, or copy key and secret of the production app.",
              options={"app_state": r"unaudited|audited"}, client_id=SANDBOX_KEY),
        Clash("The state of the app says sandbox, but the key is none of the sandbox.",
              "The keys of TikTok's sandbox begin with sb and have a secret of their own.",
              "Switch the portal to the sandbox and copy both from there, or change the state.",
              options={"app_state": r"sandbox"}, client_id=LIVE_KEY),
        Clash("This is a key of TikTok's sandbox.",
              "Only Target users of the sandbox can connect, and nothing they post is public.",
              "Add your accounts as Target users, press Apply changes, and wait up to an hour.",
              client_id=SANDBOX_KEY, is_hint=True),
        Clash("Direct posts are private until the audit.",
              "Before the Content Posting audit five accounts a day can post, each account has to be private, and "
              "posts are seen only by their author (SELF_ONLY).",
              "Ask for the audit, or tick “Send to the TikTok inbox”, which has no such limit.",
              scopes=r"video\.publish", options={"app_state": r"unaudited"}, is_hint=True),
        Clash("video.publish and video.upload are both missing.", "Nothing can be posted without one of them.",
              "Add video.publish for direct posts, or video.upload for the TikTok inbox.",
              scopes=r"user\.info\..*", without=r"video\.(publish|upload)"),
    ),
    approvals=(
        Approval(r"video\.publish", "the Content Posting API with Direct Post, a review, and the audit before posts "
                                    "may be public"),
        Approval(r"video\.upload", "the Content Posting API, and a review"),
        Approval(r".*", "that it is added under Scopes in the portal, and a review"),
    ),
)

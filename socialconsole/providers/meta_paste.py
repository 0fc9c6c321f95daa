"""What is pasted by mistake where an app of Meta's is wanted, for Facebook, Instagram and Threads alike.

Vendor pages: developers.facebook.com/docs/facebook-login/guides/access-tokens (the forms of tokens),
…/docs/development/create-an-app/app-dashboard/basic-settings (App ID and App secret).
"""

from .paste_facts import BOTH, CLIENT_ID, CLIENT_SECRET, Kind, Usual

DIGITS = Usual(r"\d{15,17}", "15 to 17 digits")
HEX = Usual(r"[0-9a-f]{32}", "32 characters from 0 to 9 and a to f")

TOKENS = (
    Kind("an app access token, which is id and secret with a bar between them", r"\d{5,25}\|[\w.~-]{10,}",
         "Before the bar stands the {id}. Copy the {secret} from the portal by itself.", BOTH, True, True),
    Kind("an access token of Meta's", r"EAA[A-Za-z0-9]{20,}",
         "Tokens come about by connecting an account. Paste the {field} from the portal.", BOTH, True, True),
    Kind("an access token of Instagram's", r"IG(AA|QV|QW)[\w-]{20,}",
         "Tokens come about by connecting an account. Paste the {field} from the portal.", BOTH, True, True),
    Kind("an access token of Threads'", r"TH(AA|QW)[\w-]{20,}",
         "Tokens come about by connecting an account. Paste the {field} from the portal.", BOTH, True, True),
    Kind("a name, as of an app or a Page", r"[A-Za-z][A-Za-z _-]{2,40}", "Paste the number, the {id}.", (CLIENT_ID,)),
    Kind("a number", r"\d{10,31}", "Press Show beside the {secret} in the portal and copy what stands there then.",
         (CLIENT_SECRET,)),
)
REVIEW = "App Review for Advanced Access; until then only people with a role in the app can grant it"

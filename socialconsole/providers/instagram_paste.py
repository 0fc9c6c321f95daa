"""Instagram's facts for the paste doctor: two kinds of app, two families of scopes, and what does not go together."""

from .facebook_paste import CALLBACK as PAGE_CALLBACK
from .instagram_portal import DIRECT, PAGE
from .meta_paste import DIGITS, HEX, REVIEW, TOKENS
from .paste_facts import Approval, CallbackRule, Clash, PasteFacts, Usual

CALLBACK = CallbackRule(
    "Instagram compares character by character.", http_note="Used directly, Instagram takes only https.",
    may_append_slash=True,
    note="It stands in Business login settings. The portal may add a slash when it saves: open it again and compare.")
_LEGACY = "instagram_(basic|content_publish|manage_(comments|insights|messages|contents))|pages_.*|business_management"

PASTE = PasteFacts(
    CALLBACK, DIGITS, HEX, TOKENS,
    options={"config_id": Usual(r"\d{10,20}", "a number from Configurations under Facebook Login for Business")},
    callbacks={PAGE: PAGE_CALLBACK}, may_share={PAGE: ("facebook",)},
    scopes_replaced_by={PAGE: "config_id"},
    own_pair="Used directly, Instagram has a pair of its own: the Instagram app ID and the Instagram app secret from "
             "Business login settings. That of {other} does not work here.",
    clashes=(
        Clash("The two families of Instagram scopes are mixed.",
              "Names that begin with instagram_business_ belong to the login at Instagram, the older ones to the login "
              "at Facebook. One app holds only one of the two setups.",
              "Keep the family of the chosen kind of use, and take the others out.",
              scopes="instagram_business_.*", beside=_LEGACY),
        Clash("The scopes belong to the login through a Facebook Page.",
              "Used directly, Instagram gives only scopes that begin with instagram_business_.",
              "Choose “Through a Facebook Page” with the App ID of that app, or take the scopes of this family.",
              modes=(DIRECT,), scopes=_LEGACY, without="instagram_business_.*"),
        Clash("The scopes belong to the login directly at Instagram.",
              "Through a Facebook Page only the older names are given, such as instagram_basic.",
              "Choose “Directly with Instagram” with the Instagram app ID, or take the scopes of this family.",
              modes=(PAGE,), scopes="instagram_business_.*", without=_LEGACY),
        Clash("business_basic and its kin are old names.",
              "Meta ended them on 27 Jan 2025 and gives the same under names that begin with instagram_business_.",
              "Write instagram_ before each of them.", scopes="business_(basic|content_publish|manage_comments|"
                                                              "manage_messages)"),
        Clash("The scopes belong to Instagram Basic Display.", "Meta ended that product on 4 Dec 2024.",
              "Use one of the two logins that are offered here.", scopes="user_profile|user_media"),
        Clash("The scopes belong to Threads.", "Names that begin with threads_ are given only to a Threads app ID.",
              "Take them out here, and configure Threads.", scopes="threads_.*"),
        Clash("With a Configuration ID the scopes here are not sent.",
              "Facebook Login for Business takes the permissions of the configuration.",
              "Put the same permissions into the configuration; the list here only serves for comparing.",
              modes=(PAGE,), options={"config_id": r".+"}, is_hint=True),
        Clash("A Configuration ID is of no use directly at Instagram.",
              "Configurations belong to Facebook Login for Business.", "Leave it blank.", modes=(DIRECT,),
              options={"config_id": r".+"}),
    ),
    approvals=(Approval(".*", REVIEW),),
)

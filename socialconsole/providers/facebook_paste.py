"""Facebook's facts for the paste doctor: shapes, callback, and what does not go together."""

from .meta_paste import DIGITS, HEX, REVIEW, TOKENS
from .paste_facts import Approval, CallbackRule, Clash, PasteFacts, Usual

CALLBACK = CallbackRule(
    "Facebook compares character by character.", ("localhost",),
    "Facebook takes http only at localhost, and only while the app is in development.",
    note="The list is under Facebook Login for Business, Settings: one list for Facebook and for Instagram through a "
         "Page.")

PASTE = PasteFacts(
    CALLBACK, DIGITS, HEX, TOKENS,
    options={"config_id": Usual(r"\d{10,20}", "a number from Configurations under Facebook Login for Business")},
    may_share={"": ("instagram",)}, scopes_replaced_by={"": "config_id"},
    own_pair="{other} has a pair of its own, which is not the one of the Meta app. Paste App ID and App secret from "
             "App settings, Basic.",
    clashes=(
        Clash("The scopes belong to Instagram's own login.",
              "Names that begin with instagram_business_ are given only by the login at Instagram, to an Instagram "
              "app ID.", "Take them out here, and ask for them at Instagram, used directly.",
              scopes="instagram_business_.*"),
        Clash("The scopes belong to Threads.", "Names that begin with threads_ are given only to a Threads app ID.",
              "Take them out here, and configure Threads.", scopes="threads_.*"),
        Clash("With a Configuration ID the scopes here are not sent.",
              "Facebook Login for Business takes the permissions of the configuration.",
              "Put the same permissions into the configuration; the list here only serves for comparing.",
              options={"config_id": r".+"}, is_hint=True),
        Clash("pages_manage_engagement is asked for without pages_read_user_content.",
              "Meta grants the first only beside the second.", "Add pages_read_user_content.",
              scopes="pages_manage_engagement", without="pages_read_user_content"),
        Clash("publish_actions and manage_pages are gone.", "Meta took these permissions away in 2018 and 2020.",
              "Use pages_manage_posts and pages_show_list.", scopes="publish_actions|manage_pages|publish_pages"),
    ),
    approvals=(Approval("public_profile|email", ""), Approval(".*", REVIEW)),
)

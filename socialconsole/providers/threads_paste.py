"""Threads' facts for the paste doctor: a pair of its own beside the Meta app's, and scopes of its own."""

from .meta_paste import DIGITS, HEX, REVIEW, TOKENS
from .paste_facts import Approval, CallbackRule, Clash, PasteFacts

CALLBACK = CallbackRule(
    "Threads compares character by character.", http_note="Threads takes only https.",
    refused_hosts=(r"localhost", r"127(\.\d+){3}", r"::1"), host_note="Threads takes no address of this very machine.",
    may_append_slash=True,
    note="The portal may add a slash when it saves: open it again and compare. Its form saves only with all three "
         "addresses.")

PASTE = PasteFacts(
    CALLBACK, DIGITS, HEX, TOKENS,
    own_pair="A Meta app with Threads has two pairs, and that of {other} does not work here. Paste the Threads app ID "
             "and the Threads app secret: they stand below the Meta pair in App settings, Basic.",
    clashes=(
        Clash("The scopes belong to another product of Meta's.",
              "Threads gives only scopes that begin with threads_.",
              "Take the others out here, and ask for them at the platform they belong to.",
              scopes="(?!threads_).+"),
        Clash("threads_basic is missing.", "Threads gives nothing without it.", "Add threads_basic.",
              without="threads_basic"),
        Clash("threads_manage_replies is asked for without threads_read_replies.",
              "Replies can then be written and hidden, but not read.", "Add threads_read_replies, or tick “Replies”.",
              scopes="threads_manage_replies", without="threads_read_replies", is_hint=True),
    ),
    approvals=(Approval(".*", REVIEW),),
)

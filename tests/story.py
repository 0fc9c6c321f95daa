"""Steps of the main story that several proofs share, as a person without JavaScript walks them."""

import re

from tests.running import Console, until
from tests.visitor import Visitor

EMAIL, PASSWORD = "alice@example.com", "correct horse battery"


def sign_in(console: Console, email: str = EMAIL, password: str = PASSWORD) -> Visitor:
    """A person who has signed in."""
    visitor = Visitor().open(console.url + "/sign-in").press("Sign in", email=email, password=password)
    assert "/sign-in" not in visitor.url, visitor.text
    return visitor


def workspace_path(visitor: Visitor, console: Console) -> str:
    """`/w/<id>` of the person's first workspace."""
    found = re.search(r"/w/(wsp_[0-9A-Z]+)", visitor.open(console.url + "/admin/platforms").page)
    assert found is not None, visitor.text
    return found[0]


def set_up_platform(visitor: Visitor, console: Console, platform: str) -> None:
    """Configure a platform with the sandbox and turn it on."""
    visitor.open(f"{console.url}/admin/platforms/{platform}").press("Use the sandbox")
    assert visitor.status == 200, visitor.text
    visitor.open(f"{console.url}/admin/platforms/{platform}").press("turn on")
    assert visitor.status == 200, visitor.text


def consent(visitor: Visitor, person: str, *, tick: tuple[str, ...] = (), untick: tuple[str, ...] = (),
            answer: str = "Allow") -> Visitor:
    """Answer the sandbox's consent pages as a person."""
    return visitor.press(answer, tick=(person, *tick), untick=untick)


def connect(visitor: Visitor, console: Console, name: str, person: str, *, pages: tuple[str, ...] = (),
            untick: tuple[str, ...] = ()) -> str:
    """Connect a profile of the sandbox and return the account's id."""
    visitor.open(console.url + workspace_path(visitor, console) + "/profiles")
    visitor.press(name)
    consent(visitor, person, tick=pages, untick=untick)
    assert visitor.url.startswith(console.url), f"{visitor.url}: {visitor.text}"
    visitor.press("Connect", tick=pages)
    found = re.search(r"acc_[0-9A-Z]{26}", visitor.page)
    assert found is not None, visitor.text
    return found[0]


def compose(visitor: Visitor, console: Console, text: str, *accounts: str, when: str = "now",
            wall_time: str = "") -> str:
    """Write a post and return its address."""
    visitor.open(console.url + workspace_path(visitor, console) + "/compose")
    typed = {"text": text, "when": when, **({"wall_time": wall_time} if wall_time else {})}
    visitor.press("Publish or schedule", accounts, (), **typed)
    assert "/posts/pst_" in visitor.url, f"{visitor.url} {visitor.status}: {visitor.text}"
    return visitor.url


def wait_for(visitor: Visitor, url: str, words: str, seconds: float = 30) -> Visitor:
    """Reload a page until it says these words."""
    until(lambda: words in visitor.open(url).text, seconds, f"{words!r} on {url}: {visitor.text}")
    return visitor

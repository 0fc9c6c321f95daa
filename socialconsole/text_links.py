"""Links in what people write."""

import re

LINK = re.compile(r"https?://[^\s<>\"']+", re.IGNORECASE)


def first_link(text: str) -> str:
    """The first link in a text, without the punctuation that ends the sentence."""
    found = LINK.search(text)
    return found.group().rstrip(".,;:!?)]}'’”") if found else ""

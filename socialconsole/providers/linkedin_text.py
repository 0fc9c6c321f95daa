"""LinkedIn's little text format: what we write into it, and how we read it back.

learn.microsoft.com, "little Text Format": some characters have a meaning, and the published text is cut silently at one
that stands bare.
"""

import re

_RESERVED = r"\\|{}@\[\]()<>#*_~"
_MENTION = r"@\[(?P<name>[^\[\]\r\n]{1,200})\]\(urn:li:(?:person|organization):[\w-]+\)"
# Links are escaped like all else: readers see them whole, while a bare underscore in one could cut the text there.
_WRITTEN = re.compile(rf"(?P<mention>{_MENTION})|(?P<hashtag>(?<![\w#])#(?=\w))|(?P<reserved>[{_RESERVED}])")
_READ = re.compile(rf"{_MENTION}|\{{hashtag\|\\?#\|(?P<tag>[^|{{}}]+)\}}|\\(?P<escaped>[{_RESERVED}])")


def escaped(text: str) -> str:
    """A text in little text format: reserved characters escaped, hashtags and mentions working."""
    return _WRITTEN.sub(lambda found: "\\" + found.group() if found.group("reserved") else found.group(), text)


def plain(commentary: str) -> str:
    """What readers see of a text in little text format."""
    return _READ.sub(lambda found: found.group("name") or found.group("escaped") or f"#{found.group('tag')}",
                     commentary)


def visible(text: str) -> str:
    """What readers see of a text as its author wrote it: of a mention only the name."""
    return re.sub(_MENTION, lambda found: found.group("name"), text)

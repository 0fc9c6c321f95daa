"""Ids as programs see them. Two kinds are called by a plainer name outside than in the database."""

OUTSIDE = {"pst": "post", "wsp": "ws"}
INSIDE = {outer: inner for inner, outer in OUTSIDE.items()}


def public(inner_id: str) -> str:
    """`pst_01J…` as `post_01J…`; ids of other kinds as they are."""
    kind, mark, rest = inner_id.partition("_")
    return f"{OUTSIDE.get(kind, kind)}_{rest}" if mark else inner_id


def inner(public_id: str) -> str:
    """The id in the database; an inner id stays as it is, since pages show such in their addresses."""
    kind, mark, rest = public_id.partition("_")
    return f"{INSIDE.get(kind, kind)}_{rest}" if mark else public_id

"""The paste doctor: what can be seen to be wrong with a pasted id or secret before any platform is asked.

Only sure slips are errors here. A value that merely looks unusual is let through, since portals change their formats.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

# Blanks, quotes, byte order mark and zero-width characters that copying drags along.
_AROUND = " \t\r\n\v\f\u00a0\u2028\u2029\ufeff\u200b\u200c\u200d\u2060\"'`\u2018\u2019\u201c\u201d\u00ab\u00bb"


@dataclass(frozen=True)
class Shape:
    """What a platform's id or secret surely looks like.

    `fits` is a regular expression that every good value matches, `fits_not` pairs of an expression that no good value
    matches and the sentence for it. `wrong` is the sentence for a value that does not fit. `belongs` recognises this
    kind of value even in the other field.
    """

    fits: str = ""
    wrong: str = ""
    fits_not: tuple[tuple[str, str], ...] = ()
    belongs: Callable[[str], bool] = lambda value: False

    def slip(self, value: str) -> str:
        """The sentence for a value that is surely wrong, else an empty text."""
        for pattern, sentence in self.fits_not:
            if re.fullmatch(pattern, value):
                return sentence
        return self.wrong if self.fits and not re.fullmatch(self.fits, value) else ""


def clean(value: str) -> str:
    """A pasted value without blanks, quotes, byte order mark or zero-width characters around it."""
    return value.strip(_AROUND)


def like(pattern: str) -> Callable[[str], bool]:
    """A recogniser for values that match a regular expression from end to end."""
    return lambda value: re.fullmatch(pattern, value) is not None


def slips(client_id: str, client_secret: str | None, id_facts: tuple[str, Shape],
          secret_facts: tuple[str, Shape]) -> dict[str, str]:
    """Field -> sentence for what is surely wrong with an id and, unless it is None, a secret."""
    (id_label, id_shape), (secret_label, secret_shape) = id_facts, secret_facts
    found: dict[str, str] = {}
    if secret_shape.belongs(client_id) and not id_shape.belongs(client_id):
        found["client_id"] = f"This looks like the {secret_label}. Paste the {id_label} here."
    elif client_id:
        _note(found, "client_id", _character_slip(id_label, client_id) or id_shape.slip(client_id))
    if not client_secret:
        return found
    if id_shape.belongs(client_secret) and not secret_shape.belongs(client_secret):
        found["client_secret"] = f"This looks like the {id_label}. Paste the {secret_label} here."
    elif client_secret == client_id:
        found["client_secret"] = f"This is the same value as the {id_label}. Paste the {secret_label} here."
    else:
        _note(found, "client_secret",
              _character_slip(secret_label, client_secret) or secret_shape.slip(client_secret))
    return found


def _note(found: dict[str, str], field: str, sentence: str) -> None:
    if sentence:
        found[field] = sentence


def _character_slip(label: str, value: str) -> str:
    """What no id and no secret of any platform contains."""
    if re.search(r"\s", value):
        return f"There is a blank or a line break inside. Copy the {label} alone."
    if any(ord(character) < 33 or ord(character) > 126 for character in value):
        return f"There is a character inside that no {label} has. Copy it again from the portal."
    if re.search(r"[\"'`<>]", value):
        return f"There is a quote or a bracket inside. Copy the {label} alone."
    if len(value) > 512:
        return f"This is too long for a {label}. Copy the {label} alone."
    return ""

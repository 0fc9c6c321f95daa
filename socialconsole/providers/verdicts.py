"""What a check of an app's id and secret may come to. No doubt is ever called valid."""

from dataclasses import dataclass

VALID, WRONG_ID, WRONG_SECRET, UNKNOWN = "valid", "wrong_id", "wrong_secret", "unknown"
WRONG = (WRONG_ID, WRONG_SECRET)


@dataclass(frozen=True)
class Verdict:
    """One of the four kinds, a whole sentence for the admin, and the platform's own code, safe to show."""

    kind: str
    sentence: str
    code: str = ""

    @property
    def is_wrong(self) -> bool:
        """Whether the platform refuses the pair for certain."""
        return self.kind in WRONG

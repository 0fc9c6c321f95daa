"""When the API version that an app calls by comes to its end, and which one to choose instead."""

from dataclasses import dataclass
from datetime import date, timedelta

from .base import Provider

SOON, NEAR = timedelta(days=90), timedelta(days=30)  # said once there is time to try the next one, then urgently


@dataclass(frozen=True)
class Life:
    """How long one version lives. `ends`: None where no day is announced; `instead`: empty where none lives longer."""

    version: str
    ends: date | None
    is_known: bool  # whether the console knows this version at all
    instead: str
    source: str  # where the platform announces it

    def left(self, today: date) -> timedelta | None:
        """How long it lives on; negative once it is over, None where no end is announced."""
        return self.ends - today if self.ends is not None else None


def life(provider: Provider, chosen: str) -> Life | None:
    """The life of the version that an app calls by (`chosen`, empty: the usual one); None where there are none."""
    facts = provider.api_version
    if facts is None:
        return None
    version = chosen or facts.default
    return Life(version, facts.living.get(version), version in facts.living, _longest(provider, version), facts.source)


def _longest(provider: Provider, version: str) -> str:
    """The version that lives longest, if it lives longer than this one; one without a day counts as the longest."""
    living = provider.api_version.living if provider.api_version is not None else {}
    best = max(living, key=lambda one: (living[one] or date.max, one), default="")
    lives_longer = version not in living or (living.get(best) or date.max) > (living[version] or date.max)
    return best if best != version and lives_longer else ""

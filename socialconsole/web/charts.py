"""Small charts as data: counts over time become one drawn path for each kind, stacked. No script, no colours.

The drawing is as wide as it has bars and is stretched by the stylesheet, so it carries no letters; the words, the sums
and the same figures as a table stand beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

HEIGHT = 60
WIDTH = 2  # of one bar, and one more to the next
STEP = 3


@dataclass(frozen=True)
class Kind:
    """One kind of what is counted: its words, the tone of the stylesheet, and the labels that belong to it."""

    words: str
    tone: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Drawn:
    """One kind as it is drawn, with its sum over the whole time."""

    kind: Kind
    path: str
    total: int


@dataclass(frozen=True)
class Chart:
    """A drawing with everything that is said about it. `most` is the height of its highest bar."""

    slug: str
    title: str
    words: str
    width: int
    height: int
    drawn: tuple[Drawn, ...]
    most: int
    table: tuple[tuple[datetime, tuple[int, ...]], ...]  # by hour, where anything happened; one figure for each kind

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return self.most == 0


def chart(slug: str, title: str, words: str, kinds: Sequence[Kind], counted: Mapping[datetime, Mapping[str, int]],
          since: datetime, step: timedelta, number: int) -> Chart:
    """A chart of `number` bars from `since` on, one for each `step`; `counted` is by the instant a bar begins."""
    bars = []
    for place in range(number):
        labels = counted.get(since + place * step, {})
        bars.append(tuple(sum(labels.get(label, 0) for label in kind.labels) for kind in kinds))
    most = max((sum(bar) for bar in bars), default=0)
    drawn = tuple(Drawn(kind, _path(bars, place, most), sum(bar[place] for bar in bars))
                  for place, kind in enumerate(kinds))
    return Chart(slug, title, words, number * STEP, HEIGHT, drawn, most, _by_hour(bars, since, step))


def _path(bars: Sequence[tuple[int, ...]], place: int, most: int) -> str:
    """The bars of one kind, each on top of the kinds before it; what is not nothing is at least a line."""
    pieces = []
    for number, bar in enumerate(bars):
        if bar[place]:
            below = HEIGHT * sum(bar[:place]) / most
            height = max(HEIGHT * bar[place] / most, 1.0)
            top = max(HEIGHT - below - height, 0.0)
            pieces.append(f"M{number * STEP} {top:.1f}h{WIDTH}v{height:.1f}h-{WIDTH}z")
    return "".join(pieces)


def _by_hour(bars: Sequence[tuple[int, ...]], since: datetime,
             step: timedelta) -> tuple[tuple[datetime, tuple[int, ...]], ...]:
    hours: dict[datetime, list[int]] = {}
    for number, bar in enumerate(bars):
        hour = (since + number * step).replace(minute=0, second=0, microsecond=0)
        sums = hours.setdefault(hour, [0] * len(bar))
        for place, value in enumerate(bar):
            sums[place] += value
    return tuple((hour, tuple(sums)) for hour, sums in sorted(hours.items(), reverse=True) if any(sums))

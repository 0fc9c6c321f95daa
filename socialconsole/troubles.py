"""What the installation checklist has to say to administrators by mail: what breaks the console while nobody looks.

The rest of the checklist is advice, and waits until somebody opens *Health*. Platforms have incidents of their own.
"""

from datetime import datetime

from . import alerts, checklist
from .findings import CONSOLE, Found

NAMES = ("disk", "disk_media", "address", "clock", "spool")
STARTS = ("version_",)
LONGEST_ID = 40


def found(now: datetime) -> list[Found]:
    """What is to be done about the console itself. No transaction may be open: disks and the store are looked at."""
    return [Found(alerts.INSTALLATION, CONSOLE, one.name[:LONGEST_ID], one.title, one.text, one.step)
            for one in checklist.items(now)
            if one.state == checklist.TODO and (one.name in NAMES or one.name.startswith(STARTS))]

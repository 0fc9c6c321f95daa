"""The README's tables say what the code says."""

from pathlib import Path

from socialconsole.config import SETTINGS
from socialconsole.providers import PROVIDERS

README = (Path(__file__).parents[2] / "README.md").read_text()


def _rows(heading: str) -> list[list[str]]:
    part = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_every_setting_stands_in_the_table_with_its_default_and_its_words():
    told = {row[0].strip("`"): (row[1], row[2].removesuffix(" |").strip()) for row in _rows("Settings")}
    assert told == {one.name: (f"`{one.default}`" if one.default else "empty", one.help) for one in SETTINGS}


def test_every_platform_stands_in_the_table_and_says_whether_it_can_be_connected():
    told = {row[0]: row[1] for row in _rows("Platforms")}
    assert list(told) == [one.name for one in PROVIDERS.values()]
    for one in PROVIDERS.values():
        assert (told[one.name] == "Configure only") is not one.connectable

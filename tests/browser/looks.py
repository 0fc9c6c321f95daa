"""How a page looks to everybody: axe-core in both themes, desk, tablet and phone, and nothing to scroll sideways."""

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, ViewportSize

DESKTOP: ViewportSize = {"width": 1280, "height": 900}
TABLET: ViewportSize = {"width": 768, "height": 1024}
PHONE: ViewportSize = {"width": 390, "height": 844}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"]
COLOURS = ["color-contrast", "link-in-text-block"]
PLACES = ["target-size", "scrollable-region-focusable"]

# Colours are judged where they have arrived, not while they fade. What one fade's end begins is ended too; a spinner
# has no end to be brought to.
SETTLE = """() => {
  const fading = () => document.getAnimations().filter((one) =>
    one.playState === 'running' && one.effect.getComputedTiming().endTime !== Infinity);
  for (let round = 0; round < 10 && fading().length; round++) fading().forEach((one) => one.finish());
}"""
RUN = """(rules) => axe.run(document, {runOnly: rules, resultTypes: ['violations']}).then((found) =>
  found.violations.map((one) => `${one.id}: ${one.help}\\n` + one.nodes.map((node) => `    ${node.html}\\n      ` +
    [...node.any, ...node.all, ...node.none].map((check) => check.message).join('; ')).join('\\n')))"""
# In a window as tall as the page, what sticks to its edge covers nothing that people would scroll out from under it.
HEIGHT = "() => Math.min(document.documentElement.scrollHeight, 4000)"
TOO_WIDE = """() => {
  const room = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= room) return [];
  return [...document.body.querySelectorAll('*')].filter((e) => e.getBoundingClientRect().right > room + 1)
    .slice(0, 5).map((e) => e.outerHTML.slice(0, 160));
}"""


def faults(page: Page) -> list[str]:
    """What is wrong with the page in front of us, in each of its looks; empty if nothing is."""
    found: list[str] = []
    page.evaluate(AXE_SCRIPT)
    for size in (DESKTOP, TABLET, PHONE):
        page.set_viewport_size(size)
        found += [f"{size['width']} px: scrolls sideways because of {element}" for element in page.evaluate(TOO_WIDE)]
        page.set_viewport_size({"width": size["width"], "height": max(size["height"], page.evaluate(HEIGHT))})
        # The theme changes colours and nothing else, so the rest is asked once for each width; a tablet shows what the
        # phone shows, in other places.
        for scheme, rules in (("light", PLACES),) if size is TABLET else (("light", RULES), ("dark", COLOURS)):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.evaluate(SETTLE)
            found += [f"{scheme}, {size['width']} px: {one}" for one in page.evaluate(RUN, rules)]
    page.set_viewport_size(DESKTOP)
    page.emulate_media(color_scheme="light")
    return found


def check(page: Page) -> None:
    """Fail with everything that is wrong with this page."""
    found = faults(page)
    assert not found, f"{page.url}\n" + "\n".join(found)

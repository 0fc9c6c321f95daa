"""The proofs themselves: what they look for is found where it is."""

import pytest
from playwright.sync_api import Browser, Page

from tests.browser import looks
from tests.browser.watch import Watch
from tests.running import Console, until

pytestmark = [pytest.mark.browser, pytest.mark.processes]


def test_what_looks_wrong_is_found(console: Console, page: Page) -> None:
    page.goto(console.url + "/sign-in")
    assert looks.faults(page) == []
    page.evaluate("""() => {
      const wide = document.createElement('p'), lede = document.querySelector('.lede');
      wide.textContent = 'wide';
      wide.style.width = '500px';
      lede.after(wide, document.createElement('img'));
      lede.style.color = 'light-dark(#000, #333)';
    }""")
    found = "\n".join(looks.faults(page))
    assert "light, 1280 px: image-alt" in found
    assert "dark, 1280 px: color-contrast" in found and "light, 1280 px: color-contrast" not in found
    assert "390 px: scrolls sideways" in found and "1280 px: scrolls sideways" not in found


@pytest.mark.parametrize(("deed", "noticed"), [
    ("document.body.setAttribute('style', 'color: red')", "style-src-attr stopped inline"),
    ("console.error('lost')", "console: lost"),
    ("setTimeout(() => { throw new Error('broken'); })", "script: broken"),
    ("document.body.append(Object.assign(new Image(), {src: '/static/none.png'}))", "404 for"),
    ("location.assign('http://localhost:1/')", "request to another host: http://localhost:1/"),
])
def test_what_a_page_does_wrong_is_noticed(deed: str, noticed: str, browser: Browser, console: Console) -> None:
    context = browser.new_context()
    watch, page = Watch(context, console.url, console.sandbox), context.new_page()
    page.goto(console.url + "/sign-in")
    assert watch.problems == []
    page.evaluate(f"() => {{ {deed} }}")
    # Playwright tells of what happened only while it is asked something.
    until(lambda: page.title() is not None and any(noticed in one for one in watch.problems), 5, noticed)
    context.close()

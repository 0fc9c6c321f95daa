"""What a browser must never do on our pages: complain, break the content policy, or ask a host that is not ours."""

from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, Response

OURS_TO_SHOW = ("document", "xhr", "fetch")  # answers that people read: a 404 or 422 among them is a page, not a fault
NO_FAULT = (
    "Failed to load resource",  # Chromium repeats each refused load; `_answered` knows which of them matter
    "AbortError",  # htmx drops its own question when a newer one makes it needless, and says so as an error
)
# The content policy is broken silently where a page swallows the error, so the page itself is asked too.
REPORT_VIOLATIONS = """
addEventListener('securitypolicyviolation', (e) =>
  window.policyWasBroken?.(`${e.effectiveDirective} stopped ${e.blockedURI} on ${location.pathname}`));
"""


class Watch:
    """Collects what went wrong in a browser context, and every request that its pages made."""

    def __init__(self, context: BrowserContext, *places: str, script: bool = True) -> None:
        self.places = tuple(places)
        self.problems: list[str] = []
        self.requests: list[str] = []
        if script:
            context.expose_binding("policyWasBroken", lambda _source, words: self.problems.append(words))
            context.add_init_script(REPORT_VIOLATIONS)
        context.on("console", self._said)
        context.on("weberror", lambda error: self.problems.append(f"script: {error.error}"))
        context.on("request", self._asked)
        context.on("response", self._answered)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(known in message.text for known in NO_FAULT):
            self.problems.append(f"console: {message.text}")

    def _asked(self, request: Request) -> None:
        self.requests.append(request.url)
        if "{0.scheme}://{0.netloc}".format(urlsplit(request.url)) not in self.places:
            self.problems.append(f"request to another host: {request.url}")

    def _answered(self, response: Response) -> None:
        kind = response.request.resource_type
        if response.status >= 500 or (response.status >= 400 and kind not in OURS_TO_SHOW):
            self.problems.append(f"{response.status} for {response.url}")

    def requests_while_time_passes(self, page: Page, seconds: int) -> list[str]:
        """What the page asks for while its own clock runs on by so many seconds. The page needs a clock to be moved."""
        before = len(self.requests)
        page.clock.fast_forward(seconds * 1000)
        page.evaluate("() => new Promise(requestAnimationFrame)")  # whatever a timer began has been told by then
        return self.requests[before:]

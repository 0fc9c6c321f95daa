"""A person without JavaScript: follows links and redirects, fills forms, presses buttons. Keeps cookies per host."""

import html
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin, urlsplit

import requests


@dataclass
class Form:
    """One form of a page: where it goes and what it carries."""

    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str, str]] = field(default_factory=list)  # label, name, value
    boxes: list[tuple[str, str, str]] = field(default_factory=list)  # label, name, value of what could be ticked
    radios: set[str] = field(default_factory=set)  # names of which only one can be


class _Reader(HTMLParser):
    """Collects the forms of a page, and the words of the whole page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.ids: dict[str, Form] = {}
        self.words: list[str] = []
        self._form: Form | None = None
        self._textarea: tuple[Form, str, list[str]] | None = None
        self._button: tuple[Form, str, str, list[str]] | None = None
        self._box: tuple[Form, str, str] | None = None
        self._label: list[str] | None = None
        self._select: tuple[Form, str, list[str]] | None = None

    def _of(self, attributes: dict[str, str]) -> Form | None:
        return self.ids.get(attributes["form"]) if "form" in attributes else self._form

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(at.get("action", ""), at.get("method", "get").lower())
            self.forms.append(self._form)
            if "id" in at:
                self.ids[at["id"]] = self._form
            return
        if tag == "label":
            self._label = []
        form = self._of(at)
        if form is None or "disabled" in at:
            return
        if tag == "input" and at.get("name"):
            self._input(form, at)
        elif tag == "textarea":
            self._textarea = (form, at.get("name", ""), [])
        elif tag == "select":
            self._select = (form, at.get("name", ""), [])
        elif tag == "option" and self._select is not None:
            value = at.get("value", "")
            if "selected" in at:
                self._select[2].insert(0, value)
            else:
                self._select[2].append(value)
        elif tag == "button" and at.get("type", "submit") == "submit":
            self._button = (form, at.get("name", ""), at.get("value", ""), [at.get("aria-label", "")])
            if "formaction" in at:
                self._button = None

    def _input(self, form: Form, at: dict[str, str]) -> None:
        kind, name, value = at.get("type", "text"), at["name"], at.get("value", "")
        if kind in ("checkbox", "radio"):
            value = value or "on"
            self._box = (form, name, value)
            if kind == "radio":
                form.radios.add(name)
            if "checked" in at:
                form.fields.append((name, value))
        elif kind == "submit":
            form.buttons.append((value, name, value))
        else:
            form.fields.append((name, value))

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        for collected in (self._textarea and self._textarea[2], self._button and self._button[3], self._label):
            if collected is not None:
                collected.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "textarea" and self._textarea:
            form, name, text = self._textarea
            form.fields.append((name, "".join(text).removeprefix("\n")))
            self._textarea = None
        elif tag == "select" and self._select:
            form, name, values = self._select
            form.fields.append((name, values[0] if values else ""))
            self._select = None
        elif tag == "button" and self._button:
            form, name, value, text = self._button
            form.buttons.append((" ".join("".join(text).split()), name, value))
            self._button = None
        elif tag == "label":
            if self._box and self._label is not None:
                self._box[0].boxes.append((" ".join("".join(self._label).split()), self._box[1], self._box[2]))
            self._box = self._label = None


class Visitor:
    """A browser without script. `page` is the page in front of the person."""

    def __init__(self) -> None:
        self.session = requests.Session()
        self.session.trust_env = False
        self.url, self.status, self.page = "", 0, ""
        self.visited: list[str] = []

    def _take(self, answer: requests.Response) -> "Visitor":
        self.visited += [one.url for one in answer.history] + [answer.url]
        self.url, self.status, self.page = answer.url, answer.status_code, answer.text
        return self

    def open(self, url: str) -> "Visitor":
        """Go to an address."""
        return self._take(self.session.get(urljoin(self.url, url), timeout=30))

    @property
    def text(self) -> str:
        """The words of the page."""
        reader = _Reader()
        reader.feed(re.sub(r"<(script|style)\b.*?</\1>", "", self.page, flags=re.S))
        return html.unescape(" ".join("".join(reader.words).split()))

    def forms(self) -> list[Form]:
        """The forms of the page."""
        reader = _Reader()
        reader.feed(self.page)
        return reader.forms

    def follow(self, label: str) -> "Visitor":
        """Follow the first link whose words contain `label`; AssertionError if there is none."""
        for address, inner in re.findall(r'<a\b[^>]*?href="([^"]*)"[^>]*>(.*?)</a>', self.page, re.S):
            if label.lower() in html.unescape(re.sub(r"<[^>]+>", "", inner)).lower():
                return self.open(html.unescape(address))
        raise AssertionError(f"no link {label!r} on {self.url}: {self.text[:400]}")

    def press(self, label: str, tick: tuple[str, ...] = (), untick: tuple[str, ...] = (), **typed: str) -> "Visitor":
        """Fill in and press the first button whose words contain `label`; AssertionError if there is none.

        `tick` and `untick` name check boxes and radio buttons by a part of their words.
        """
        for form in self.forms():
            for words, name, value in form.buttons:
                if label.lower() in words.lower():
                    return self._send(form, (name, value), tick, untick, typed)
        known = [words for form in self.forms() for words, _, _ in form.buttons]
        raise AssertionError(f"no button {label!r} on {self.url} ({self.status}), only {known}: {self.text[:400]}")

    def _send(self, form: Form, button: tuple[str, str], tick: tuple[str, ...], untick: tuple[str, ...],
              typed: dict[str, str]) -> "Visitor":
        fields = [(name, typed.pop(name)) if name in typed else (name, value) for name, value in form.fields]
        for label in tick:
            matching = [(name, value) for words, name, value in form.boxes if label.lower() in words.lower()]
            assert matching, f"nothing to tick called {label!r}, only {form.boxes}"
            if matching[0][0] in form.radios:
                fields = [pair for pair in fields if pair[0] != matching[0][0]]
            fields += [pair for pair in matching[:1] if pair not in fields]
        for label in untick:
            gone = [(name, value) for words, name, value in form.boxes if label.lower() in words.lower()]
            assert gone, f"nothing to untick called {label!r}, only {form.boxes}"
            fields = [pair for pair in fields if pair not in gone]
        fields += list(typed.items())
        if button[0]:
            fields.append(button)
        target = urljoin(self.url, form.action) if form.action else self.url
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(self.url))
        if form.method == "get":
            return self.open(target.split("?")[0] + "?" + urlencode(fields))
        return self._take(self.session.post(target, data=fields, timeout=60,
                                            headers={"Origin": origin, "Referer": self.url}))

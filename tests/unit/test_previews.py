"""What stands behind a link is read as the page says it, and whatever the page does, something sensible comes out."""

import time

import pytest

from socialconsole import guarded, media, previews
from socialconsole.providers.content import Format, ImageRule
from tests import made_files as made

PAGE = "https://www.bakery.example/buns/today?x=1"


@pytest.fixture
def inside(app):
    with app.app_context():
        yield app


@pytest.fixture
def web(monkeypatch):
    """The web: address -> (status, type, body) or a refusal; and what was asked of it."""
    pages: dict = {}
    asked = []

    def get(url, **options):
        asked.append((url, options))
        found = pages.get(url, guarded.Refused("not there."))
        if isinstance(found, Exception):
            raise found
        status, kind, body = found
        if options["types"] and status == 200 and kind.partition(";")[0] not in options["types"]:
            raise guarded.Refused("another type.")
        return guarded.Fetched(url, status, kind.partition(";")[0], kind.partition("charset=")[2], body)

    monkeypatch.setattr(guarded, "get", get)
    get.pages, get.asked = pages, asked
    return get


def read(web, html, charset="utf-8"):
    web.pages[PAGE] = (200, f"text/html;charset={charset}" if charset else "text/html",
                       html if isinstance(html, bytes) else html.encode(charset or "utf-8"))
    found = previews.read(PAGE)
    assert found is not None and found.url == PAGE
    return found


FULL = """<!doctype html><html><head><title>Shop</title>
<meta property="og:title" content="Saffron &amp; cardamom"><meta name='description' content="plain">
<meta property="og:description" content="Baked   at
 six"><meta property="og:image" content="/img/bun.png"></head><body><h1>x</h1>"""


def test_a_page_is_shown_as_it_asks_to_be(inside, web):
    web.pages["https://www.bakery.example/img/bun.png"] = (200, "image/png", made.picture("PNG", (60, 40)))
    found = read(web, FULL)
    assert (found.title, found.description) == ("Saffron & cardamom", "Baked at six")
    image = found.image
    assert image is not None and (image.type, image.width, image.height, image.name) == ("image/png", 60, 40, "bun.png")
    assert image.path.parent == inside.extensions["config"].media_folder / "previews" and image.path.exists()
    assert [one[1]["most_bytes"] for one in web.asked] == [512 * 1024, 8 * 1024 * 1024]
    assert web.asked[0][1]["cut"] and not web.asked[1][1]["cut"]


def test_its_picture_is_converted_like_any_other(inside, web):
    web.pages["https://www.bakery.example/img/bun.png"] = (200, "image/png", made.picture("PNG", (60, 40)))
    image = read(web, FULL).image
    assert image is not None
    done = media.adapted(image, Format("link", "Link", image=ImageRule(types=("image/jpeg",), fit=(30, 30))))
    assert (done.type, done.width, done.height) == ("image/jpeg", 30, 20)


@pytest.mark.parametrize(("html", "title", "description"), [
    ("<title>Only this</title>", "Only this", ""),
    ("<TITLE>\n Two\n lines </TITLE><META NAME=Description CONTENT=short>", "Two lines", "short"),
    ("<meta name=twitter:title content=Bird><title>T</title>", "Bird", ""),
    ("<meta property=og:title content='  '><title>T</title>", "T", ""),
    ("<meta property=og:title content=First><meta property=og:title content=Second>", "First", ""),
    ("<title>A &lt;b&gt; &amp; c</title>", "A <b> & c", ""), ("<title>never closed", "never closed", ""),
    ("<svg><title>Logo</title></svg><p>", "Logo", ""),
    ("<title>Shop</title><svg><title>Logo</title></svg>", "Shop", ""),
    ("", "bakery.example", ""), ("<meta", "bakery.example", ""), ("<![CDATA[ x", "bakery.example", ""),
    ("<!DOCTYPE [<!ENTITY a 'b'>]><title>E</title>", "E", ""), ("\0\0\0<title>N\0ul\u202e</title>", "N ul", ""),
    ("<meta content='x'><meta property name><title>T</title>", "T", ""), ("<" * 5000, "bakery.example", "")])
def test_odd_pages_give_what_can_be_read(inside, web, html, title, description):
    found = read(web, html)
    assert (found.title, found.description, found.image) == (title, description, None)


@pytest.mark.parametrize("piece", ["<", "<!--", "<a ", "<a b='", "<![CDATA[", "<?", "</", "<!", "<meta ", "<meta a='",
                                   "<meta '\"", "<title ", "<title>"])
def test_a_page_made_to_exhaust_its_reader_does_not(piece):
    began = time.process_time()
    previews.tags((piece * previews.MOST_PAGE)[: previews.MOST_PAGE])
    assert time.process_time() - began < 3


def test_long_texts_are_cut(inside, web):
    found = read(web, f"<title>{'t' * 999}</title><meta name=description content='{'d' * 9999}'>")
    assert len(found.title) == 400 and found.title.endswith("…") and len(found.description) == 4000


@pytest.mark.parametrize(("charset", "html"), [
    ("iso-8859-1", "<title>Brötchen</title>"), ("", "<meta charset=windows-1252><title>Brötchen</title>"),
    ("", "<meta http-equiv=Content-Type content='text/html; charset=iso-8859-1'><title>Brötchen</title>"),
    ("", "<title>Brötchen</title>"), ("nonsense", "<title>Brötchen</title>"), ("base64", "<title>Brötchen</title>")])
def test_letters_are_read_in_the_pages_own_code(inside, web, charset, html):
    code = charset if charset.startswith("iso") else "iso-8859-1" if "charset=" in html else "utf-8"
    assert read(web, html.encode(code), charset).title == "Brötchen"


@pytest.mark.parametrize("answer", [
    guarded.Refused("no."), (404, "text/html", b"<title>Not found</title>"), (200, "application/pdf", b"%PDF-"),
    (500, "text/html", b"")])
def test_what_cannot_be_read_is_shown_by_its_host(inside, web, answer):
    web.pages[PAGE] = answer
    assert previews.read(PAGE) == previews.Preview(PAGE, title="bakery.example")


@pytest.mark.parametrize("address", ["", "nonsense", "http://[::1"])
def test_what_is_no_address_has_no_preview(inside, web, address):
    assert previews.read(address) is None and web.asked == []


@pytest.mark.parametrize("answer", [
    (200, "image/png", b"<html>"), (200, "image/png", made.png_header(50_000, 50_000)), (200, "text/html", b"x"),
    (404, "image/png", b""), (200, "image/gif", made.gif(3)), guarded.Refused("private.")])
def test_a_picture_that_cannot_be_used_is_left_out(inside, web, answer):
    web.pages["https://www.bakery.example/img/bun.png"] = answer
    found = read(web, FULL)
    assert found.image is None and found.title == "Saffron & cardamom"
    folder = inside.extensions["config"].media_folder / "previews"
    assert not folder.exists() or not list(folder.iterdir())


@pytest.mark.parametrize("picture", ["data:image/png;base64,AA", "javascript:x", "file:///etc/passwd", "http://[::1"])
def test_only_the_web_is_asked_for_a_picture(inside, web, picture):
    assert read(web, f"<meta property=og:image content='{picture}'><title>T</title>").image is None
    assert len(web.asked) == 1


def test_an_address_inside_is_not_looked_at(inside, monkeypatch):
    monkeypatch.setattr(guarded, "_resolve", lambda host, port: ["192.168.1.1"])
    assert previews.read("http://router.example/admin") == previews.Preview("http://router.example/admin",
                                                                            title="router.example")


def test_what_only_calls_itself_a_picture_is_not_even_measured(inside, web, monkeypatch):
    monkeypatch.setattr(previews.measuring, "measure", lambda *_: pytest.fail("measured"))
    for plain in (made.pdf(), made.mp4(), b"<html>", b""):
        web.pages["https://www.bakery.example/img/bun.png"] = (200, "image/png", plain)
        assert read(web, FULL).image is None
    assert not (media.folder() / media.PREVIEWS).exists()

"""The door for typed addresses: whatever the text, the name, the answer of the name server or a redirect, nothing
inside is dialled; and what is public is fetched within its limits."""

import gzip
import ipaddress
import logging
import os
import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from socialconsole import guarded
from socialconsole.guarded import Refused

PUBLIC = "93.184.216.34"
HERE = ("127.0.0.0/8",)  # lets the tests' own server be dialled


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def dialled(monkeypatch):
    """Every address that a socket was to be opened to; none is."""
    found = []

    def connect(self, address):
        found.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    return found


@pytest.fixture
def names(monkeypatch):
    """The name server: a dict of name -> addresses, or a list of answers one after the other."""
    table: dict[str, object] = {}

    def resolve(host, port):
        found = table.get(host, [host] if host[:1].isdigit() or ":" in host else [])
        if found and isinstance(found[0], list):
            return found.pop(0)
        return list(found)

    monkeypatch.setattr(guarded, "_resolve", resolve)
    return table


class Site(BaseHTTPRequestHandler):
    """Answers as `pages` says: path -> (status, headers, body or a function that writes)."""

    pages: dict = {}
    asked: list = []

    def do_GET(self):
        self.asked.append((self.path, self.headers))
        status, headers, body = self.pages.get(self.path, (404, {}, b"no"))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(OSError):  # whoever asked has hung up
            body(self.wfile) if callable(body) else self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def serving(context=None):
    site = type("OneSite", (Site,), {"pages": {}, "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), site)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield site, server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def site(monkeypatch, names):
    """A site called bakery.example, on this machine."""
    with serving() as (found, port):
        monkeypatch.setitem(guarded.PORTS, "http", port)
        names["bakery.example"] = ["127.0.0.1"]
        yield found


def get(url, **options):
    return guarded.get(url, **{"most_bytes": 1000, "networks": HERE, "seconds": 5, **options})


def refusal(url, **options):
    with pytest.raises(Refused) as refused:
        guarded.get(url, **{"most_bytes": 1000, **options})
    said = str(refused.value)
    assert said.endswith(".") and "!" not in said
    return said


# ---------------------------------------------------------------- nothing inside is dialled

INSIDE = ["127.0.0.1", "127.255.255.254", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",
          "169.254.169.254", "100.64.0.1", "100.127.255.255", "198.18.0.1", "192.0.0.8", "192.0.2.1", "192.88.99.1",
          "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "168.63.129.16", "::", "::1",
          "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1",
          "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a00:1::1", "2001:0:53aa::1", "2001:db8::1", "fc00::1",
          "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "100::1"]


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_inside_is_closed_written_plainly_or_behind_a_name(address, names, dialled):
    assert guarded.is_closed(address)
    names["harmless.example"] = [address]
    for scheme in ("http", "https"):
        assert "private network" in refusal(f"{scheme}://harmless.example/")
    names[address] = [address]
    shown = f"[{address}]" if ":" in address else address
    refusal(f"http://{shown}/")
    assert dialled == []


@pytest.mark.parametrize("address", [PUBLIC, "1.1.1.1", "8.8.8.8", "172.15.0.1", "172.32.0.1", "100.63.0.1",
                                     "100.128.0.1", "192.167.1.1", "169.253.1.1", "2606:4700::1111", "2a00:1450::1",
                                     "::ffff:8.8.8.8"])
def test_the_public_internet_is_open(address):
    assert not guarded.is_closed(address)


@pytest.mark.parametrize("text", ["127.1", "0x7f.1", "0x7f000001", "2130706433", "017700000001", "0177.0.0.1",
                                  "127.0.1", "0", "localhost", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::1]",
                                  "①②⑦.⓪.⓪.①", "127。0。0。1", "127.0.0.1.", "LOCALHOST", "[::127.0.0.1]",
                                  "127.0.0.1\u200b", "0x7f.0x0.0x0.0x1", "169.254.43518"])
def test_odd_ways_to_write_an_address_inside_lead_nowhere(text, dialled):
    refusal(f"http://{text}/latest/meta-data/")  # the system's own resolver reads these
    assert dialled == []


def test_one_address_inside_among_many_closes_the_name(names, dialled):
    names["mixed.example"] = [PUBLIC, "2606:4700::1111", "10.0.0.7"]
    assert "private network" in refusal("https://mixed.example/")
    assert dialled == []


def test_a_name_is_resolved_once_and_the_checked_address_is_dialled(names, dialled):
    names["rebinding.example"] = [[PUBLIC], ["127.0.0.1"], ["127.0.0.1"]]
    refusal("http://rebinding.example/")
    assert dialled == [PUBLIC] and len(names["rebinding.example"]) == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("onward", ["http://inside.example/", "http://169.254.169.254/latest/", "//10.0.0.7/",
                                    "http://[::ffff:10.0.0.7]/", "ftp://bakery.example/", "file:///etc/passwd",
                                    "http://user:pw@bakery.example/", "gopher://x/", "http://bakery.example:6379/"])
def test_a_redirect_passes_the_same_checks(site, names, status, onward):
    names["inside.example"] = ["10.0.0.7"]
    site.pages["/"] = (status, {"Location": onward}, b"")
    with pytest.raises(Refused):
        get("http://bakery.example/")
    assert len(site.asked) == 1


def test_redirects_are_followed_a_few_times_and_not_for_ever(site):
    for number in range(9):
        site.pages[f"/{number}"] = (302, {"Location": f"/{number + 1}"}, b"")
    site.pages["/5"] = (200, {"Content-Type": "text/plain"}, b"there")
    found = get("http://bakery.example/0")
    assert (found.body, found.url) == (b"there", "http://bakery.example/5")
    site.pages["/5"] = (302, {"Location": "/6"}, b"")
    with pytest.raises(Refused, match="from page to page"):
        get("http://bakery.example/0")


def test_own_networks_can_be_allowed_and_nothing_beside_them(names, dialled):
    names["files.home"] = ["10.1.2.3"]
    assert "does not answer" in refusal("http://files.home/", networks=("10.1.0.0/16",))
    assert dialled == ["10.1.2.3"]
    assert "private network" in refusal("http://files.home/", networks=("10.2.0.0/16", "fd00::/8"))
    names["files.home"] = ["::ffff:10.1.2.3"]
    assert "does not answer" in refusal("http://files.home/", networks=("10.1.0.0/16",))


# ---------------------------------------------------------------- what may be asked


@pytest.mark.parametrize("url", ["", "bakery.example", "ftp://bakery.example/", "file:///etc/passwd", "javascript:1",
                                 "http://", "http:///x", "https://user@bakery.example/", "https://a:b@bakery.example/",
                                 "https://bakery.example:8443/", "http://bakery.example:22/", "http://bakery.example:x/",
                                 "http://bakery.example\\@inside/", "http://bakery.example/a b", "http://bak\tery.example",
                                 "http://bakery.example/\r\nHost: x", "http://[::1", "https://a.example/" + "a" * 2000,
                                 "http://a..b\u3002/", "data:text/html,x"])
def test_what_is_no_plain_web_address_is_refused_before_any_name_is_asked(url, monkeypatch):
    monkeypatch.setattr(guarded, "_resolve", lambda *_: pytest.fail("asked"))
    assert refusal(url)


def test_a_name_that_is_not_there_is_said_so(names):
    assert "There is no server named nowhere.example" in refusal("https://nowhere.example/")


def test_the_sandbox_may_be_asked_where_it_is_named_and_nowhere_else(site, names):
    port = guarded.PORTS["http"]
    names["localhost"] = ["127.0.0.1"]
    site.pages["/"] = (200, {}, b"sandbox")
    base = f"http://localhost:{port}"
    assert guarded.get(f"{base}/", most_bytes=100, bases=(base,)).body == b"sandbox"
    assert "port" in refusal(f"http://localhost:{port + 1}/", bases=(base,))
    assert "private network" in refusal("http://localhost/", bases=(base,))


# ---------------------------------------------------------------- asking


def test_a_page_comes_back_with_its_type_and_without_anything_of_ours(site):
    site.pages["/a%20b?q=1%26&x=%C3%A9"] = (200, {"Content-Type": "Text/HTML; Charset='UTF-8'"}, b"<p>bun")
    found = get("http://bakery.example/a%20b?q=1%26&x=é#part")
    assert (found.status, found.type, found.charset, found.body) == (200, "text/html", "utf-8", b"<p>bun")
    headers = site.asked[0][1]
    assert headers["Host"] == "bakery.example" and headers["Accept-Encoding"] == "identity"
    assert not {"cookie", "authorization", "referer"} & {name.lower() for name in headers}


def test_a_status_is_an_answer(site):
    assert get("http://bakery.example/none").status == 404


def test_an_unwanted_type_is_refused(site):
    site.pages["/"] = (200, {"Content-Type": "text/html"}, b"<p>")
    with pytest.raises(Refused, match="sent text/html, which is not what is wanted"):
        get("http://bakery.example/", types=("image/png",))


def test_too_much_is_refused_by_its_claim_and_by_its_bytes(site, tmp_path):
    site.pages["/told"] = (200, {"Content-Length": "1001"}, b"")
    site.pages["/sent"] = (200, {}, b"x" * 1001)
    for path in ("/told", "/sent"):
        with pytest.raises(Refused, match="larger than"):
            get(f"http://bakery.example{path}", into=tmp_path / "file")
    site.pages["/fits"] = (200, {}, b"x" * 1000)
    assert get("http://bakery.example/fits", into=tmp_path / "file").path == tmp_path / "file"
    assert (tmp_path / "file").read_bytes() == b"x" * 1000


def test_a_page_may_be_cut_where_its_beginning_is_enough(site):
    site.pages["/"] = (200, {"Content-Length": "5000"}, b"x" * 5000)
    assert get("http://bakery.example/", cut=True).body == b"x" * 1000


def test_an_answer_that_ends_too_early_is_no_file(site):
    site.pages["/"] = (200, {"Content-Length": "500"}, b"x" * 300)
    with pytest.raises(Refused, match="does not answer properly"):
        get("http://bakery.example/")


def test_a_packed_answer_is_not_unpacked(site):
    site.pages["/"] = (200, {"Content-Encoding": "gzip"}, gzip.compress(b"0" * 900))
    with pytest.raises(Refused, match="packed answer"):
        get("http://bakery.example/")


def test_an_answer_that_drips_ends_in_time(site):
    ends = threading.Event()

    def drip(out):
        while not ends.wait(0.02):
            out.write(b"x")
            out.flush()

    site.pages["/"] = (200, {}, drip)
    try:
        with pytest.raises(Refused, match="took too long"):
            get("http://bakery.example/", seconds=0.3)
    finally:
        ends.set()


def test_headers_that_never_end_end_in_time(monkeypatch, names):
    server = socket.create_server(("127.0.0.1", 0))
    ends = threading.Event()

    def drip():
        connection, _ = server.accept()
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        try:
            while not ends.wait(0.02):
                connection.sendall(b"x")
        except OSError:
            pass
        connection.close()

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    monkeypatch.setitem(guarded.PORTS, "http", server.getsockname()[1])
    names["slow.example"] = ["127.0.0.1"]
    try:
        with pytest.raises(Refused, match="took too long"):
            get("http://slow.example/", seconds=0.3)
    finally:
        ends.set()
        thread.join(5)
        server.close()


def test_the_log_names_the_host_and_never_the_path(site, caplog):
    site.pages["/secret-path?token=abc"] = (200, {}, b"")
    with caplog.at_level(logging.DEBUG):
        get("http://bakery.example/secret-path?token=abc")
        with pytest.raises(Refused) as refused:
            get("http://bakery.example/secret-path?token=abc", types=("image/png",))
    records = [vars(record) for record in caplog.records if record.name == "socialconsole.guarded"]
    assert [(one["host"], one["status"]) for one in records] == [("bakery.example", 200)] * 2
    assert "secret-path" not in caplog.text and "abc" not in repr(records) + str(refused.value)


# ---------------------------------------------------------------- TLS and proxies


def certificate(folder, name):
    """A certificate of its own authority, and that authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
            .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False)
            .add_extension(x509.BasicConstraints(True, None), True).sign(key, hashes.SHA256()))
    path = folder / "both.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    authority = folder / "authority.pem"
    authority.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return path, authority


@pytest.fixture
def safe_site(tmp_path, monkeypatch, names):
    path, authority = certificate(tmp_path, "bakery.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", os.fspath(authority))
    with serving(context) as (found, port):
        monkeypatch.setitem(guarded.PORTS, "https", port)
        for name in ("bakery.example", "other.example"):
            names[name] = ["127.0.0.1"]
        yield found


def test_tls_proves_the_name_although_the_address_is_dialled(safe_site, monkeypatch):
    safe_site.pages["/"] = (200, {}, b"safe")
    assert get("https://bakery.example/").body == b"safe"
    with pytest.raises(Refused, match="certificate is not valid"):
        get("https://other.example/")
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(Refused, match="certificate is not valid"):
        get("https://bakery.example/")


def test_https_never_leads_on_to_http(safe_site):
    safe_site.pages["/"] = (302, {"Location": "http://bakery.example/"}, b"")
    with pytest.raises(Refused, match="without https"):
        get("https://bakery.example/")


def test_behind_a_proxy_the_name_is_checked_here_first(monkeypatch, names, dialled):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    names["inside.example"] = ["10.0.0.7"]
    assert "private network" in refusal("https://inside.example/")
    assert dialled == []


def test_a_proxy_is_asked_for_the_whole_address_and_alone_gets_its_password(monkeypatch, names):
    with serving() as (proxy, port):
        monkeypatch.setenv("HTTP_PROXY", f"http://me:p%40ss@127.0.0.1:{port}")
        names["bakery.example"] = [PUBLIC]
        proxy.pages["http://bakery.example/bun?x=1"] = (200, {}, b"through")
        assert guarded.get("http://bakery.example/bun?x=1", most_bytes=100).body == b"through"
        assert proxy.asked[0][1]["Proxy-Authorization"] == "Basic bWU6cEBzcw=="
        assert proxy.asked[0][1]["Host"] == "bakery.example"


def test_https_goes_through_a_proxy_in_a_tunnel_to_the_name(monkeypatch, names):
    server = socket.create_server(("127.0.0.1", 0))
    heard = []

    def answer():
        connection, _ = server.accept()
        heard.append(connection.recv(4096))
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")
        connection.close()

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.getsockname()[1]}")
    names["bakery.example"] = [PUBLIC]
    refusal("https://bakery.example/secret", seconds=5)
    thread.join(5)
    server.close()
    assert heard[0].startswith(b"CONNECT bakery.example:443 ") and b"secret" not in heard[0]


def test_every_closed_network_is_written_properly():
    assert all(isinstance(one, ipaddress.IPv4Network | ipaddress.IPv6Network) for one in guarded._CLOSED)

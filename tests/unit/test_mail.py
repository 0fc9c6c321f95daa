"""Mail: handed to a real server on this machine, over each kind of line, and every way in which it is not taken."""

import asyncio
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy

import pytest
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from socialconsole import config as settings
from socialconsole import mail
from tests.conftest import environ

SENDER = "Social Console <console@example.org>"
LINK = "http://127.0.0.1:8000/join/a-secret-token"


class Box:
    """Keeps what arrives."""

    def __init__(self):
        self.letters, self.logins = [], []

    async def handle_DATA(self, _server, session, envelope):
        self.letters.append((envelope.rcpt_tos, message_from_bytes(envelope.content, policy=policy.default),
                             session.ssl is not None))
        return "250 OK"

    async def handle_RCPT(self, _server, _session, envelope, address, _options):
        if address.startswith("nobody@"):
            return "550 no such person"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    def authenticate(self, _server, _session, _envelope, mechanism, data):
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"p@ss:word", handled=False)


class Server:
    """A mail server on a port of its own, in a thread of its own."""

    def __init__(self, box, context=None, **options):
        self.loop = asyncio.new_event_loop()
        self.listening = self.loop.run_until_complete(self.loop.create_server(
            lambda: SMTP(box, loop=self.loop, **options), "127.0.0.1", 0, ssl=context))
        self.port = self.listening.sockets[0].getsockname()[1]
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.listening.close()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()


@pytest.fixture
def box():
    return Box()


@pytest.fixture
def serve(box):
    """Starts mail servers, and stops them."""
    started = []

    def start(context=None, **options):
        started.append(Server(box, context, **options))
        return started[-1].port

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def certificate(tmp_path, monkeypatch):
    """A server's side of TLS for `localhost`, which this process trusts."""
    secret, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(secret.public_key())
            .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), True).sign(secret, hashes.SHA256()))
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(secret.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                         serialization.NoEncryption()))
    monkeypatch.setenv("SSL_CERT_FILE", str(chain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    return context


@pytest.fixture
def read(tmp_path):
    """Settings with this mail server."""

    def read(url, sender=SENDER):
        return settings.read(environ(tmp_path, MAIL_URL=url, MAIL_FROM=sender), tmp_path)

    return read


def strict(monkeypatch):
    """From now on this machine counts as any other: only encryption will do."""
    monkeypatch.setattr(mail, "is_loopback", lambda host: False)


def test_a_mail_arrives_as_it_was_written(read, serve, box):
    subject, text = "Join\r\nBcc: all@example.com", f"Open\n\n{LINK}\n"
    mail.send(read(f"smtp://127.0.0.1:{serve()}"), "mara@example.com", subject, text)
    to, letter, _ = box.letters[0]
    assert (to, letter["From"], letter["To"]) == (["mara@example.com"], SENDER, "mara@example.com")
    assert letter["Subject"] == "Join Bcc: all@example.com" and letter["Bcc"] is None
    assert LINK in letter.get_content() and letter["Date"] and letter["Message-ID"].endswith("@example.org>")


def test_starttls_comes_before_the_password(read, serve, box, certificate, monkeypatch):
    strict(monkeypatch)
    port = serve(tls_context=certificate, authenticator=box.authenticate, auth_required=True)
    mail.send(read(f"smtp://mara:p%40ss%3Aword@localhost:{port}"), "mara@example.com", "Hello", "Text")
    assert box.letters[0][2] and box.logins == [(b"mara", b"p@ss:word")]


def test_a_line_that_is_encrypted_from_the_start(read, serve, box, certificate):
    mail.send(read(f"smtps://localhost:{serve(certificate)}"), "mara@example.com", "Hello", "Text")
    assert len(box.letters) == 1  # the server speaks nothing but TLS


def test_a_server_without_encryption_is_refused_unless_the_setting_says_so(read, serve, box, monkeypatch):
    strict(monkeypatch)
    port = serve()
    with pytest.raises(mail.NotSent, match="does not offer what is needed"):
        mail.send(read(f"smtp://127.0.0.1:{port}"), "mara@example.com", "Hello", "Text")
    assert not box.letters
    mail.send(read(f"smtp://127.0.0.1:{port}?tls=off"), "mara@example.com", "Hello", "Text")
    assert len(box.letters) == 1


def test_a_certificate_of_another_name_is_refused(read, serve, box, certificate, monkeypatch):
    strict(monkeypatch)
    for url in (f"smtp://127.0.0.1:{serve(tls_context=certificate)}", f"smtps://127.0.0.1:{serve(certificate)}"):
        with pytest.raises(mail.NotSent, match="certificate is not valid"):
            mail.send(read(url), "mara@example.com", "Hello", "Text")
    assert not box.letters


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_what_the_server_refuses_is_said_in_words_without_secrets(read, serve, box, caplog):
    port = serve(authenticator=box.authenticate, auth_required=True, auth_require_tls=False)
    with pytest.raises(mail.NotSent, match="does not accept the console's user name"):
        mail.send(read(f"smtp://mara:wrong-secret@127.0.0.1:{port}"), "mara@example.com", "Hello", LINK)
    with pytest.raises(mail.NotSent, match="does not accept this address"):
        mail.send(read(f"smtp://127.0.0.1:{serve()}"), "nobody@example.com", "Hello", LINK)
    for secret in ("wrong-secret", "a-secret-token", "nobody@example.com"):
        assert secret not in caplog.text and secret not in str([vars(one) for one in caplog.records])


@pytest.mark.parametrize("to", ["two@at@signs", "a\nb@example.com", "a<b>@example.com", "@", "mara@exam ple.com"])
def test_an_address_that_is_none_breaks_nothing(read, serve, to):
    with pytest.raises(mail.NotSent):
        mail.send(read(f"smtp://127.0.0.1:{serve()}"), to, "Hello", "Text")


def test_a_server_that_is_away_or_silent_is_given_up(read, monkeypatch):
    monkeypatch.setattr(mail, "STEP_SECONDS", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        with pytest.raises(mail.NotSent, match="does not answer"):
            mail.send(read(f"smtp://127.0.0.1:{port}"), "mara@example.com", "Hello", "Text")
    with pytest.raises(mail.NotSent, match="does not answer"):
        mail.send(read(f"smtp://127.0.0.1:{port}"), "mara@example.com", "Hello", "Text")


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize("url", ["smtp://mail.example.org", "smtp://u:p@mail.example.org:587", "smtps://[::1]:465",
                                 "smtp://localhost:25", "smtp://mail.example.org/"])
def test_a_mail_server_that_will_do(read, url):
    config = read(url)
    assert (config.problems, config.warnings) == ([], []) and mail.is_set(config)


@pytest.mark.parametrize(("url", "words"), [
    ("mail.example.org:25", "MAIL_URL cannot be used"), ("http://mail.example.org", "MAIL_URL cannot be used"),
    ("smtp://", "MAIL_URL cannot be used"), ("smtp://u:hush-hush@host:port", "MAIL_URL cannot be used"),
    ("smtp://u:hush-hush@host:0", "MAIL_URL cannot be used"), ("smtp://host/path", "MAIL_URL cannot be used"),
    ("smtp://u:hush-hush@host?tls=no", "a query that means nothing"), ("smtps://host?tls=off", "means nothing"),
    ("smtp://u@host", "without a password")])
def test_a_mail_server_that_will_not_do(read, url, words):
    problems = read(url).problems
    assert len(problems) == 1 and words in problems[0] and "hush" not in problems[0]


@pytest.mark.parametrize("sender", ["nobody", "Console", "a@b <c>", "a@b@c"])
def test_a_sender_that_is_none(read, sender):
    assert any("MAIL_FROM is" in one for one in read("smtp://localhost", sender).problems)


def test_a_server_without_sender_is_a_problem_and_a_sender_without_server_a_warning(read):
    assert "MAIL_FROM is not" in read("smtp://localhost", "").problems[0]
    config = read("")
    assert (config.problems, len(config.warnings), mail.is_set(config)) == ([], 1, False)


def test_mails_without_encryption_to_another_machine_are_warned_of(read):
    warnings = read("smtp://u:hush-hush@mail.example.org?tls=off").warnings
    assert len(warnings) == 1 and "unencrypted" in warnings[0] and "hush" not in warnings[0]
    assert not read("smtp://127.0.0.1?tls=off").warnings


def test_the_password_is_not_printed(read):
    assert "hush-hush" not in repr(read("smtp://u:hush-hush@localhost"))
    assert "MAIL_URL" not in read("smtp://u:hush-hush@localhost").shown

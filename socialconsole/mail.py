"""Handing a mail to the server that the settings name: plain text, one recipient, with time limits."""

import logging
import smtplib
import socket
import ssl
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr
from typing import Any
from urllib.parse import unquote, urlsplit

from .config import Config
from .config_checks import is_loopback

log = logging.getLogger("socialconsole.mail")

STEP_SECONDS = 8.0  # for each piece of an answer of the server
WHOLE_SECONDS = 60.0  # for one mail, however the server spins it out; whoever took the mail has it for longer
PORTS = {"smtp": 587, "smtps": 465}
LONGEST_SUBJECT = 150
LONGEST_SAYING = 200
# What says something about one mail, and nothing about others; anything else is the server's.
ABOUT_ONE = (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError, ValueError, IndexError, MessageError)


class NotSent(Exception):
    """The mail was not taken; the message says why, for people, and names no address and no password.

    `said`: what the server or this machine said itself, for an administrator; never a password. `is_final`: this mail
    is not taken however often it is tried; otherwise it is the server that is in trouble, or that wants it later.
    `is_of_server`: no other mail would be taken at this moment either.
    """

    def __init__(self, reason: str, said: str = "", *, is_final: bool = False, is_of_server: bool = False) -> None:
        super().__init__(reason)
        self.said, self.is_final, self.is_of_server = said, is_final, is_of_server


@dataclass(frozen=True)
class Server:
    """Where mails are handed in."""

    host: str
    port: int
    user: str
    password: str
    is_tls: bool  # from the first byte
    may_be_plain: bool  # where the server offers no STARTTLS


def is_set(config: Config) -> bool:
    """Whether mails can be sent at all."""
    return bool(config.mail_url and config.mail_from)


def server(config: Config) -> Server:
    """The mail server of the settings, which were checked at the start."""
    parts = urlsplit(config.mail_url)
    host = parts.hostname or ""
    return Server(host, parts.port or PORTS[parts.scheme], unquote(parts.username or ""),
                  unquote(parts.password or ""), parts.scheme == "smtps", parts.query == "tls=off" or is_loopback(host))


def send(config: Config, to: str, subject: str, text: str, *, number: str = "") -> None:
    """Hand one mail to the server; to be called outside of any transaction. Raises NotSent.

    `number`: what its Message-ID is made of. The same one twice is one mail to mail programs.
    """
    there = server(config)
    message = EmailMessage()
    try:
        message["From"], message["To"] = config.mail_from, Address(addr_spec=to)
        message["Subject"] = _subject(subject)
        message["Date"] = formatdate()
        domain = parseaddr(config.mail_from)[1].rpartition("@")[2]
        message["Message-ID"] = f"<{number}@{domain}>" if number else make_msgid(domain=domain)
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text)
        _hand_in(there, message, urlsplit(config.public_url).hostname or "localhost")
    except (OSError, smtplib.SMTPException, ValueError, IndexError, MessageError) as error:
        reason = _reason(error)
        log.warning("a mail was not sent", extra={"host": there.host, "error": type(error).__name__, "reason": reason})
        raise NotSent(reason, _said(error, there), is_final=_is_final(error),
                      is_of_server=isinstance(error, ssl.SSLError) or not isinstance(error, ABOUT_ONE)) from None
    log.info("a mail was sent", extra={"host": there.host})


def _subject(text: str) -> str:
    """A subject of one line. What looks encoded would be decoded, with any line end in it, and so add headers."""
    return " ".join(text.replace("=?", "= ?").split())[:LONGEST_SUBJECT]


class _Line(smtplib.SMTP):
    """A connection that ends after a time, however slowly or endlessly the server talks."""

    _alarm: threading.Timer | None = None
    _until = float("inf")

    def connect(self, *where: Any, **more: Any) -> tuple[int, bytes]:
        """Connect, and from now on be cut off when the time is over."""
        self._until = time.monotonic() + WHOLE_SECONDS
        self._alarm = threading.Timer(WHOLE_SECONDS, self._cut)
        self._alarm.daemon = True
        self._alarm.start()
        try:
            return super().connect(*where, **more)
        except BaseException:
            self._alarm.cancel()
            raise

    def _cut(self) -> None:
        if self.sock is not None:
            with suppress(OSError):
                # Not that of a TLS socket, which would pull the encryption away from under whoever reads.
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def getreply(self) -> tuple[int, bytes]:
        """The next answer; as if the server were gone where the time is over."""
        if time.monotonic() > self._until:
            self.close()
            raise smtplib.SMTPServerDisconnected
        return super().getreply()

    def close(self) -> None:
        """Close the connection."""
        if self._alarm is not None:
            self._alarm.cancel()
        super().close()

    def __exit__(self, *_: object) -> None:
        # A mail that was taken is taken, and one that was refused is refused, whatever the server says to our goodbye.
        with suppress(smtplib.SMTPException, OSError):
            self.docmd("QUIT")
        self.close()


class _EncryptedLine(_Line, smtplib.SMTP_SSL):
    """The same, encrypted from the first byte."""


def _hand_in(there: Server, message: EmailMessage, own_name: str) -> None:
    # Without a name of its own smtplib asks the DNS for this machine's, which may take long.
    name = f"[{own_name}]" if own_name.replace(".", "").isdigit() or ":" in own_name else own_name
    trusted = ssl.create_default_context()
    if there.is_tls:
        with _EncryptedLine(there.host, there.port, name, timeout=STEP_SECONDS, context=trusted) as line:
            _say(line, there, message)
        return
    with _Line(there.host, there.port, name, timeout=STEP_SECONDS) as line:
        line.ehlo_or_helo_if_needed()
        if line.has_extn("starttls") and not there.may_be_plain:
            line.starttls(context=trusted)
        elif not there.may_be_plain:
            raise smtplib.SMTPNotSupportedError
        _say(line, there, message)


def _say(line: smtplib.SMTP, there: Server, message: EmailMessage) -> None:
    if there.user:
        line.login(there.user, there.password)
    line.send_message(message)


def _reason(error: Exception) -> str:
    """Why a mail was not taken, as a sentence."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return "The mail server does not accept the console's user name and password."
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "The mail server does not accept this address."
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return "The mail server does not offer what is needed, such as encryption."
    if isinstance(error, ssl.SSLError):
        return "The mail server's certificate is not valid for its name, so nothing was sent."
    if isinstance(error, smtplib.SMTPResponseException) and error.smtp_code < 200:
        return "What answers does not speak as a mail server does. Look whether MAIL_URL names one, and its port."
    if isinstance(error, smtplib.SMTPResponseException):
        return f"The mail server refused it with code {error.smtp_code}."
    if isinstance(error, ValueError | IndexError | MessageError):
        return "No mail can be written to this address."
    return "The mail server does not answer."


def _is_final(error: Exception) -> bool:
    """Whether this very mail is refused for good: an address that is none, or an answer of the 500s about it."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPDataError):
        return error.smtp_code >= 500
    return isinstance(error, ValueError | IndexError | MessageError) and not isinstance(error, OSError)


def _said(error: Exception, there: Server) -> str:
    """What was said, word for word, without what the console signs in with; empty where nothing was."""
    if isinstance(error, smtplib.SMTPRecipientsRefused) and error.recipients:
        code, text = next(iter(error.recipients.values()))
        words = f"{code} {_plain(text)}"
    elif isinstance(error, smtplib.SMTPResponseException):
        words = f"{error.smtp_code} {_plain(error.smtp_error)}"
    elif isinstance(error, OSError):
        words = getattr(error, "verify_message", "") or error.strerror or ""
    else:
        words = ""
    for secret in (there.password, there.user):
        words = words.replace(secret, "…") if secret else words
    return " ".join("".join(sign if sign.isprintable() else " " for sign in words).split())[:LONGEST_SAYING]


def _plain(text: bytes | str) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text

"""Handing a mail to the server that the settings name: plain text, one recipient, with time limits."""

import logging
import smtplib
import ssl
from dataclasses import dataclass
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr
from urllib.parse import unquote, urlsplit

from .config import Config
from .config_checks import is_loopback

log = logging.getLogger("socialconsole.mail")

STEP_SECONDS = 8.0  # for each answer of the server
PORTS = {"smtp": 587, "smtps": 465}
LONGEST_SUBJECT = 150


class NotSent(Exception):
    """The mail was not taken; the message says why, for people, and names no address and no password."""


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


def send(config: Config, to: str, subject: str, text: str) -> None:
    """Hand one mail to the server; to be called outside of any transaction. Raises NotSent."""
    there = server(config)
    message = EmailMessage()
    try:
        message["From"], message["To"] = config.mail_from, Address(addr_spec=to)
        message["Subject"] = " ".join(subject.split())[:LONGEST_SUBJECT]
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain=parseaddr(config.mail_from)[1].rpartition("@")[2])
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text)
        _hand_in(there, message, urlsplit(config.public_url).hostname or "localhost")
    except (OSError, smtplib.SMTPException, ValueError, IndexError, MessageError) as error:
        reason = _reason(error)
        log.warning("a mail was not sent", extra={"host": there.host, "error": type(error).__name__, "reason": reason})
        raise NotSent(reason) from None
    log.info("a mail was sent", extra={"host": there.host})


def _hand_in(there: Server, message: EmailMessage, own_name: str) -> None:
    # Without a name of its own smtplib asks the DNS for this machine's, which may take long.
    name = f"[{own_name}]" if own_name.replace(".", "").isdigit() or ":" in own_name else own_name
    trusted = ssl.create_default_context()
    if there.is_tls:
        with smtplib.SMTP_SSL(there.host, there.port, name, timeout=STEP_SECONDS, context=trusted) as line:
            _say(line, there, message)
        return
    with smtplib.SMTP(there.host, there.port, name, timeout=STEP_SECONDS) as line:
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
    if isinstance(error, smtplib.SMTPResponseException):
        return f"The mail server refused it with code {error.smtp_code}."
    if isinstance(error, ValueError | IndexError | MessageError):
        return "No mail can be written to this address."
    return "The mail server does not answer."

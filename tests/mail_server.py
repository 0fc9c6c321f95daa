"""A real mail server on this machine for tests: it keeps what arrives, and can be away, refuse, or break off."""

import asyncio
import threading
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP

SENDER = "Social Console <console@example.org>"


class Box:
    """Keeps what arrives. `refuses`: the answer to every recipient, where it takes none."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.refuses = ""

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.letters.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        if self.refuses:
            return self.refuses
        envelope.rcpt_tos.append(address)
        return "250 OK"

    def to(self, address: str) -> list[EmailMessage]:
        """What arrived for one person."""
        return [one for one in self.letters if one["To"] == address]

    @property
    def text(self) -> str:
        """All that arrived, as it went over the line."""
        return "\n".join(f"{one}\n{one.get_content()}" for one in self.letters)


class Server:
    """A mail server on one port, in a thread of its own, that can be stopped and started again."""

    def __init__(self, box: Box) -> None:
        self.box, self.port = box, 0
        self.start()

    @property
    def url(self) -> str:
        """What MAIL_URL has to say."""
        return f"smtp://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen, on the port of the first time."""
        self.loop = asyncio.new_event_loop()
        self.listening = self.loop.run_until_complete(self.loop.create_server(
            lambda: SMTP(self.box, loop=self.loop), "127.0.0.1", self.port, reuse_address=True))
        self.port = self.listening.sockets[0].getsockname()[1]
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

    def stop(self) -> None:
        """Be away."""
        if not self.thread.is_alive():
            return
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.listening.close()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

"""A platform's call: it may meet a fault, has the state for itself, and leaves one line in the log.

Views are marked with `operation`; everything that can go wrong on order happens here and in no platform's file.
"""

import functools
import select
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NoReturn

from flask import Response, current_app, g, make_response, request

from .faults import LONGEST_HOLD, FaultDesk
from .state import Fault
from .world import CallRecord, world

# Writes a platform's own refusal: (operation, seconds until calls are allowed again; 0 for a server error).
Refuse = Callable[[str, float], Response]
View = Callable[..., Any]

PIECE = 256 * 1024
LARGEST_BODY = 1_200_000_000
RENEWAL = "refresh"
LARGEST_FIELDS = 1024 * 1024  # of a multipart form, all its texts together
WAITING_PAGE = "<!doctype html><title>One moment</title><p>Please wait while we check your browser.</p>"


def operation(
    platform: str, name: str | Callable[[], str], refuse: Refuse, *, media: bool = False
) -> Callable[[View], Callable[..., Response]]:
    """Mark a view as a platform's call. `refuse` writes the platform's own 429 and 500 answers.

    `media` is for views that receive files: their body may be large, and lies on disk before the view is alone with the
    state, so that a slow upload keeps nobody waiting.
    """

    def mark(view: View) -> Callable[..., Response]:
        @functools.wraps(view)
        def answer(**arguments: Any) -> Response:
            with _large_body() if media else nullcontext(), world().truth.call():
                label = name if isinstance(name, str) else name()
                with _logged(platform, label) as log:
                    response = _answer(platform, label, refuse, functools.partial(view, **arguments))
                    log(response.status_code)
                    return response

        return answer

    return mark


@contextmanager
def _logged(platform: str, label: str) -> Iterator[Callable[[int], None]]:
    seen = [0]
    try:
        yield lambda status: seen.__setitem__(0, status)
    finally:
        _, host, path = request.path.split("/", 2)
        here = world()
        here.calls.append(CallRecord(here.now(), platform, label, request.method, host, f"/{path}", seen[0]))


def _answer(platform: str, label: str, refuse: Refuse, view: Callable[[], Any]) -> Response:
    desk = world().faults

    def effect() -> Response:
        if "body_file" in g:
            _receive()
        with desk.state.writing():
            try:
                response = make_response(view())
            except Exception as refusal:  # a platform's own refusals have handlers; anything else goes on from here
                response = make_response(current_app.handle_user_exception(refusal))
        if label == RENEWAL and response.status_code < 300 and "grant_served" in g:
            world().truth.renewed(g.grant_served, world().now(), is_destroyed=_destroys(fault),
                                  is_left=_caller_is_gone())
        return response

    fault = desk.take(platform, label)
    if fault is None:
        return effect()
    if fault.sort in ("slow", "gate"):
        return _held(desk, fault, effect)
    if fault.sort == "drop_after" or (fault.after and fault.sort != "truncated"):
        effect()
    if fault.sort in ("drop", "drop_after"):
        _cut()
    if fault.sort == "truncated":
        return _halved(effect())
    if fault.sort == "html":
        return Response(WAITING_PAGE, 200)
    return refuse(label, (fault.seconds or 60.0) if fault.sort == "429" else 0.0)


def _destroys(fault: Fault | None) -> bool:
    """Whether a call that meets this fault takes effect and its answer surely does not arrive."""
    if fault is None:
        return False
    if fault.sort in ("slow", "gate"):
        return fault.mixed and fault.after  # longer than anybody waits
    return True


def _halved(response: Response) -> Response:
    """The answer as it is when the line breaks in its middle and something on the way calls that complete."""
    body = response.get_data()
    response.set_data(body[: len(body) // 2])
    return response


def _held(desk: FaultDesk, fault: Fault, effect: Callable[[], Response]) -> Response:
    _receive()  # a body still unread would hide that the caller hung up
    seconds = fault.seconds if fault.sort == "slow" else LONGEST_HOLD
    response = effect() if fault.after else None
    desk.hold(fault, seconds)
    if response is None and _caller_is_gone():
        raise ConnectionResetError("The caller hung up before anything happened.")
    return response or effect()


@contextmanager
def _large_body() -> Iterator[None]:
    """A large body for this request; what is received of it lies in a file that goes with the request."""
    request.max_content_length = LARGEST_BODY  # None would mean the app's own limit
    request.max_form_memory_size = LARGEST_FIELDS
    with tempfile.TemporaryFile() as file:
        g.body_file = file
        yield


def _receive() -> None:
    """Take in the whole body: media onto disk, anything else into memory, where its size is limited."""
    file = g.get("body_file")
    if file is None:
        request.get_data()
        return
    if request.environ["wsgi.input"] is file:
        return
    shutil.copyfileobj(request.stream, file, PIECE)
    request.environ["CONTENT_LENGTH"] = str(file.tell())
    request.environ.pop("HTTP_TRANSFER_ENCODING", None)
    request.environ["wsgi.input"] = file
    file.seek(0)
    del request.stream  # the next use makes it anew, over the file


def _caller_is_gone() -> bool:
    """Whether the caller hung up while its call was held: such a call never arrived."""
    connection = request.environ.get("werkzeug.socket")
    if not isinstance(connection, socket.socket):
        return False
    waiting = select.poll()  # `select` knows no descriptor above 1023
    waiting.register(connection, select.POLLIN)
    try:
        return bool(waiting.poll(0)) and connection.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True


def _cut() -> NoReturn:
    """Close the connection without a word; without a real one (in-process calls) it looks like a reset."""
    connection = request.environ.get("werkzeug.socket")
    if isinstance(connection, socket.socket):
        connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError("The sandbox cut this connection, as ordered.")

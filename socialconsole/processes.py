"""Processes: a child that dies with its parent, and a function run in a child of its own.

The console's supervisor forks its roles and may itself be killed at any moment; nobody may then stay behind.
"""

import ctypes
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

PR_SET_PDEATHSIG = 1  # https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html
PR_SET_NAME = 15  # https://man7.org/linux/man-pages/man2/PR_SET_NAME.2const.html
WATCH_SECONDS = 1.0
HELD_BACK = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
# Loaded before any fork, so that a child needs no dynamic loader.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class ChildFailed(RuntimeError):
    """The function in the child raised, or the child was killed. The message is its last line."""


def die_with_parent(parent: int, sign: signal.Signals = signal.SIGKILL) -> None:
    """Let the kernel send `sign` to this process when its parent, the process `parent`, dies.

    A fork clears this, so every child calls it for itself. Where the kernel cannot, a thread watches.
    """
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, int(sign), 0, 0, 0)
    else:
        threading.Thread(target=_watch, args=(parent, sign), daemon=True).start()
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)


def _watch(parent: int, sign: signal.Signals) -> None:
    pause = threading.Event()
    while os.getppid() == parent:
        pause.wait(WATCH_SECONDS)
    os.kill(os.getpid(), sign)


def forget_signals() -> None:
    """Put back what a parent's signal handling left in a forked child."""
    signal.set_wakeup_fd(-1)
    for sign in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(sign, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def set_name(name: str) -> None:
    """Show this name in `ps -o comm` and `top`, where the system can; 15 bytes are kept."""
    if _libc is not None:
        _libc.prctl(PR_SET_NAME, name.encode()[:15] + b"\0", 0, 0, 0)


def fork(body: Callable[[], int | None], parent_death: signal.Signals = signal.SIGKILL, name: str = "console") -> int:
    """Run `body` in a child that dies with this process, in a session of its own; returns its process id.

    A session of its own keeps Ctrl-C from reaching it: the supervisor stops its children in order.
    """
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    # Held back until the child has its own handlers: a stop sent at once must not be swallowed by the parent's.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
    child = os.fork()
    if child:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return child
    code = 1
    try:
        forget_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)
        os.setsid()
        set_name(name)
        die_with_parent(parent, parent_death)
        code = body() or 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # a forked child must never return into its parent's code
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def in_child(function: Callable[[], Any]) -> Any:
    """What `function` returns (as JSON can carry it), computed in a child, so that this process opens nothing.

    Raises ChildFailed with the exception's words.
    """
    read_end, write_end = os.pipe()

    def body() -> int:
        os.close(read_end)
        try:
            answer: dict[str, Any] = {"value": function()}
        except Exception as error:  # whatever it was, the parent says it
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        with os.fdopen(write_end, "w", encoding="utf-8") as pipe:
            json.dump(answer, pipe)
        return 0

    child = fork(body)
    os.close(write_end)
    with os.fdopen(read_end, encoding="utf-8") as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    answer = json.loads(text) if text else {"error": "the process was killed"}
    if "error" in answer:
        raise ChildFailed(answer["error"])
    return answer["value"]

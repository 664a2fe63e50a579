"""Ctrl-C, whichever thread of the process the system gives the signal to."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, signal, threading
from chatkit.cli import interrupt

async def wait_for_ever():
    waiting = asyncio.get_running_loop().create_future()
    # This thread takes the signal while the main one waits, as if it had come just before the wait began.
    asyncio.get_running_loop().call_soon(threading.Thread(target=take).start)
    await waiting

def take():
    state = f"/proc/self/task/{threading.main_thread().native_id}/syscall"
    while open(state).read().split()[0] not in ("232", "281", "22"):  # epoll_wait or epoll_pwait, of x86-64 or ARM
        pass
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)

try:
    interrupt.run(wait_for_ever())
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="tells by /proc when the loop waits")
def test_a_signal_that_another_thread_takes_ends_the_wait_of_the_loop() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=30, check=False)
    assert (done.stdout, done.stderr) == ("interrupted\n", "")

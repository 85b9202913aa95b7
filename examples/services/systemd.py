"""A program that systemd starts with `Type=notify` and `WatchdogSec=`; here its socket is played by the example.

python examples/services/systemd.py
"""

import asyncio
import os
import socket

from mainspring.runtime import run
from mainspring.services import SDWatchdogService


async def main() -> None:
    """Run for a moment, as a program of systemd runs for months."""
    await asyncio.sleep(0.1)


def play_systemd() -> socket.socket:
    """Listen as systemd does, and set what it sets."""
    systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    systemd.bind("notify")
    systemd.setblocking(False)
    os.environ["NOTIFY_SOCKET"] = os.path.abspath("notify")
    os.environ["WATCHDOG_USEC"] = "100000"
    return systemd


if __name__ == "__main__":
    with play_systemd() as systemd:
        run(main(), SDWatchdogService(), log_level="warning")
        while True:
            try:
                print(systemd.recv(1000).decode().replace("\n", ", "))
            except BlockingIOError:
                break
        os.unlink("notify")

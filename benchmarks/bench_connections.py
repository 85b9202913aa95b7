"""What a connection costs that is opened for one echo: per second, and in CPU time of the server.

Usage: python benchmarks/bench_connections.py [--quick] [--json FILE]

Each server runs in a process of its own, the client in this one, both on asyncio's loop, on 127.0.0.1. Rates depend on
the client too, so that the CPU time of the server is counted beside them; `bench_servers` has long connections.
Subjects take turns within each round; a value is the median over the rounds, a ratio the median of the ratios within
the rounds. The probe is a Protocol that writes what it reads, without streams and tasks; `start_server` is what one
writes by hand.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

Measures = list[dict[str, object]]

LINE = b"x" * 63 + b"\n"
AT_ONCE = 16
METRIC = "connections of one echo"

HANDLER = """
    async def handle_client(self, reader, writer):
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
        writer.close()
"""

SERVICE = f"""
import asyncio
class Echo(TCPServer):
{HANDLER}
async def main():
    print(server.port, flush=True)
    await asyncio.Event().wait()
server = Echo(address="127.0.0.1", port=0)
with entrypoint(server, log_config=False) as loop:
    loop.run_until_complete(main())
"""

BY_HAND = f"""
import asyncio
class Echo:
{HANDLER}
async def main():
    server = await asyncio.start_server(Echo().handle_client, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""

PROBE = """
import asyncio
class Echo(asyncio.Protocol):
    def connection_made(self, transport): self.transport = transport
    def data_received(self, data): self.transport.write(data)
async def main():
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""

ASYNCIO = "import os\nos.environ['MAINSPRING_USE_UVLOOP'] = os.environ['AIOMISC_USE_UVLOOP'] = '0'\n"
OURS = f"{ASYNCIO}from mainspring.runtime import entrypoint\nfrom mainspring.services import TCPServer\n{SERVICE}"
THEIRS = f"{ASYNCIO}from aiomisc import entrypoint\nfrom aiomisc.service import TCPServer\n{SERVICE}"


@contextmanager
def serving(program: str) -> Generator[tuple[int, int]]:
    """Run a server; yield its port and its process."""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        assert child.stdout is not None
        try:
            yield int(child.stdout.readline()), child.pid
        finally:
            child.kill()


class Pinger(asyncio.Protocol):
    """Sends a line and leaves when it has come back."""

    def __init__(self) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(LINE)

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"\n") and not self.done.done():
            self._transport.close()
            self.done.set_result(None)


async def ping(port: int) -> None:
    loop = asyncio.get_running_loop()
    _, pinger = await loop.create_connection(Pinger, "127.0.0.1", port)
    await pinger.done


async def visits(port: int, count: int) -> None:
    """Open a connection for each echo."""

    async def several() -> None:
        for _ in range(count // AT_ONCE):
            await ping(port)

    await asyncio.gather(*(several() for _ in range(AT_ONCE)))


def cpu_seconds(process: int) -> float:
    """Return the CPU time that the first thread of a process, which runs the loop, has used."""
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e9


def once(program: str, count: int) -> tuple[float, float]:
    """Return how many per second, and microseconds of the server's CPU for each."""
    with serving(program) as (port, process):
        asyncio.run(visits(port, count // 10))  # warm
        used, began = cpu_seconds(process), time.perf_counter()
        asyncio.run(visits(port, count))
        seconds, used = time.perf_counter() - began, cpu_seconds(process) - used
        return count / seconds, used / count * 1e6


def compare(rounds: int, count: int) -> Measures:
    subjects = {"Protocol (probe)": PROBE, "start_server by hand": BY_HAND, "ours": OURS}
    if find_spec("aiomisc"):
        subjects["aiomisc"] = THEIRS
    else:
        print("bench_connections: aiomisc is not installed, left out")
    measures: Measures = []
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, program in subjects.items():
            found[name].append(once(program, count))
    for number, unit in enumerate(("/s", "us of CPU")):
        each = {name: [values[number] for values in rows] for name, rows in found.items()}
        measures += [
            row("connections of one echo", name, statistics.median(values), unit) for name, values in each.items()
        ]
        for rival in [name for name in each if name != "ours"]:
            pairs = zip(each["ours"], each[rival], strict=True)
            ratio = statistics.median(ours / other for ours, other in pairs)
            measures.append(row(f"{METRIC}, {unit}", f"ours / {rival}", ratio, "x"))
    return measures


def row(metric: str, subject: str, value: float, unit: str) -> dict[str, object]:
    return {"metric": metric, "subject": subject, "value": value, "unit": unit}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measures there")
    options = parser.parse_args()
    measures = compare(*((5, 1_600) if options.quick else (15, 8_000)))
    if options.json:
        options.json.write_text(json.dumps(measures))
    for one in measures:
        print(f"{one['metric']:34} {one['subject']:30} {one['value']:10.2f} {one['unit']}")


if __name__ == "__main__":
    main()

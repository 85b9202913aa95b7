"""`mainspring proxy`: one upstream WebSocket for many clients, without a line of code."""

import asyncio
import signal
import ssl
import sys
from collections.abc import Generator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mainspring.cli._errors import ExitCode
from mainspring.cli._options import AsJson, run_action
from mainspring.cli._output import write_json
from mainspring.errors import InvalidArgumentError
from mainspring.transport import Connection, WebSocketProxy, row_keys


class Policy(StrEnum):
    """What becomes of a client that does not keep up."""

    DROP_OLDEST = "drop-oldest"
    DROP_CLIENT = "drop-client"
    CONFLATE = "conflate"


def proxy(
    upstream: Annotated[str, typer.Argument(metavar="UPSTREAM", help="the feed, as ws://host:port or wss://host")],
    listen: Annotated[
        str, typer.Option(metavar="ADDRESS", help="where clients connect; port 0 is a free one")
    ] = "ws://127.0.0.1:6222",
    by: Annotated[str | None, typer.Option(metavar="FIELD", help="messages are lists of rows; route by this")] = None,
    tell: Annotated[bool, typer.Option("--tell", help="tell the upstream the keys, as to another proxy")] = False,
    policy: Annotated[Policy, typer.Option(help="for clients that do not keep up")] = Policy.DROP_OLDEST,
    tokens: Annotated[Path | None, typer.Option(metavar="FILE", help="one token a line; clients must say one")] = None,
    certificate: Annotated[Path | None, typer.Option(metavar="FILE", help="PEM, with the key, for wss://")] = None,
    origin: Annotated[
        list[str] | None, typer.Option(metavar="ORIGIN", help="a page that may connect; may be repeated")
    ] = None,
    allow_unauthenticated: Annotated[
        bool, typer.Option("--allow-unauthenticated", help="let everybody who reaches the address in")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Rebroadcast one WebSocket feed to many clients, each with its own subscriptions, until Ctrl-C."""
    secrets = () if tokens is None else _read_tokens(tokens)
    context = None if certificate is None else _server_context(certificate)
    with _named_as_options(upstream):
        made = WebSocketProxy(
            listen,
            upstream,
            router_keys=None if by is None else row_keys(by),
            update_subscribe=_tell_keys if tell else None,
            tokens=secrets,
            ssl=context,
            policy=policy.value,
            origins=origin or (),
            allow_unauthenticated=allow_unauthenticated,
        )
    run_action(_run_proxy(made, upstream, as_json=as_json))


@contextmanager
def _named_as_options(upstream: str) -> Generator[None]:
    """Let an error about one of the two addresses say which."""
    try:
        yield
    except InvalidArgumentError as error:
        if error.argument != "address":
            raise
        argument = "UPSTREAM" if error.value == upstream else "--listen"
        raise InvalidArgumentError(
            argument=argument, value=error.value, expected=error.expected, hint=error.hint
        ) from error


async def _run_proxy(made: WebSocketProxy, upstream: str, *, as_json: bool) -> ExitCode:
    """Run until SIGINT or SIGTERM; the upstream is tried again for ever."""
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, stopped.set)
    try:
        async with made:
            if as_json:
                write_json({"listen": made.address, "upstream": upstream})
            else:
                sys.stdout.write(f"{made.address} rebroadcasts {upstream}; Ctrl-C ends it\n")
            sys.stdout.flush()
            ended, asked = loop.create_task(made.wait_ended()), loop.create_task(stopped.wait())
            await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
            asked.cancel()
            if ended.done():
                ended.result()
            ended.cancel()
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
    return ExitCode.DONE


async def _tell_keys(
    connection: Connection, current: frozenset[object], added: frozenset[object], removed: frozenset[object]
) -> None:
    if added:
        await connection.write_json({"subscribe": list(added)})
    if removed:
        await connection.write_json({"unsubscribe": list(removed)})


def _read_tokens(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text().splitlines() if line.strip()]
    except OSError as error:
        raise _unreadable("--tokens", path, error) from error


def _server_context(path: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(path)
    except ssl.SSLError as error:
        expected = "a PEM file with a certificate, its chain, and its key"
        raise InvalidArgumentError(argument="--certificate", value=str(path), expected=expected) from error
    except OSError as error:
        raise _unreadable("--certificate", path, error) from error
    return context


def _unreadable(option: str, path: Path, error: OSError) -> InvalidArgumentError:
    return InvalidArgumentError(
        argument=option, value=str(path), expected=f"a file that can be read ({error.strerror})"
    )

"""A gRPC server as a service, here without generated code: requests and answers are bytes.

With generated code, pass the service to `add_GreeterServicer_to_server` in the place of a server.

pip install "mainspring[grpc]"
python examples/services/grpc_hello.py
"""

from typing import Any

import grpc

from mainspring.runtime import run
from mainspring.services import GRPCService


async def hello(name: bytes, context: Any) -> bytes:  # Any: grpcio has no types of its own
    """Greet."""
    return b"hello, " + name


server = GRPCService(reflection=True)
server.add_generic_rpc_handlers(
    [grpc.method_handlers_generic_handler("hello.Greeter", {"Greet": grpc.unary_unary_rpc_method_handler(hello)})]
)
port = server.add_insecure_port("127.0.0.1:0")


async def main() -> None:
    """Make one call."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{await port}") as channel:
        connected: Any = channel  # Any: as above
        print((await connected.unary_unary("/hello.Greeter/Greet")(b"reader")).decode())


if __name__ == "__main__":
    run(main(), server, log_level="warning")

"""A server and clients over TLS, with certificates that OpenSSL's command makes.

python examples/services/tls_echo.py
"""

import asyncio
import ssl
import subprocess

from mainspring.runtime import entrypoint
from mainspring.services import RobustTLSClient, TLSClient, TLSServer


class Echo(TLSServer):
    """Sends back each line."""

    async def handle_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()


class Hello(TLSClient):
    """Says hello and prints the answer."""

    async def handle_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello\n")
        print((await reader.readline()).decode().strip())
        answered.set()


class Again(RobustTLSClient):
    """Says hello in two connections."""

    reconnect_timeout = 0.1
    count = 0

    async def handle_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello again\n")
        print((await reader.readline()).decode().strip())
        self.count += 1
        if self.count == 2:
            enough.set()


answered = asyncio.Event()
enough = asyncio.Event()


def make_certificate() -> None:
    """Make a certificate that signs itself, for localhost, in this folder."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -keyout key.pem"
    words = [*command.split(), "-out", "cert.pem", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(words, check=True, capture_output=True)


async def main() -> None:
    """Talk to the server with its certificate at hand, and without."""
    await asyncio.to_thread(make_certificate)
    server = Echo(address="localhost", port=0, cert="cert.pem", key="key.pem")
    async with entrypoint(server, log_level="error") as program:
        await program.start_services(Hello(address="localhost", port=server.port, ca="cert.pem"))
        await answered.wait()
        again = Again(address="localhost", port=server.port, ca="cert.pem")
        await program.start_services(again)
        await enough.wait()
        await program.stop_services(again)
        try:
            await program.start_services(Hello(address="localhost", port=server.port))
        except ssl.SSLCertVerificationError as error:
            print("refused:", error.verify_message)


if __name__ == "__main__":
    asyncio.run(main())

"""A FastAPI application behind uvicorn, which leaves signals and logging to the program.

pip install "mainspring[uvicorn,aiohttp]" fastapi
python examples/services/uvicorn_hello.py
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiohttp import ClientSession
from fastapi import FastAPI

from mainspring.runtime import run
from mainspring.services import UvicornApplication, UvicornService


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """Runs around the time in which the server listens."""
    print("the application starts")
    yield
    print("the application stops")


app = FastAPI(lifespan=lifespan)


@app.get("/{name}")
async def hello(name: str) -> dict[str, str]:
    """Greet."""
    return {"message": f"hello, {name}"}


class Hello(UvicornService):
    """Greets."""

    async def create_application(self) -> UvicornApplication:
        """Return the application."""
        return app


server = Hello(host="127.0.0.1", port=0)


async def main() -> None:
    """Ask for one page."""
    async with ClientSession() as session, session.get(f"http://127.0.0.1:{server.port}/reader") as response:
        print(await response.json())


if __name__ == "__main__":
    run(main(), server, log_level="warning")

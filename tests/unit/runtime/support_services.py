"""Services that write down what happens to them."""

import asyncio
from typing import Any

from mainspring.runtime import Service, entrypoint


class Noted(Service):
    """Writes into a shared list what happens to it."""

    log: list[str]
    label: str = "service"

    async def start(self) -> Any:
        self.log.append(f"{self.label} starts")

    async def stop(self, exception: BaseException | None = None) -> Any:
        self.log.append(f"{self.label} stops {type(exception).__name__}")


class Working(Noted):
    """Is its own work."""

    async def start(self) -> None:
        self.log.append(f"{self.label} starts")
        self.start_event.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.log.append(f"{self.label} is cancelled")


class Failing(Noted):
    """Does not start."""

    async def start(self) -> None:
        raise ValueError(self.label)


def quiet(*services: Service, **options: Any) -> entrypoint:
    options.setdefault("log_config", False)
    return entrypoint(*services, **options)

"""One service in the hands of an entrypoint: the task that runs it, and what became of it."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, get_args

from mainspring.errors import InvalidArgumentError, MisuseError, ServiceTimeoutError
from mainspring.runtime._container import ResourceContainer
from mainspring.runtime._service import RestartPolicy, Service, given_params

log: Final = logging.getLogger(__name__)

_LONG_START: Final = 15.0  # seconds after which the log says who is waited for
_WELL_SECONDS: Final = 60.0  # who worked for so long, and longer than any delay, is restarted as if for the first time
# Which policies restart a service that returned (True), or failed.
_RESTARTED: Final = {True: ("always",), False: ("always", "on-failure")}


class Hosted:
    """Runs `start()` of one service in one task, with its resources around it, and restarts it if asked to.

    `started` is done when the service is ready, failed to start, or never will.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self.name = type(service).__qualname__
        if service.restart not in get_args(RestartPolicy):
            expected = f"one of {', '.join(get_args(RestartPolicy))}"
            raise InvalidArgumentError(argument=f"{self.name}.restart", value=service.restart, expected=expected)
        self.started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.released: asyncio.Event | None = None
        self.task: asyncio.Task[None] | None = None
        self.error: BaseException | None = None
        self.end_error: BaseException | None = None
        self.begun = False
        self.stopping = False
        self.restart_count = 0
        self._lent: tuple[str, ...] = ()
        self._patience: asyncio.TimerHandle | None = None

    def begin(
        self, resources: ResourceContainer, needs: Sequence["Hosted"], settled: "Callable[[Hosted], None]"
    ) -> None:
        """Start the task. The service starts once everything it needs is started.

        `settled` is called when it is ready, has failed, or never will be: at once, and not by a callback of the
        future, which would be one more turn of the loop for each service.
        """
        loop = asyncio.get_running_loop()
        self._settled = settled
        self.service.set_loop(loop)
        self.service.start_event.on_set = self._ready
        self.task = loop.create_task(self._run(resources, needs), name=f"service {self.name}")

    @property
    def failed(self) -> bool:
        """Whether `start()` raised before the service was ready."""
        started = self.started
        return started.done() and not started.cancelled() and started.exception() is not None

    @property
    def state(self) -> str:
        """In a word what the service does now."""
        if self.error is not None:
            return "failed"
        if self.stopping:
            return "stopping" if self.task and not self.task.done() else "stopped"
        if not self.started.done():
            return "starting"
        return "running" if self.service.ready else "restarting"

    def release(self) -> None:
        """After `stop()`: end a `start()` that still runs, and let go of the resources."""
        self.stopping = True
        if self.released is not None:
            self.released.set()
        elif self.task is not None:
            self.task.cancel()
        self._give_up()

    def take_back(self) -> None:
        """After the end: remove the resources, which are closed, so that the next program gives its own."""
        for name in self._lent:
            vars(self.service).pop(name, None)

    async def _run(self, resources: ResourceContainer, needs: Sequence["Hosted"]) -> None:
        try:
            if needs:
                await asyncio.wait([need.started for need in needs])
                if any(need.failed or need.started.cancelled() for need in needs):
                    self._give_up()
                    return
            timer = self._limit_start()
            self._patience = self.service.loop.call_later(_LONG_START, self._say_that_it_is_slow)
            try:
                await self._work_with_resources(resources)
            finally:
                self._patience.cancel()
                if timer is not None:
                    timer.cancel()
        except Exception as error:  # noqa: BLE001  # supervisor: kept, and told to those who wait
            self._fail(error)
        except asyncio.CancelledError:
            if not self.stopping and not self.started.cancelled() and not self.failed:
                hint = "start() awaited something that was cancelled, or its task was cancelled from outside"
                self._fail(MisuseError(what=f"the service {self.name}", problem="ended by a cancellation", hint=hint))
            raise

    async def _work_with_resources(self, resources: ResourceContainer) -> None:
        service = self.service
        own = given_params(service).keys() | vars(service).keys()  # passed to it, or set by its `__init__`
        binding = resources.bind_attributes(type(service), given=own)
        if not binding.parameters:
            await self._work()
            return
        async with binding.enter(service) as values:
            self._lent = tuple(values)
            for name, value in values.items():
                setattr(service, name, value)
            await self._work()
            self.released = asyncio.Event()
            await self.released.wait()

    async def _work(self) -> None:
        """Call `start()`, and again as the restart policy says once the service was ready."""
        service = self.service
        self.begun = True
        if service.restart == "never":
            await service.start()
            service.start_event.set()
            return
        delays = service.backoff.delays()
        while True:
            began = service.loop.time()
            failure: Exception | None = None
            try:
                await service.start()
            except Exception as error:  # noqa: BLE001  # supervisor: what may be restarted, raised below if not
                failure = error
            if service.loop.time() - began > max(_WELL_SECONDS, service.backoff.maximum):
                delays = service.backoff.delays()
            was_work = service.ready or self.restart_count > 0
            delay = next(delays, None if failure else service.backoff.maximum)
            if failure is None:
                service.start_event.set()
            if delay is None or not was_work or self.stopping or service.restart not in _RESTARTED[failure is None]:
                if failure is not None:
                    raise failure
                return
            service.start_event.clear()
            if failure is not None:
                log.warning("service %s failed, it is restarted in %.3g s: %r", self.name, delay, failure)
            await asyncio.sleep(delay)
            self.restart_count += 1

    def _ready(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
        if not self.started.done():
            self.started.set_result(None)
            self._settled(self)

    def _give_up(self) -> None:
        if not self.started.done():
            self.started.cancel()
            self._settled(self)

    def _limit_start(self) -> asyncio.TimerHandle | None:
        limit = self.service.start_timeout
        return None if limit is None else self.service.loop.call_later(limit, self._late, limit)

    def _say_that_it_is_slow(self) -> None:
        log.warning(
            "service %s is not ready after %g s, and the program waits for it; a start() that is the work itself calls "
            "self.start_event.set() when it is ready",
            self.name,
            _LONG_START,
        )

    def _late(self, limit: float) -> None:
        if not self.started.done():
            self._fail(ServiceTimeoutError(service=self.name, action="start", timeout=limit))
            if self.task is not None:
                self.task.cancel()

    def _fail(self, error: Exception) -> None:
        self.error = error
        if not self.started.done():
            self.started.set_exception(error)
            self.started.exception()  # whoever waits asks again; nobody may be left to
            self._settled(self)
        elif self.stopping:
            self.end_error = error
        else:
            log.error("service %s failed after it had started", self.name, exc_info=error)

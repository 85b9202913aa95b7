"""The services of one program: started side by side as far as they do not need one another, and stopped."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Any, Final

from mainspring.errors import CycleError, MisuseError, ServiceTimeoutError
from mainspring.runtime._container import ResourceContainer
from mainspring.runtime._exit import Errors, Exit
from mainspring.runtime._hosted import Hosted
from mainspring.runtime._service import Service

log: Final = logging.getLogger(__name__)


class ServiceGroup:
    """Starts and stops services, all or some, in the order that `requires` asks for."""

    def __init__(self, resources: ResourceContainer, program_exit: Exit) -> None:
        self._resources = resources
        self._exit = program_exit
        self._hosted: dict[int, Hosted] = {}  # by id(): a service may define equality

    @property
    def hosted(self) -> tuple[Hosted, ...]:
        """Everything that was started and not stopped, in the order of starting."""
        return tuple(self._hosted.values())

    async def start(self, services: Iterable[Service]) -> list[Hosted]:
        """Start services side by side; return them when each is ready, or was stopped meanwhile.

        When one fails, the others are left as they are: the caller stops them.

        Raises:
            CycleError: services require one another in a circle.
            MisuseError: a service runs already, or requires one that is not there.
            InvalidArgumentError: a service has no known restart policy.
            Exception: what a `start()` raised; an ExceptionGroup when several failed.
        """
        new = {id(one): Hosted(one) for one in services}
        for one in new.values():
            if id(one.service) in self._hosted:
                raise MisuseError(what=f"the service {one.name}", problem="is started already")
        known = {**self._hosted, **new}
        needs = {key: _needs_of(one, known.values()) for key, one in new.items() if one.service.requires}
        _check_circles([new[key] for key in needs], needs)
        self._hosted = known
        everyone = asyncio.get_running_loop().create_future()
        left = len(new)

        def settled(one: Hosted) -> None:
            nonlocal left
            left -= 1
            if (left == 0 or one.failed) and not everyone.done():
                everyone.set_result(None)

        for key, one in new.items():
            one.begin(self._resources, needs.get(key, ()), settled)
        if new:
            await everyone
        errors = [one.error for one in new.values() if one.failed and one.error is not None]
        raise_together("services failed to start", errors)
        return list(new.values())

    async def stop(self, services: Iterable[Service], error: BaseException | None) -> list[BaseException]:
        """Stop services: those that require others first, the rest side by side. Return what went wrong.

        `stop(error)` of every one runs to its end whatever the others do; then a `start()` that still runs is
        cancelled and awaited. A cancellation cancels the calls that run; the rest is stopped before it is raised.
        """
        wanted = {id(one) for one in services}
        leaving = [one for key, one in self._hosted.items() if key in wanted]
        steps = self._exit.steps()
        for layer in _layers(leaving):
            await steps.do(self._stop_layer(layer, error, steps.errors))
            for one in layer:
                one.take_back()
                self._hosted.pop(id(one.service), None)
        return steps.end()

    async def _stop_layer(self, layer: Sequence[Hosted], error: BaseException | None, errors: Errors) -> None:
        """Stop services side by side; put what went wrong into `errors`, also when this is cancelled."""
        stops = [
            asyncio.create_task(_stop_one(one, error), name=f"stop {one.name}")
            for one in layer
            if one.begun and not one.failed and _stops(one.service)
        ]
        try:
            await self._wait_or_cancel(stops)
        finally:
            errors += [failure for stop in stops if (failure := _failure_of(stop)) is not None]
            for one in layer:
                one.release()
            try:
                await self._wait_or_cancel([one.task for one in layer if one.task is not None and not one.task.done()])
            finally:
                errors += [one.end_error for one in layer if one.end_error is not None]

    async def _wait_or_cancel(self, tasks: Sequence[asyncio.Task[Any]]) -> None:
        """Wait for tasks; when this is cancelled, cancel them, and wait as long as stopping may take.

        While the program stops, its exit sees to that.
        """
        if not tasks:
            return
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            _, deaf = await asyncio.wait(tasks, timeout=None if self._exit.closing.is_set() else self._exit.timeout)
            for task in deaf:
                log.error("%s: goes on although it was cancelled, and is left alone", task.get_name())
            raise


def _failure_of(stop: "asyncio.Task[BaseException | None]") -> BaseException | None:
    return stop.result() if stop.done() and not stop.cancelled() else None


def _needs_of(one: Hosted, known: Iterable[Hosted]) -> list[Hosted]:
    found: list[Hosted] = []
    for wanted in one.service.requires:
        matches = [other for other in known if other is not one and _is_wanted(other.service, wanted)]
        if not matches:
            label = wanted if isinstance(wanted, str) else wanted.__qualname__
            raise MisuseError(
                what=f"the service {one.name}",
                problem=f"requires {label}, which is not among the services of this program",
                hint=f"pass {label}(...) to the entrypoint too",
            )
        found += matches
    return found


def _is_wanted(service: Service, wanted: str | type[Service]) -> bool:
    if not isinstance(wanted, str):
        return isinstance(service, wanted)
    return any(wanted == kind.__name__ for kind in type(service).__mro__) or wanted == getattr(service, "name", None)


def _check_circles(new: Iterable[Hosted], needs: dict[int, list[Hosted]]) -> None:
    done: set[int] = set()

    def visit(one: Hosted, path: tuple[Hosted, ...]) -> None:
        if one in path:
            circle = [*path[path.index(one) :], one]
            raise CycleError(what="services", cycle=[each.name for each in circle])
        if id(one) not in done:
            for need in needs.get(id(one.service), ()):
                visit(need, (*path, one))
            done.add(id(one))

    for one in new:
        visit(one, ())


def _layers(leaving: Sequence[Hosted]) -> list[list[Hosted]]:
    """Return the services in the order of stopping: each layer is required by none that is left."""
    rest = list(leaving)
    layers: list[list[Hosted]] = []
    while wanted := {need for one in rest for need in one.service.requires}:
        held = {one for one in rest if any(_is_wanted(one.service, need) for need in wanted)}
        free = [one for one in rest if one not in held]
        if not free:  # a service that requires its own class
            break
        layers.append(free)
        rest = [one for one in rest if one in held]
    return [*layers, rest] if rest else layers


def _stops(service: Service) -> bool:
    return type(service).stop is not Service.stop or "stop" in vars(service)


async def _stop_one(one: Hosted, error: BaseException | None) -> BaseException | None:
    was_ready = one.started.done()
    failure: BaseException
    patience = one.service.stop_timeout
    limit = None if patience is None else asyncio.timeout(patience)  # noqa: TID251  # with 0, stop() still begins
    try:
        if limit is None:
            await one.service.stop(error)
        else:
            async with limit:
                await one.service.stop(error)
        return None
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        return None  # stop() awaited a task that it had cancelled
    except (Exception, SystemExit) as caught:  # noqa: BLE001  # supervisor: one failing stop keeps no other from stopping
        failure = caught
        if limit is not None and limit.expired():
            failure = ServiceTimeoutError(service=one.name, action="stop", timeout=patience or 0.0)
    if was_ready:
        return failure
    log.warning("service %s was stopped before it had started, and stop() failed: %r", one.name, failure)
    return None


def raise_together(what: str, errors: Sequence[BaseException]) -> None:
    """Raise nothing, the only error, or all of them as one group."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise BaseExceptionGroup(what, list(errors))

"""Nodes (one provider in one container), uses (what one run entered) and holders (who keeps app resources).

An app-scope value is made, held and left by one task of its own, the holder: generators, timeouts and task
groups inside a factory must end in the task where they began, and the run that happens to come first must
not take the value with it when it is cancelled.

A loop that ends without a close (that of `asyncio.run`) cancels all tasks, holders among them. What they hold is left
then as by a close, newest first: to a generator its value was not in error, and the code after its `yield` runs.
"""

import asyncio
from contextvars import Context
from copy import copy
from types import TracebackType
from typing import Final, Self

from mainspring.errors import ResourceError
from mainspring.runtime._provider import Leave, Lend, Recipe, enter_lent, enter_made, lender_of
from mainspring.runtime._resource import Provider, Resource

MISSING: Final = object()


class Node:
    """One provider in one container: its recipe, what it needs, and the app-scope value once made."""

    __slots__ = ("holder", "lend", "parts", "provider", "recipe", "replacement", "value", "wants_ctx")

    def __init__(self, provider: Provider, recipe: Recipe) -> None:
        self.provider = provider
        self.recipe = recipe
        self.parts: dict[str, Node] = {}
        self.wants_ctx = False
        self.replacement: Node | None = None
        self.holder: Holder | None = None
        self.value: object = MISSING
        self.lend: Lend | None = None
        if recipe.make is None:
            self.value, self.lend = provider, lender_of(provider)

    def current(self) -> "Node":
        """Return the node that stands in for this one after `override`."""
        node = self
        while node.replacement is not None:
            node = node.replacement
        return node

    def forget(self) -> None:
        """Drop the value that was made; the next user makes another."""
        if self.recipe.make is not None:
            self.value, self.lend, self.holder = MISSING, None, None


class Use:
    """What one run (or one holder) entered: each node at most once, left in reverse order."""

    __slots__ = ("_ctx", "_leaves", "_owner", "_values")

    def __init__(self, owner: "Holding", ctx: object) -> None:
        self._owner = owner
        self._ctx = ctx
        self._values: dict[Node, object] = {}
        self._leaves: list[tuple[str, str, Leave]] = []

    async def value_of(self, node: Node) -> object:
        """Return the node's value for this use; make, enter or acquire what is not there yet."""
        node = node.current()
        if node in self._values:
            return self._values[node]
        value, lend = node.value, node.lend
        if node.recipe.scope == "run":
            value = await self.make(node)
            lend = lender_of(value) if isinstance(value, Resource) else None
        elif value is MISSING:
            value = await self._owner.hold(node)
            lend = node.lend
        if lend is not None:
            value = await self._borrow(node.recipe.name, lend)
        self._values[node] = value
        return value

    async def make(self, node: Node) -> object:
        """Call the factory with what it asks for and enter what it returns."""
        arguments = {name: await self.value_of(part) for name, part in node.parts.items()}
        if node.wants_ctx:
            arguments["ctx"] = self._ctx
        name, factory = node.recipe.name, node.recipe.make
        try:
            made, leave = await enter_made(factory(**arguments) if factory else node.provider)
        except Exception as error:  # supervisor: a user's factory, named and raised
            raise resource_error(name, "made", error) from error
        if leave is not None:
            self._leaves.append((name, "left", leave))
        if isinstance(made, Resource):
            self._leaves.append((name, "closed", _closer(made)))
        return made

    async def _borrow(self, name: str, lend: Lend) -> object:
        try:
            value, leave = await enter_lent(lend(self._ctx))
        except Exception as error:  # supervisor: a user's acquire, named and raised
            raise resource_error(name, "acquired", error) from error
        if leave is not None:
            self._leaves.append((name, "left", leave))
        return value

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        outcome = error
        while self._leaves:
            name, action, leave = self._leaves.pop()
            try:
                # The answer is not looked at: leaving a resource never hides the error of its user.
                await leave(type(outcome) if outcome else None, outcome, outcome and outcome.__traceback__)
            except BaseException as failure:  # noqa: BLE001  # supervisor: every other one is left too
                outcome = _merge(name, action, outcome, failure)
        self._values.clear()
        if outcome is not None and outcome is not error:
            raise outcome


def _closer(made: Resource) -> Leave:
    async def close(*_: object) -> None:
        await made.close()

    return close


def _merge(name: str, action: str, error: BaseException | None, failure: BaseException) -> BaseException:
    """Decide which error a use ends with, when leaving a resource failed."""
    if failure is error or not isinstance(failure, Exception):
        return failure
    if error is None:
        outcome = resource_error(name, action, failure)
        outcome.__cause__ = failure
        return outcome
    if failure.__cause__ is error:  # `raise Mine from theirs`: the resource translates
        return failure
    error.add_note(f"resource {name!r} could not be {action} either: {_reason(failure)}")
    return error


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def resource_error(name: str, action: str, error: BaseException) -> ResourceError:
    """Name the resource whose factory or `acquire` failed."""
    if isinstance(error, ResourceError):
        return error
    return ResourceError(resource=name, action=action, reason=_reason(error))


class Holder:
    """The task that makes one app-scope value, keeps it, and leaves it when the container closes."""

    __slots__ = ("_closing", "_node", "_owner", "is_cut_off", "ready", "task")

    def __init__(self, owner: "Holding", node: Node, context: Context) -> None:
        loop = asyncio.get_running_loop()
        self._owner = owner
        self._node = node
        self._closing = asyncio.Event()
        self.is_cut_off = False
        self.ready: asyncio.Future[None] = loop.create_future()
        self.task = loop.create_task(self._hold(), name=f"resource {node.recipe.name}", context=context)

    async def _hold(self) -> None:
        node = self._node
        cut_off: asyncio.CancelledError | None = None
        try:
            async with Use(self._owner, None) as use:
                value = await use.make(node)
                node.lend = lender_of(value) if isinstance(value, Resource) or value is node.provider else None
                node.value = value
                self._owner.keep(self)
                self.ready.set_result(None)
                try:
                    await self._closing.wait()
                except asyncio.CancelledError as error:
                    cut_off = error
                    await self._owner.until_left(self._begin_leaving())
        except ResourceError as error:
            if self.ready.done():
                raise
            self.ready.set_exception(error)
            self.ready.exception()  # nobody may be waiting any more
        finally:
            node.forget()
            if not self.ready.done():
                self.ready.cancel()
        if cut_off is not None:
            raise cut_off

    def _begin_leaving(self) -> "Holder":
        """Take the cancellation for a close: what is left may set time limits, and start tasks, as ever."""
        self.is_cut_off = True
        self.task.uncancel()
        return self

    @property
    def is_ending(self) -> bool:
        """Its task was cancelled."""
        return self.is_cut_off or self.task.cancelling() > 0

    async def value(self) -> object:
        """Wait until the value is there; all who wait for a failed attempt get its error."""
        name = self._node.recipe.name
        try:
            await asyncio.shield(self.ready)
        except ResourceError as error:
            raise copy(error) from error.__cause__
        except asyncio.CancelledError:
            if not self.ready.cancelled():
                raise
            closed = "the program is stopping"
            raise ResourceError(resource=name, action="made", reason=closed) from None
        return self._node.value

    async def close(self) -> None:
        """Leave the value, or stop making it, and wait for that; raises what leaving raised."""
        if self.ready.done():
            self._closing.set()
        else:
            self.task.cancel()
        try:
            await asyncio.wait([self.task])
        except asyncio.CancelledError:
            self.task.cancel()
            raise
        if not self.task.cancelled() and (error := self.task.exception()):
            raise error

    def abandon(self) -> None:
        """Forget the value: its loop is gone, and the task with it."""
        self._node.forget()


class Holding:
    """The app-scope values of one container, on one loop."""

    __slots__ = ("_kept", "_making", "context", "loop")

    def __init__(self, context: Context) -> None:
        self.context = context
        self._making: set[Holder] = set()
        self._kept: list[Holder] = []
        self.loop: asyncio.AbstractEventLoop | None = None

    async def hold(self, node: Node) -> object:
        """Return the value of an app-scope node; the first user starts its holder, the others wait."""
        holder = node.holder
        if holder is None:  # no await from here to the assignment: one builder
            self.loop = asyncio.get_running_loop()
            # The container's own context: what the first run has set must not stick to a shared value.
            holder = node.holder = Holder(self, node, self.context.copy())
            self._making.add(holder)
            holder.task.add_done_callback(lambda _: self._drop(holder))
        return await holder.value()

    def tasks(self) -> set[asyncio.Task[None]]:
        """Return the tasks of all holders."""
        return {holder.task for holder in (*self._making, *self._kept)}

    def keep(self, holder: Holder) -> None:
        """Note that a value is ready; values are left in the reverse of this order."""
        self._making.discard(holder)
        self._kept.append(holder)

    async def until_left(self, holder: Holder) -> None:
        """Wait until what was made after a value, and ends as it does, is left."""
        later = [*self._making, *self._kept[self._kept.index(holder) + 1 :]]
        if tasks := [one.task for one in later if one.is_ending]:
            await asyncio.wait(tasks)

    def _drop(self, holder: Holder) -> None:
        self._making.discard(holder)
        if holder in self._kept:
            self._kept.remove(holder)

    async def close(self) -> list[Exception]:
        """Leave everything, newest first; return what went wrong."""
        errors: list[Exception] = []
        for holder in [*self._making, *reversed(self._kept)]:
            try:
                await holder.close()
            except Exception as error:  # noqa: BLE001  # supervisor: every other one is left too
                errors.append(error)
        self.loop = None
        return errors

    def abandon(self) -> None:
        """Forget what was held on a loop that is gone."""
        for holder in [*self._making, *self._kept]:
            holder.abandon()
        self._making.clear()
        self._kept.clear()
        self.loop = None

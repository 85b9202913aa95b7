"""The kinds of sink: an async callable, a typed sink, a result sink, and a sink that writes in a transaction."""

import inspect
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FunctionType, MethodType
from typing import Any, Protocol, TypeGuard, TypeVar, runtime_checkable  # Any: items have any type

from mainspring.concurrency import ThreadPoolExecutor
from mainspring.errors import InvalidArgumentError, UnroutedItemError
from mainspring.sinks._transaction import Collector, SinkRun, SqlTransaction

Write = Callable[[Sequence[Any]], Awaitable[None]]
Method = TypeVar("Method", bound=Callable[..., Awaitable[None]])

_MARK = "__sink_types__"


@dataclass(frozen=True, slots=True)
class TransactionalBatch:
    """Items of one run for one sink, in order; iterate it or take `items`.

    Attributes:
        run: the run that emitted them, with its interval and fence.
        first: True for the first batch of the run, which may be empty when the sink replaces.
    """

    run: SinkRun
    items: Sequence[Any]
    first: bool

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the items."""
        return iter(self.items)

    def __len__(self) -> int:
        """Return how many items it holds."""
        return len(self.items)


@runtime_checkable
class TransactionalSink(Protocol):
    """A sink whose rows travel with the run's finish, in one transaction of the job store.

    An attribute `replaces = True` asks for an empty first batch from a run of its job that emitted nothing, so that
    what an earlier run wrote for the same interval can be removed. A sink that an app knows by types or name gets one
    from every run of the app with an interval if it also has a method `place(run)` as a `SqlTable` has: then it must
    remove what the run's own job wrote, and nothing else.
    """

    @property
    def label(self) -> str:
        """The name of the sink; that of its class unless it says another."""
        return type(self).__qualname__

    def write(self, tx: SqlTransaction, batch: TransactionalBatch) -> int:
        """Write a batch and return how many rows that were; blocks, and runs in the writer's thread."""
        ...

    def check(self, item: object, run: SinkRun) -> None:
        """Refuse an item that can never be written.

        Raises:
            InvalidItemError: what is wrong with it.
        """
        return


@runtime_checkable
class CollectingSink(Protocol):
    """A sink that collects what a run emits and writes it by itself when the run ends well.

    An attribute `replaces = True` asks for a collector also for a run of its job that emitted nothing, as with a
    `TransactionalSink`.
    """

    @property
    def label(self) -> str:
        """The name of the sink; that of its class unless it says another."""
        return type(self).__qualname__

    def collect(self, run: SinkRun, threads: ThreadPoolExecutor) -> Collector:
        """Return what takes the items of one run; blocking work is for `threads`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteIntent:
    """An item on its way to a `ResultSink`, with the key it was emitted under."""

    payload: Any
    key: str | None = None
    sink: str | None = None
    job_id: str | None = None
    run_id: str | None = None


class ResultSink:
    """Base of sinks that take whole batches of `WriteIntent`; override `write_batch`.

    An attribute `delivery` (a `Delivery`) says on which terms; it counts for a `TypedSink` and a function too.
    """

    async def write_batch(self, intents: Sequence[WriteIntent]) -> None:
        """Write a batch in one go; an exception makes the batcher try again."""
        raise NotImplementedError


def on(item_type: type) -> Callable[[Method], Method]:
    """Mark a method of a `TypedSink` as the one that writes items of this type (and of its subclasses)."""

    def mark(method: Method) -> Method:
        setattr(method, _MARK, (*getattr(method, _MARK, ()), item_type))
        return method

    return mark


class TypedSink:
    """Base of sinks with one method per type: `@on(Trade) async def write(self, batch: list[Trade])`."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._handlers = {
            item_type: name
            for base in reversed(cls.__mro__)
            for name, method in vars(base).items()
            for item_type in getattr(method, _MARK, ())
        }

    _handlers: dict[type, str]

    @property
    def types(self) -> tuple[type, ...]:
        """The types that this sink takes."""
        return tuple(self._handlers)

    async def __call__(self, batch: Sequence[Any]) -> None:
        """Give each item to the method of its type, one call per method."""
        groups: dict[str, list[Any]] = {}
        for item in batch:
            groups.setdefault(self.method_for(item), []).append(item)
        for name, items in groups.items():
            await getattr(self, name)(items)

    def method_for(self, item: object) -> str:
        """Return the name of the method that writes an item.

        Raises:
            UnroutedItemError: none does.
        """
        for base in type(item).__mro__:
            if base in self._handlers:
                return self._handlers[base]
        known = tuple(one.__qualname__ for one in self._handlers)
        raise UnroutedItemError(item_type=type(item).__qualname__, registered=known)


def label_of(sink: object) -> str:
    """Return the name under which a sink is known: its label, its name, or that of its class."""
    for attribute in ("label", "__qualname__"):
        found = getattr(sink, attribute, None)
        if isinstance(found, str):
            return found
    return type(sink).__qualname__


def is_write(sink: object) -> TypeGuard[Write]:
    """Tell whether a sink can be called with a batch."""
    return callable(sink)


def is_collecting(sink: object) -> TypeGuard[TransactionalSink | CollectingSink]:
    """Tell whether a sink writes the items of a run when the run ends, all or none."""
    return isinstance(sink, TransactionalSink | CollectingSink)


def _is_blocking(sink: object) -> bool:
    """Tell whether a sink is a `def` that returns nothing, as far as it says: its batch could not be awaited."""
    if not isinstance(sink, FunctionType | MethodType) or inspect.iscoroutinefunction(inspect.unwrap(sink)):
        return False
    return sink.__name__ != "<lambda>" and sink.__annotations__.get("return") in (None, "None")


def check_sink(sink: object) -> None:
    """Refuse what is no sink.

    Raises:
        InvalidArgumentError: the object is no sink, or a function that does not say that it can be awaited.
    """
    if _is_blocking(sink):
        raise InvalidArgumentError(
            argument="sink",
            value=sink,
            expected="an async function of a list of items",
            hint="write `async def`; what blocks can be awaited there through `threaded`",
        )
    if not isinstance(sink, ResultSink) and not is_collecting(sink) and not is_write(sink):
        raise InvalidArgumentError(
            argument="sink",
            value=sink,
            expected="a SqlTable, a file, a TypedSink, a ResultSink or an async function of a list of items",
        )

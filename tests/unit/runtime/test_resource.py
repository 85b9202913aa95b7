"""Resources in every documented form: made once, lent per use, left in reverse order."""

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Any

import pytest

from mainspring.errors import InvalidArgumentError, ResourceError
from mainspring.runtime import Resource, ResourceContainer, resource


def anything(**resources: object) -> None:
    """Take every named resource."""


class Log(list[str]):
    """What happened, in order."""


class _Managed(Resource):
    def __init__(self) -> None:
        self.log = Log()

    @asynccontextmanager
    async def acquire(self, ctx: Any) -> AsyncGenerator[str]:
        self.log.append("in")
        yield f"value {ctx}"
        self.log.append("out")


class _Generator(_Managed):
    async def acquire(self, ctx: Any) -> AsyncGenerator[str]:  # type: ignore[override]
        self.log.append("in")
        yield f"value {ctx}"
        self.log.append("out")


class _SyncGenerator(_Managed):
    def acquire(self, ctx: Any) -> Generator[str]:  # type: ignore[override]
        self.log.append("in")
        yield f"value {ctx}"
        self.log.append("out")


class _ReturnsAsyncManager(_Managed):
    def acquire(self, ctx: Any) -> Any:
        return _Managed.acquire(self, ctx)


class _ReturnsSyncManager(_Managed):
    def acquire(self, ctx: Any) -> Any:
        @contextmanager
        def borrow() -> Generator[str]:
            self.log.append("in")
            yield f"value {ctx}"
            self.log.append("out")

        return borrow()


class _CoroutineGivesManager(_Managed):
    async def acquire(self, ctx: Any) -> Any:  # type: ignore[override]
        return _Managed.acquire(self, ctx)


class _Coroutine(_Managed):
    async def acquire(self, ctx: Any) -> str:  # type: ignore[override]
        return f"value {ctx}"


class _Plain(_Managed):
    def acquire(self, ctx: Any) -> Any:
        return f"value {ctx}"


LEAVABLE = (
    _Managed,
    _Generator,
    _SyncGenerator,
    _ReturnsAsyncManager,
    _ReturnsSyncManager,
    _CoroutineGivesManager,
)


@pytest.mark.parametrize("kind", LEAVABLE)
@pytest.mark.parametrize("given", ["class", "instance"])
async def test_each_use_enters_and_leaves_the_one_instance(kind: type[_Managed], given: str) -> None:
    logs: list[Log] = []

    class Watched(kind):  # type: ignore[valid-type, misc]
        def __init__(self) -> None:
            super().__init__()
            logs.append(self.log)

    container = ResourceContainer()
    provider = Watched if given == "class" else Watched()
    binding = container.bind(anything, names={"db": provider})
    for ctx in (1, 2):
        async with binding.enter(ctx) as values:
            assert {"db": f"value {ctx}"} == values
            assert logs[0][-1] == "in"
    await container.close()
    assert logs == [["in", "out", "in", "out"]]


@pytest.mark.parametrize("kind", [_Coroutine, _Plain])
async def test_a_value_without_a_manager_is_lent_as_it_is(kind: type[Resource]) -> None:
    container = ResourceContainer()
    async with container.use(kind, ctx=7) as value:
        assert value == "value 7"
    await container.close()


async def test_what_a_coroutine_lends_is_not_entered() -> None:
    """A shared client that is its own context manager would be closed after the first run."""

    class Client:
        closed = False

        async def __aenter__(self) -> "Client":
            raise NotImplementedError

        async def __aexit__(self, *_: object) -> None:
            self.closed = True

    class Api(Resource):
        def __init__(self) -> None:
            self.client = Client()

        async def acquire(self, ctx: object) -> Client:
            return self.client

    container = ResourceContainer()
    async with container.use(Api) as first:
        pass
    async with container.use(Api) as second:
        assert first is second
        assert not second.closed
    await container.close()


def _factories(log: Log) -> dict[str, Any]:
    @resource
    def plain() -> str:
        return "plain"

    @resource
    async def coroutine() -> str:
        return "coroutine"

    @resource
    def generator() -> Iterator[str]:
        log.append("in")
        yield "generator"
        log.append("out")

    @resource()
    async def agenerator() -> AsyncGenerator[str]:
        log.append("in")
        yield "agenerator"
        log.append("out")

    @resource(scope="app", name="managed")
    @asynccontextmanager
    async def managed() -> AsyncGenerator[str]:
        log.append("in")
        yield "managed"
        log.append("out")

    def bare() -> str:
        return "bare"

    return {one.__name__: one for one in (plain, coroutine, generator, agenerator, managed, bare)}


@pytest.mark.parametrize("name", ["plain", "coroutine", "generator", "agenerator", "managed", "bare"])
async def test_a_factory_of_any_form_makes_one_value_for_all_uses(name: str) -> None:
    log = Log()
    container = ResourceContainer()
    binding = container.bind(anything, names={"one": _factories(log)[name]})
    for _ in range(2):
        async with binding.enter(None) as values:
            assert {"one": name} == values
    assert "out" not in log
    await container.close()
    assert log in ([], ["in", "out"])


async def test_a_lock_that_a_factory_returns_is_not_locked() -> None:
    @resource
    def lock() -> asyncio.Lock:
        return asyncio.Lock()

    container = ResourceContainer()
    async with container.use(lock) as value:
        assert not value.locked()
    await container.close()


async def test_scope_run_makes_one_value_per_use_and_gets_the_ctx() -> None:
    made: list[object] = []

    @resource(scope="run")
    async def session(ctx: object) -> AsyncGenerator[object]:
        made.append(ctx)
        yield object()
        made.append("left")

    def handler(a: object, b: object) -> None: ...

    container = ResourceContainer()
    binding = container.bind(handler, names={"a": session, "b": session})
    for ctx in (1, 2):
        async with binding.enter(ctx) as values:
            assert values["a"] is values["b"], "one per use, even under two names"
    assert made == [1, "left", 2, "left"]


async def test_a_run_scoped_resource_class_is_closed_after_each_use() -> None:
    log = Log()

    class Scratch(Resource):
        scope = "run"

        def acquire(self) -> str:  # type: ignore[override]
            return "scratch"

        async def close(self) -> None:
            log.append("closed")

    container = ResourceContainer()
    for _ in range(2):
        async with container.use(Scratch) as value:
            assert value == "scratch"
    assert log == ["closed", "closed"]


class _Pool:
    def __init__(self) -> None:
        self.lent = 0

    @asynccontextmanager
    async def acquire(self) -> AsyncGenerator[str]:
        self.lent += 1
        yield "connection"
        self.lent -= 1


async def test_a_pool_given_directly_lends_and_a_limiter_is_injected_as_it_is() -> None:
    pool, limiter, plain = _Pool(), asyncio.Semaphore(1), object()
    container = ResourceContainer()

    def handler(db: Annotated[str, pool], limiter: object, plain: object) -> None: ...

    binding = container.bind(handler, names={"limiter": limiter, "plain": plain})
    async with binding.enter(None) as values:
        assert {"db": "connection", "limiter": limiter, "plain": plain} == values
        assert pool.lent == 1
        assert not limiter.locked()
    assert pool.lent == 0


def test_an_unknown_scope_is_refused_at_once() -> None:
    with pytest.raises(InvalidArgumentError, match="scope="):
        resource(scope="week")  # type: ignore[call-overload]


@pytest.mark.parametrize("action", ["made", "acquired", "left", "closed"])
async def test_a_failure_names_the_resource_and_keeps_its_cause(action: str) -> None:
    class Broken(Resource):
        def __init__(self) -> None:
            if action == "made":
                raise OSError("no route")

        async def acquire(self, ctx: object) -> AsyncGenerator[int]:
            if action == "acquired":
                raise OSError("no route")
            yield 1
            if action == "left":
                raise OSError("no route")

        async def close(self) -> None:
            if action == "closed":
                raise OSError("no route")

    container = ResourceContainer()

    async def use_and_close() -> None:
        async with container.use(Broken):
            pass
        await container.close()

    with pytest.raises(ResourceError, match=rf"Broken' could not be {action}: OSError: no route") as caught:
        await use_and_close()
    assert isinstance(caught.value.__cause__, OSError)
    assert action == vars(caught.value)["action"]
    await container.close()

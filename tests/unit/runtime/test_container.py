"""Binding: what a function asks for, how resources need each other, who builds and who waits."""

import asyncio
import functools
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest

from mainspring.errors import CycleError, InvalidArgumentError, ResourceError, UnknownResourceError
from mainspring.runtime import Resource, ResourceContainer, resource


def anything(**resources: object) -> None:
    """Take every named resource."""


def wants_unit(unit: object) -> None:
    """Take one."""


def wants_nothing() -> None:
    """Take none."""


@resource
def number() -> int:
    return 42


class Text(Resource):
    """Lends one text."""

    async def acquire(self, ctx: object) -> str:
        return "text"


def test_annotation_name_default_and_supplied_decide_each_parameter() -> None:
    def handler(ctx: object, by_annotation: Annotated[int, "doc", number], text: str, size: int = 3) -> None: ...

    binding = ResourceContainer().bind(handler, names={"text": Text, "other": number}, supplied=("ctx",))
    assert {"by_annotation": number, "text": Text} == binding.parameters
    assert "by_annotation" in repr(binding)


def test_annotations_as_text_are_read_even_when_types_are_not_importable() -> None:
    def handler(a: object, b: object, c: object) -> None: ...

    handler.__annotations__ = {
        "a": "Annotated[absent.Connection | None, number]",
        "b": "Annotated[Sequence[absent], Text]",
        "c": "absent.Type",
    }
    binding = ResourceContainer().bind(handler, names={"c": number})
    assert {"a": number, "b": Text, "c": number} == binding.parameters


def test_any_callable_can_be_bound() -> None:
    class Call:
        def __call__(self, text: Annotated[str, Text]) -> None: ...

    def handler(first: int, text: "Annotated[str, Text]", *rest: int) -> None: ...

    container = ResourceContainer()
    assert {"text": Text} == container.bind(Call()).parameters
    assert {"text": Text} == container.bind(functools.partial(handler, 1), supplied=("first",)).parameters


def test_keyword_arguments_get_all_named_resources() -> None:
    def handler(ctx: object, **resources: object) -> None: ...

    binding = ResourceContainer().bind(handler, names={"ctx": number, "db": Text}, supplied=("ctx",))
    assert {"db": Text} == binding.parameters


def test_an_unknown_parameter_is_an_error_with_a_guess() -> None:
    def handler(tex: str) -> None: ...

    with pytest.raises(UnknownResourceError, match=r"'tex' of .*handler cannot be supplied") as caught:
        ResourceContainer().bind(handler, names={"text": Text}, supplied=("ctx",))
    assert caught.value.hint == "did you mean 'text'?"


async def test_a_binding_of_nothing_gives_nothing() -> None:
    binding = ResourceContainer().bind(wants_nothing)
    assert binding.enter(None) is binding.enter(None)
    async with binding.enter(None) as values:
        assert values == {}


async def test_resources_need_resources_and_are_left_in_reverse_order() -> None:
    log: list[str] = []

    @resource
    async def config() -> AsyncIterator[str]:
        log.append("config")
        yield "dsn"
        log.append("config left")

    class Pool(Resource):
        def __init__(self, dsn: Annotated[str, config]) -> None:
            log.append(f"pool of {dsn}")

        async def acquire(self, ctx: object) -> AsyncIterator[str]:
            yield f"connection {ctx}"

        async def close(self) -> None:
            log.append("pool closed")

    @resource(scope="run")
    async def unit(db: Annotated[str, Pool], config: str) -> AsyncIterator[str]:
        yield f"unit on {db} with {config}"
        log.append("unit left")

    container = ResourceContainer()
    binding = container.bind(wants_unit, names={"unit": unit, "config": config})
    async with binding.enter("run 1") as values:
        assert values == {"unit": "unit on connection run 1 with dsn"}
    await container.close()
    assert log == ["config", "pool of dsn", "unit left", "pool closed", "config left"]


def test_a_cycle_is_drawn() -> None:
    def one(two: object) -> None: ...
    def two(three: object) -> None: ...
    def three(one: object) -> None: ...

    with pytest.raises(CycleError, match="one -> two -> three -> one"):
        ResourceContainer().bind(anything, names={"one": one, "two": two, "three": three})


def test_what_lives_for_the_program_cannot_need_what_lives_for_a_run() -> None:
    @resource(scope="run")
    def session() -> int:
        return 1

    def repository(session: Annotated[int, session]) -> int:
        return session

    with pytest.raises(InvalidArgumentError, match="'run' for repository, because it needs session"):
        ResourceContainer().bind(anything, names={"r": repository})


def test_a_name_inside_a_shared_resource_means_the_same_for_all() -> None:
    def repository(db: object) -> object:
        return db

    container = ResourceContainer()
    container.bind(anything, names={"r": repository, "db": number})
    container.bind(anything, names={"r": repository, "db": number})
    with pytest.raises(InvalidArgumentError, match="the same resources for every user of repository"):
        container.bind(anything, names={"r": repository, "db": Text})


async def test_one_builder_the_others_wait() -> None:
    made = 0
    go = asyncio.Event()

    @resource
    async def slow() -> int:
        nonlocal made
        made += 1
        await go.wait()
        return made

    container = ResourceContainer()
    binding = container.bind(anything, names={"n": slow})

    async def use() -> object:
        async with binding.enter(None) as values:
            return values["n"]

    tasks = [asyncio.create_task(use()) for _ in range(5)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.sleep(0)
    go.set()
    assert await asyncio.gather(*tasks[1:]) == [1, 1, 1, 1], "the first user's cancellation takes nothing away"
    await container.close()


async def test_all_who_wait_get_the_error_and_the_next_user_tries_again() -> None:
    attempts = 0

    @resource
    async def flaky() -> int:
        nonlocal attempts
        attempts += 1
        await asyncio.sleep(0)
        if attempts == 1:
            raise ConnectionRefusedError("not yet")
        return attempts

    container = ResourceContainer()
    binding = container.bind(anything, names={"n": flaky})

    async def use() -> Any:
        async with binding.enter(None) as values:
            return values["n"]

    failed = await asyncio.gather(use(), use(), return_exceptions=True)
    assert all(isinstance(one, ResourceError) for one in failed)
    assert failed[0] is not failed[1]
    assert await use() == 2
    await container.close()


async def test_the_handlers_error_is_shown_to_the_resource_and_goes_on() -> None:
    seen: list[BaseException] = []

    @resource(scope="run")
    async def swallow() -> AsyncIterator[int]:
        try:
            yield 1
        except ValueError as error:
            seen.append(error)

    with pytest.raises(ValueError, match="mine"):
        async with ResourceContainer().use(swallow):
            raise ValueError("mine")
    assert len(seen) == 1


async def test_a_failing_leave_does_not_replace_the_handlers_error() -> None:
    left: list[str] = []

    @resource(scope="run")
    async def good() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            left.append("good")

    @resource(scope="run")
    async def bad() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            raise OSError("gone")

    binding = ResourceContainer().bind(anything, names={"a": good, "b": bad})
    with pytest.raises(ValueError) as caught:
        async with binding.enter(None):
            raise ValueError("mine")
    assert caught.value.__notes__ == ["resource 'bad' could not be left either: OSError: gone"]
    assert left == ["good"]


async def test_a_resource_may_translate_the_handlers_error() -> None:
    @resource(scope="run")
    async def translating() -> AsyncIterator[int]:
        try:
            yield 1
        except ValueError as error:
            raise KeyError("mine") from error

    with pytest.raises(KeyError):
        async with ResourceContainer().use(translating):
            raise ValueError("theirs")


async def test_what_was_entered_is_left_when_a_later_one_fails() -> None:
    left: list[str] = []

    @resource(scope="run")
    async def good() -> AsyncIterator[int]:
        yield 1
        left.append("good")

    async def fails() -> None:
        raise OSError("gone")

    binding = ResourceContainer().bind(anything, names={"a": Pooled(left), "b": fails})
    with pytest.raises(ResourceError, match="'fails' could not be made"):
        async with binding.enter(None):
            pass
    assert left == ["left with ResourceError"]


class Pooled:
    """A pool that notes how it was left."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    def acquire(self) -> "Pooled":
        return self

    async def __aenter__(self) -> str:
        return "connection"

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.log.append(f"left with {kind and kind.__name__}")


async def test_override_replaces_from_the_next_use_on_and_can_be_undone() -> None:
    container = ResourceContainer()
    binding = container.bind(anything, names={"n": number})

    async def use() -> object:
        async with binding.enter(None) as values:
            return values["n"]

    assert await use() == 42
    container.override(number, lambda: 43)
    assert await use() == 43
    fake = object()
    container.override(number, fake)
    assert fake is await use()
    container.override(number, number)
    assert await use() == 42
    await container.close()


async def test_close_reports_every_failure_and_the_container_can_be_used_again() -> None:
    closed: list[str] = []

    def broken(name: str) -> type[Resource]:
        class Broken(Text):
            __resource_name__ = name

            async def close(self) -> None:
                closed.append(name)
                raise OSError(name)

        return Broken

    container = ResourceContainer()
    binding = container.bind(anything, names={"a": broken("a"), "b": broken("b")})
    for _ in range(2):
        async with binding.enter(None):
            pass
        with pytest.raises(ExceptionGroup) as caught:
            await container.close()
        assert [ResourceError, ResourceError] == [type(one) for one in caught.value.exceptions]
    assert closed == ["b", "a", "b", "a"]
    await container.close()


async def test_closing_while_a_value_is_made_stops_the_making() -> None:
    began = asyncio.Event()

    async def endless() -> None:
        began.set()
        await asyncio.Event().wait()

    container = ResourceContainer()
    binding = container.bind(anything, names={"n": endless})

    async def use() -> None:
        async with binding.enter(None):
            pass

    user = asyncio.create_task(use())
    await began.wait()
    await container.close()
    with pytest.raises(ResourceError, match="the program is stopping"):
        await user


async def test_a_close_that_is_cancelled_cancels_what_hangs() -> None:
    hanging, ended = asyncio.Event(), asyncio.Event()

    async def stubborn() -> AsyncIterator[int]:
        try:
            yield 1
            hanging.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    container = ResourceContainer()
    async with container.use(stubborn):
        pass
    closing = asyncio.create_task(container.close())
    await hanging.wait()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await ended.wait()


def test_a_value_belongs_to_its_loop_until_that_loop_is_gone() -> None:
    container = ResourceContainer()

    async def use() -> Any:
        async with container.use(number) as value:
            return value

    with asyncio.Runner() as first:
        assert first.run(use()) == 42
        with asyncio.Runner() as second, pytest.raises(ResourceError, match="another event loop"):
            second.run(use())
    assert asyncio.run(use()) == 42


def test_services_ask_by_annotated_attributes() -> None:
    class Base:
        a: Annotated[int, number]
        b: "Annotated[str, Text]"
        c: int

    class Derived(Base):
        d: Annotated[int, number] = 3

    binding = ResourceContainer().bind_attributes(Derived, given=("a",))
    assert {"b", "d"} == set(binding.parameters)


def in_order(closed: list[str]) -> ResourceContainer:
    """Return a container of three that need one another, and say after their yield that they are closed."""

    async def first() -> AsyncIterator[str]:
        yield "first"
        await asyncio.sleep(0)
        closed.append("first")

    async def second(first: str) -> AsyncIterator[str]:
        yield first
        async with asyncio.timeout(60):  # as a user's code may
            await asyncio.sleep(0)
        closed.append("second")

    async def third(second: str) -> AsyncIterator[str]:
        try:
            yield second
        finally:
            await asyncio.sleep(0)
            closed.append("third")

    return ResourceContainer({"first": first, "second": second, "third": third})


def test_what_the_end_of_the_loop_cuts_off_is_closed_in_order() -> None:
    """`asyncio.run` cancels all tasks: to the code after a `yield` that is a close like any other."""
    closed: list[str] = []
    container = in_order(closed)

    async def main() -> None:
        async with container.use(container.names["third"]):
            assert 3 == len(container.tasks())

    for _ in range(2):
        asyncio.run(main())
        assert ["third", "second", "first"] == closed
        assert not container.tasks()
        closed.clear()


async def test_a_holder_that_somebody_cancels_closes_its_value_and_waits_for_no_other() -> None:
    closed: list[str] = []
    container = in_order(closed)
    async with container.use(container.names["third"]):
        pass
    (task,) = (task for task in container.tasks() if task.get_name().endswith("second"))
    task.cancel()
    await asyncio.wait([task])
    assert ["second"] == closed
    assert task.cancelled()
    await container.close()
    assert ["second", "third", "first"] == closed


def test_a_close_that_fails_at_the_end_of_the_loop_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def broken() -> AsyncIterator[int]:
        yield 1
        raise OSError("no more")

    container = ResourceContainer()

    async def main() -> None:
        async with container.use(broken):
            pass

    asyncio.run(main())
    assert "could not be left: OSError: no more" in caplog.text

"""The injection: which function gets which resources, and who makes, lends and closes them."""

import asyncio
import inspect
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from contextvars import copy_context
from types import MappingProxyType
from typing import Any, Final

from mainspring.errors import CycleError, InvalidArgumentError, ResourceError
from mainspring.runtime._asked import asked_by, attributes_asked_by, choose
from mainspring.runtime._provider import recipe_of
from mainspring.runtime._resource import Provider
from mainspring.runtime._use import Holding, Node, Use

_NO_NAMES: Final[Mapping[str, Provider]] = MappingProxyType({})


class ResourceBinding:
    """What one function gets: computed once, entered once per call."""

    __slots__ = ("_container", "_plan", "parameters")

    def __init__(self, container: "ResourceContainer", plan: Sequence[tuple[str, Node]]) -> None:
        self._container = container
        self._plan = tuple(plan)
        self.parameters: Mapping[str, Provider] = {name: node.provider for name, node in plan}

    def enter(self, ctx: object) -> AbstractAsyncContextManager[dict[str, object]]:
        """Enter every resource for one call; the block gets the values by parameter name.

        An error inside the block is shown to the resources (a transaction rolls back) and always goes on.

        Raises:
            ResourceError: a resource could not be made, acquired or left; the cause says why.
        """
        return _BindingUse(self._container, ctx, self._plan) if self._plan else _NOTHING

    def __repr__(self) -> str:
        return f"<ResourceBinding {', '.join(self.parameters) or 'of nothing'}>"


class _Nothing(AbstractAsyncContextManager[dict[str, object]]):
    async def __aenter__(self) -> dict[str, object]:
        return {}

    async def __aexit__(self, *_: object) -> None:
        pass


_NOTHING: Final = _Nothing()


class _BindingUse(AbstractAsyncContextManager[dict[str, object]]):
    __slots__ = ("_container", "_plan", "_use")

    def __init__(self, container: "ResourceContainer", ctx: object, plan: Sequence[tuple[str, Node]]) -> None:
        self._container = container
        self._plan = plan
        self._use = Use(container._holding, ctx)

    async def __aenter__(self) -> dict[str, object]:
        self._container._check_loop()
        try:
            return {name: await self._use.value_of(node) for name, node in self._plan}
        except BaseException as error:
            await self._use.__aexit__(type(error), error, error.__traceback__)
            raise

    async def __aexit__(self, *error: Any) -> None:  # Any: the three arguments of __aexit__
        await self._use.__aexit__(*error)


class ResourceContainer:
    """The resources of one program (or of one JobApp that runs alone).

    App-scope values are made at the first use, on the loop of that use, and left by `close()` in reverse
    order. After `close()` the container may be used again, on any loop. Not thread-safe.

    Args:
        names: providers that may be asked for by the name of a parameter or an attribute.
    """

    def __init__(self, names: Mapping[str, Provider] = _NO_NAMES) -> None:
        self.names: Mapping[str, Provider] = MappingProxyType(dict(names))
        self._nodes: dict[Hashable, Node] = {}
        self._holding = Holding(copy_context())
        self._nothing = ResourceBinding(self, ())

    def bind(
        self,
        function: Callable[..., Any],  # Any: any user's function
        *,
        names: Mapping[str, Provider] = _NO_NAMES,
        supplied: Collection[str] = (),
    ) -> ResourceBinding:
        """Look at the parameters of `function` once and say which resources it gets.

        Args:
            names: providers by parameter name, beside those of the container, over which they win; an annotation
                `Annotated[Type, provider]` wins over both. A function with `**kwargs` gets all of them.
            supplied: parameters that the caller passes itself.

        Raises:
            UnknownResourceError: a parameter without default is neither supplied nor a resource.
            CycleError: resources need one another in a circle.
            InvalidArgumentError: an app-scope resource needs one that lives for a single run.
        """
        names = {**self.names, **names}
        label = getattr(function, "__qualname__", repr(function))
        asked, takes_any = asked_by(function)
        chosen = {
            one.name: choose(one, label, names=names, supplied=supplied) for one in asked if one.name not in supplied
        }
        if takes_any:
            chosen = {**{name: names[name] for name in names if name not in supplied}, **chosen}
        return self._binding(chosen, names)

    def bind_attributes(self, kind: type, *, given: Collection[str] = ()) -> ResourceBinding:
        """Say which annotated attributes of a class (a service) are resources, except those `given`.

        An annotation names its provider; one that does not gets what the container has under the attribute's name,
        unless the class gives it a value.
        """
        asked = attributes_asked_by(kind)
        if not asked:
            return self._nothing
        chosen = {one.name: one.provider for one in asked if one.name not in given}
        for name in [name for name, provider in chosen.items() if provider is None]:
            chosen[name] = self.names.get(name)
        return self._binding(chosen, self.names)

    def use(self, provider: Provider, ctx: object = None) -> AbstractAsyncContextManager[Any]:
        """Enter one resource by hand: `async with container.use(DB) as db`."""
        return _Single(self._binding({"value": provider}, self.names).enter(ctx))

    def override(self, provider: Provider, replacement: Provider) -> None:
        """Put `replacement` in the place of `provider` from the next use on; by itself again: undone.

        The replacement is any provider: a Resource, a factory, or the object to inject. Meant for tests.
        """
        node = self._node(provider, self.names, {})
        node.replacement = None
        other = self._node(replacement, self.names, {})
        if other.current() is not node:
            node.replacement = other

    async def close(self) -> None:
        """Leave and close everything that was made, newest first; waits until all of it is gone.

        Raises:
            ResourceError: one resource could not be left or closed.
            ExceptionGroup: several could not.
        """
        errors = await self._holding.close()
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise ExceptionGroup("resources could not be closed", errors)

    def adopt_context(self) -> None:
        """Let what is made from now on see the context variables of the caller."""
        self._holding.context = copy_context()

    def tasks(self) -> "set[asyncio.Task[None]]":
        """Return the tasks that hold app-scope values."""
        return self._holding.tasks()

    def _check_loop(self) -> None:
        owner = self._holding.loop
        if owner is None or owner is asyncio.get_running_loop():
            return
        if not owner.is_closed():
            reason = "it belongs to another event loop, which is still open"
            raise ResourceError(resource="container", action="used", reason=reason)
        self._holding.abandon()

    def _binding(self, chosen: Mapping[str, Provider | None], names: Mapping[str, Provider]) -> ResourceBinding:
        found = [(name, provider) for name, provider in chosen.items() if provider is not None]
        return ResourceBinding(self, [(name, self._node(provider, names, {})) for name, provider in found])

    def _node(self, provider: Provider, names: Mapping[str, Provider], path: Mapping[Hashable, str]) -> Node:
        key = _key(provider)
        node = self._nodes.get(key) or Node(provider, recipe_of(provider))
        if key in path:
            circle = [*path.values()][[*path].index(key) :]
            raise CycleError(what="resources", cycle=[*circle, node.recipe.name])
        parts = self._parts(node, names, {**path, key: node.recipe.name})
        if key in self._nodes and parts != node.parts:
            raise _ambiguous(node, parts)
        node.parts = parts
        self._nodes[key] = node
        return node

    def _parts(self, node: Node, names: Mapping[str, Provider], path: Mapping[Hashable, str]) -> dict[str, Node]:
        if node.recipe.signature_of is None:
            return {}
        scope, name = node.recipe.scope, node.recipe.name
        asked, _ = asked_by(node.recipe.signature_of)
        parts: dict[str, Node] = {}
        for one in asked:
            if one.name == "ctx" and scope == "run":
                node.wants_ctx = True
                continue
            provider = choose(one, name, names=names, supplied=("ctx",) if scope == "run" else ())
            if provider is None:
                continue
            part = parts[one.name] = self._node(provider, names, path)
            if scope == "app" and part.recipe.scope == "run":
                need = f"'run' for {name}, because it needs {part.recipe.name}, which lives for one run"
                raise InvalidArgumentError(argument="scope", value=scope, expected=need)
        return parts


def _ambiguous(node: Node, parts: Mapping[str, Node]) -> InvalidArgumentError:
    names = ", ".join(name for name in parts if parts[name] is not node.parts.get(name))
    return InvalidArgumentError(
        argument="names",
        value=names,
        expected=f"the same resources for every user of {node.recipe.name}, which is shared",
        hint=f"name them by annotation inside {node.recipe.name}",
    )


class _Single(AbstractAsyncContextManager[Any]):  # Any: the value is whatever the provider lends
    __slots__ = ("_values",)

    def __init__(self, values: AbstractAsyncContextManager[dict[str, object]]) -> None:
        self._values = values

    async def __aenter__(self) -> Any:
        return (await self._values.__aenter__())["value"]

    async def __aexit__(self, *error: Any) -> None:
        await self._values.__aexit__(*error)


def _key(provider: Provider) -> Hashable:
    """Return what tells providers apart: objects by identity, since equal pools are still two pools."""
    return provider if inspect.isroutine(provider) else id(provider)  # a bound method is new at each access

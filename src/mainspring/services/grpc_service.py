"""`GRPCService`: a server of gRPC as a service among others (extra `grpc`)."""

import asyncio
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, ClassVar, Final, TypeAlias  # Any: grpcio has no types of its own

from mainspring.base import load_extra
from mainspring.errors import BindError, MisuseError
from mainspring.runtime import Service

Handler: TypeAlias = Any  # a grpc.GenericRpcHandler
Methods: TypeAlias = Mapping[str, Any]  # of grpc.RpcMethodHandler
Credentials: TypeAlias = Any  # grpc.ServerCredentials
Server: TypeAlias = Any  # a grpc.aio.Server

_NO_SHARING: Final = ("grpc.so_reuseport", 0)


class GRPCPort:
    """A port of a `GRPCService`; `await` it for the number, which is there once the service is started."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._number: int | None = None
        self._error: BaseException | None = None
        self._known = asyncio.Event()

    def __repr__(self) -> str:
        return f"<GRPCPort {self.address} {'unbound' if self._number is None else self._number}>"

    @property
    def number(self) -> int:
        """The port.

        Raises:
            MisuseError: the service is not started.
        """
        if self._number is None:
            raise MisuseError(what=f"the port {self.address}", problem="is not bound before the service is started")
        return self._number

    def __await__(self) -> Generator[Any, None, int]:
        yield from self._known.wait().__await__()
        if self._error is not None:
            raise self._error
        return self.number

    def settle(self, result: int | BaseException) -> None:
        """Tell those who wait; called by the service."""
        if isinstance(result, int):
            self._number, self._error = result, None
        else:
            self._error = result
        self._known.set()


class GRPCService(Service):
    """Serves gRPC. Pass it to `add_XServicer_to_server` in the place of a server, and add ports.

    Nothing is made before the start: handlers and ports are remembered. On stop no new call is taken, and those that
    run have `GRACEFUL_STOP_TIME` seconds to end.

    Args:
        migration_thread_pool, handlers, interceptors, options, maximum_concurrent_rpcs, compression: see
            `grpc.aio.server`. A port is not shared with other processes unless `options` say so
            (`("grpc.so_reuseport", 1)`).
        reflection: let clients ask what is served; needs grpcio-reflection, which the extra brings.

    Raises:
        MissingExtraError: (from the start) grpcio is not installed.
        BindError: (from the start) a port cannot be listened on.

    Example:
        >>> service = GRPCService(reflection=True)
        >>> service.add_insecure_port("127.0.0.1:0")
        <GRPCPort 127.0.0.1:0 unbound>
    """

    GRACEFUL_STOP_TIME: ClassVar[float] = 60.0

    _server: Server | None = None

    def __init__(
        self,
        *,
        migration_thread_pool: Any = None,
        handlers: Sequence[Handler] | None = None,
        interceptors: Sequence[Any] | None = None,
        options: Sequence[tuple[str, Any]] | None = None,
        maximum_concurrent_rpcs: int | None = None,
        compression: Any = None,
        reflection: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._options: dict[str, Any] = {
            "migration_thread_pool": migration_thread_pool,
            "interceptors": interceptors,
            "options": (*(options or ()), _NO_SHARING),  # of two with one name, gRPC takes the first
            "maximum_concurrent_rpcs": maximum_concurrent_rpcs,
            "compression": compression,
        }
        self._reflection = reflection
        self._handlers: list[Handler] = list(handlers or ())
        self._methods: dict[str, Methods] = {}
        self._ports: list[tuple[GRPCPort, Credentials | None]] = []

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Sequence[Handler]) -> None:
        """Serve these too; generated code calls it."""
        self._check_not_started()
        self._handlers += generic_rpc_handlers

    def add_registered_method_handlers(self, service_name: str, method_handlers: Methods) -> None:
        """Serve these methods of a service; generated code calls it."""
        self._check_not_started()
        self._methods[service_name] = method_handlers

    def add_insecure_port(self, address: str) -> GRPCPort:
        """Listen at `address` without encryption, as `127.0.0.1:0` or `unix:/run/app`; the port 0 takes a free one."""
        return self._add_port(address, None)

    def add_secure_port(self, address: str, server_credentials: Credentials) -> GRPCPort:
        """Listen at `address` with the credentials, as `grpc.ssl_server_credentials(...)` makes them."""
        return self._add_port(address, server_credentials)

    async def start(self) -> None:
        """Make the server, bind its ports, and serve."""
        self._check_not_started()
        aio = load_extra("grpc.aio", feature="GRPCService", extra="grpc")
        server: Server = aio.server(handlers=self._handlers, **self._options)
        for name, methods in self._methods.items():
            server.add_registered_method_handlers(name, dict(methods))
        if self._reflection:
            self._enable_reflection(server)
        try:
            for port, credentials in self._ports:
                port.settle(_bind(server, port.address, credentials))
            await server.start()
        except BaseException as error:
            for port, _ in self._ports:
                port.settle(error)
            await server.stop(None)
            raise
        self._server = server

    async def stop(self, exception: Any = None) -> None:
        """Let the calls that run end."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop(self.GRACEFUL_STOP_TIME)

    def healthy(self) -> bool:
        """Whether calls are taken."""
        return self._server is not None

    def _add_port(self, address: str, credentials: Credentials | None) -> GRPCPort:
        self._check_not_started()
        port = GRPCPort(address)
        self._ports.append((port, credentials))
        return port

    def _check_not_started(self) -> None:
        if self._server is not None:
            problem = "is started already, and takes no more handlers or ports"
            raise MisuseError(what=f"the service {type(self).__qualname__}", problem=problem)

    def _enable_reflection(self, server: Server) -> None:
        module = load_extra("grpc_reflection.v1alpha.reflection", feature="reflection of gRPC", extra="grpc")
        named: list[Callable[[], str]] = [one.service_name for one in self._handlers if hasattr(one, "service_name")]
        names = {*self._methods, *(name() for name in named), module.SERVICE_NAME}
        module.enable_server_reflection(sorted(names), server)


def _bind(server: Server, address: str, credentials: Credentials | None) -> int:
    try:
        if credentials is None:
            port: int = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, credentials)
    except RuntimeError as error:  # grpc's only way to say that it could not
        raise BindError(where=f"grpc://{address}", reason=str(error), hint="is another program there?") from error
    return port

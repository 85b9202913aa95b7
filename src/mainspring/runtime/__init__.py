"""Runtime: start, run and stop a program. Services, signals, resources, context, logging, the event loop."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.runtime._container import ResourceBinding as ResourceBinding
    from mainspring.runtime._container import ResourceContainer as ResourceContainer
    from mainspring.runtime._context import Context as Context
    from mainspring.runtime._context import ContextStatistic as ContextStatistic
    from mainspring.runtime._context import get_context as get_context
    from mainspring.runtime._entrypoint import Entrypoint as Entrypoint
    from mainspring.runtime._entrypoint import entrypoint as entrypoint
    from mainspring.runtime._health import HealthReport as HealthReport
    from mainspring.runtime._health import ServiceHealth as ServiceHealth
    from mainspring.runtime._health_socket import HealthSocket as HealthSocket
    from mainspring.runtime._health_socket import read_health as read_health
    from mainspring.runtime._log_buffer import BufferedHandler as BufferedHandler
    from mainspring.runtime._log_buffer import ThreadedHandlerStatistic as ThreadedHandlerStatistic
    from mainspring.runtime._log_child import hear_children as hear_children
    from mainspring.runtime._log_config import basic_config as basic_config
    from mainspring.runtime._log_config import format_of as format_of
    from mainspring.runtime._log_config import level_number as level_number
    from mainspring.runtime._log_config import log_handler as log_handler
    from mainspring.runtime._log_config import wrap_logging_handler as wrap_logging_handler
    from mainspring.runtime._log_format import DateFormat as DateFormat
    from mainspring.runtime._log_format import LogBlock as LogBlock
    from mainspring.runtime._log_format import LogFormat as LogFormat
    from mainspring.runtime._log_format import LogLevel as LogLevel
    from mainspring.runtime._log_format import escape_controls as escape_controls
    from mainspring.runtime._log_format import message_of as message_of
    from mainspring.runtime._log_json import JsonFormatter as JsonFormatter
    from mainspring.runtime._log_secrets import safe_record as safe_record
    from mainspring.runtime._loops import LoopFactory as LoopFactory
    from mainspring.runtime._loops import OwnLoop as OwnLoop
    from mainspring.runtime._loops import default_loop_factory as default_loop_factory
    from mainspring.runtime._loops import new_event_loop as new_event_loop
    from mainspring.runtime._plugins import plugin_setups as plugin_setups
    from mainspring.runtime._plugins_command import list_plugins as list_plugins
    from mainspring.runtime._resource import Provider as Provider
    from mainspring.runtime._resource import Resource as Resource
    from mainspring.runtime._resource import resource as resource
    from mainspring.runtime._run import run as run
    from mainspring.runtime._run import run_in as run_in
    from mainspring.runtime._service import Service as Service
    from mainspring.runtime._service import ServiceMeta as ServiceMeta
    from mainspring.runtime._service import given_params as given_params
    from mainspring.runtime._settings import Settings as Settings
    from mainspring.runtime._signal import Signal as Signal
    from mainspring.runtime._signal import receiver as receiver
    from mainspring.runtime._socket_file import Peer as Peer
    from mainspring.runtime._socket_file import bind_socket_file as bind_socket_file
    from mainspring.runtime._socket_file import peer_of as peer_of
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "_container": ("ResourceBinding", "ResourceContainer"),
            "_context": ("Context", "ContextStatistic", "get_context"),
            "_entrypoint": ("Entrypoint", "entrypoint"),
            "_health": ("HealthReport", "ServiceHealth"),
            "_health_socket": ("HealthSocket", "read_health"),
            "_log_buffer": ("BufferedHandler", "ThreadedHandlerStatistic"),
            "_log_config": ("basic_config", "wrap_logging_handler"),
            "_log_format": ("DateFormat", "LogFormat", "LogLevel"),
            "_loops": ("new_event_loop",),
            "_resource": ("Provider", "Resource", "resource"),
            "_run": ("run",),
            "_service": ("Service", "ServiceMeta"),
            "_signal": ("Signal", "receiver"),
        },
        house={
            "_log_child": ("hear_children",),
            "_log_config": ("format_of", "level_number", "log_handler"),
            "_log_format": ("LogBlock", "escape_controls", "message_of"),
            "_log_json": ("JsonFormatter",),
            "_log_secrets": ("safe_record",),
            "_loops": ("LoopFactory", "OwnLoop", "default_loop_factory"),
            "_plugins": ("plugin_setups",),
            "_plugins_command": ("list_plugins",),
            "_run": ("run_in",),
            "_service": ("given_params",),
            "_settings": ("Settings",),
            "_socket_file": ("Peer", "bind_socket_file", "peer_of"),
        },
    )

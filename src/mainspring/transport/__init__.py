"""Transport: bytes and messages between processes and machines."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.errors import BindError as BindError
    from mainspring.transport._adopt import adopt_streams as adopt_streams
    from mainspring.transport._bind_socket import SocketOption as SocketOption
    from mainspring.transport._bind_socket import bind_socket as bind_socket
    from mainspring.transport._broadcast import Broadcast as Broadcast
    from mainspring.transport._broadcast import BroadcastStatistic as BroadcastStatistic
    from mainspring.transport._broadcast import BroadcastStats as BroadcastStats
    from mainspring.transport._broadcast import SlowPolicy as SlowPolicy
    from mainspring.transport._broadcast import Subscriber as Subscriber
    from mainspring.transport._connect import Dialling as Dialling
    from mainspring.transport._connect import OnConnect as OnConnect
    from mainspring.transport._connect import connect as connect
    from mainspring.transport._connection import Connection as Connection
    from mainspring.transport._files import receive_file as receive_file
    from mainspring.transport._own_socket_file import OwnSocketFile as OwnSocketFile
    from mainspring.transport._pipe import AsyncPipe as AsyncPipe
    from mainspring.transport._pipe import make_pipe as make_pipe
    from mainspring.transport._prepared import Prepared as Prepared
    from mainspring.transport._prepared import prepare as prepare
    from mainspring.transport._proxy import ProxyStats as ProxyStats
    from mainspring.transport._proxy import UpdateSubscribe as UpdateSubscribe
    from mainspring.transport._proxy import WebSocketProxy as WebSocketProxy
    from mainspring.transport._reconnect import ReconnectingConnection as ReconnectingConnection
    from mainspring.transport._records import TextPayload as TextPayload
    from mainspring.transport._router_keys import RouterKeys as RouterKeys
    from mainspring.transport._router_keys import row_keys as row_keys
    from mainspring.transport._serve import Handler as Handler
    from mainspring.transport._serve import Server as Server
    from mainspring.transport._serve import ServerStatistic as ServerStatistic
    from mainspring.transport._serve import serve as serve
    from mainspring.transport._stats import TransportStats as TransportStats
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "_bind_socket": ("SocketOption", "bind_socket"),
            "mainspring.errors": ("BindError",),
            "_broadcast": ("Broadcast", "BroadcastStatistic", "BroadcastStats", "SlowPolicy", "Subscriber"),
            "_connect": ("Dialling", "OnConnect", "connect"),
            "_connection": ("Connection",),
            "_pipe": ("AsyncPipe", "make_pipe"),
            "_prepared": ("Prepared", "prepare"),
            "_proxy": ("ProxyStats", "UpdateSubscribe", "WebSocketProxy"),
            "_records": ("TextPayload",),
            "_reconnect": ("ReconnectingConnection",),
            "_router_keys": ("RouterKeys", "row_keys"),
            "_serve": ("Handler", "Server", "ServerStatistic", "serve"),
            "_stats": ("TransportStats",),
        },
        house={"_adopt": ("adopt_streams",), "_files": ("receive_file",), "_own_socket_file": ("OwnSocketFile",)},
    )

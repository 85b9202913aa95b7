"""Dataflow: graphs of processes that pass messages, supervised, with back-pressure, and nothing lost on the way."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.dataflow._dataflow import Dataflow as Dataflow
    from mainspring.dataflow._describe import EdgeLine as EdgeLine
    from mainspring.dataflow._describe import FlowGraph as FlowGraph
    from mainspring.dataflow._describe import StageNode as StageNode
    from mainspring.dataflow._jetstream import JetStream as JetStream
    from mainspring.dataflow._outbound import Outbound as Outbound
    from mainspring.dataflow._plan import BuriedMessage as BuriedMessage
    from mainspring.dataflow._process import Process as Process
    from mainspring.dataflow._routing import stable_hash as stable_hash
    from mainspring.dataflow._service import DataflowService as DataflowService
    from mainspring.dataflow._statistics import DataflowStats as DataflowStats
    from mainspring.dataflow._statistics import EdgeStatistic as EdgeStatistic
    from mainspring.dataflow._statistics import EdgeStats as EdgeStats
    from mainspring.dataflow._statistics import StageStatistic as StageStatistic
    from mainspring.dataflow._statistics import StageStats as StageStats
    from mainspring.dataflow._topology import Edge as Edge
    from mainspring.dataflow._topology import NetworkCxn as NetworkCxn
    from mainspring.dataflow._topology import NetworkMode as NetworkMode
    from mainspring.dataflow._topology import NetworkRunner as NetworkRunner
    from mainspring.dataflow._topology import Runner as Runner
    from mainspring.dataflow._topology import Scheme as Scheme
    from mainspring.dataflow._topology import Topology as Topology
    from mainspring.dataflow._topology import WebSocketCxn as WebSocketCxn
    from mainspring.errors import EdgeUnavailableError as EdgeUnavailableError
    from mainspring.errors import StageFailedError as StageFailedError
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "_dataflow": ("Dataflow",),
            "_describe": ("EdgeLine", "FlowGraph", "StageNode"),
            "_jetstream": ("JetStream",),
            "_outbound": ("Outbound",),
            "_plan": ("BuriedMessage",),
            "_process": ("Process",),
            "_routing": ("stable_hash",),
            "_service": ("DataflowService",),
            "_statistics": ("DataflowStats", "EdgeStatistic", "EdgeStats", "StageStatistic", "StageStats"),
            "_topology": (
                "Edge",
                "NetworkCxn",
                "NetworkMode",
                "NetworkRunner",
                "Runner",
                "Scheme",
                "Topology",
                "WebSocketCxn",
            ),
            "mainspring.errors": ("EdgeUnavailableError", "StageFailedError"),
        },
    )

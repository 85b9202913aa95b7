"""A topology can be read and drawn before it runs."""

import os

from mainspring.base import decode_json, encode_json
from mainspring.dataflow import Edge, FlowGraph, JetStream, NetworkMode, NetworkRunner, Runner, Topology, WebSocketCxn
from mainspring.dataflow._describe import describe_as_mermaid, describe_as_text, graph_of


def trades(p: object) -> list[int]:
    return []


def symbol(message: object) -> str:
    return ""


def candle(p: object, message: object) -> None: ...


def make() -> Topology:
    networks = [WebSocketCxn(port=4442), WebSocketCxn(mode=NetworkMode.CONNECT, uri="ws://feed/x", filter=bool)]
    edge = Edge(key=symbol, overflow="drop-oldest")
    return Topology((Runner(trades), Runner(candle, 2, edge=edge, title='a "b"'), NetworkRunner(networks)))


def test_text_has_a_line_for_each_stage_edge_and_network() -> None:
    assert describe_as_text(graph_of("market", make())).splitlines() == [
        "market",
        "  0 trades: 1 worker, source",
        "  | by symbol, drop-oldest",
        '  1 a "b": 2 workers',
        "  | broadcast, filtered",
        "  2 websocket: 2 workers",
        "      2.0 listens on ws://127.0.0.1:4442/",
        "      2.1 connects to ws://feed/x",
    ]


def test_mermaid_has_boxes_and_arrows() -> None:
    assert describe_as_mermaid(graph_of("market", make())).splitlines() == [
        "flowchart LR",
        '    s0["0 trades<br/>1 worker, source"]',
        '    s1["1 a #quot;b#quot;<br/>2 workers"]',
        '    s0 -->|"by symbol, drop-oldest"| s1',
        '    s2["2 websocket<br/>2 workers"]',
        '    s1 -->|"broadcast, filtered"| s2',
        '    n2_0(["listens on ws://127.0.0.1:4442/"])',
        "    s2 --> n2_0",
        '    n2_1(["connects to ws://feed/x"])',
        "    s2 --> n2_1",
    ]


def test_an_edge_over_a_stream_says_so() -> None:
    edge = Edge(via=JetStream(stream="trades"))
    text = describe_as_text(graph_of("f", Topology((Runner(trades), Runner(candle, edge=edge)))))
    assert "  | round-robin, over the NATS stream trades" in text.splitlines()


def test_clients_of_the_first_stage_point_into_it() -> None:
    entry = NetworkRunner([WebSocketCxn(port=1, forward_from_client=candle)], title="entry")
    drawn = describe_as_mermaid(graph_of("f", Topology((entry, Runner(candle)))))
    assert "    n0_0 --> s0" in drawn.splitlines()


def test_readers_of_pipes_say_so() -> None:
    read_fd, write_fd = os.pipe()
    try:
        text = describe_as_text(graph_of("pipes", Topology((Runner(candle, read_pipes=[read_fd]),))))
    finally:
        os.close(read_fd)
        os.close(write_fd)
    assert "0 candle: 1 worker, each reads a pipe" in text


def test_plain_data_says_all_of_it_and_is_json() -> None:
    graph = graph_of("market", make())
    assert ["source", "workers", "networks"] == [one.kind for one in graph.stages]
    assert [1, 2, 2] == [one.worker_count for one in graph.stages]
    assert ("listens on ws://127.0.0.1:4442/", "connects to ws://feed/x") == graph.stages[2].networks
    assert [(0, 1, "by symbol", "drop-oldest", False), (1, 2, "broadcast", "block", True)] == [
        (one.before, one.after, one.route, one.overflow, one.is_filtered) for one in graph.edges
    ]
    assert graph == decode_json(encode_json(graph), FlowGraph)

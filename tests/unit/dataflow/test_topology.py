"""A topology that cannot work is refused where it is written, and the sentence says why."""

import os
from collections.abc import Callable
from typing import Any

import pytest

from mainspring.dataflow import Edge, JetStream, NetworkMode, NetworkRunner, Runner, Topology, WebSocketCxn
from mainspring.errors import InvalidArgumentError


def source(p: object) -> list[int]:
    return []


def target(p: object, message: object) -> None: ...


def network(**options: Any) -> NetworkRunner:
    return NetworkRunner([WebSocketCxn(**options)])


def over(stream: str) -> Edge:
    return Edge(via=JetStream(stream=stream))


def topology(*stages: Any) -> Topology:
    return Topology(stages)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: topology(), "at least one stage"),
        (lambda: topology(Runner(source), "x"), r"topology\[1\].*a Runner or a NetworkRunner"),
        (lambda: topology(Runner(target)), r"topology\[0\].*source"),
        (lambda: topology(Runner(source), Runner(source)), r"topology\[1\].*target\(p, message\)"),
        (lambda: topology(Runner(source), network(), Runner(target)), r"topology\[1\].*first or the last"),
        (lambda: topology(network(), Runner(target)), "forward_from_client"),
        (
            lambda: topology(network(forward_from_client=target, forward_from_internal=target), Runner(target)),
            "nothing comes to it",
        ),
        (lambda: topology(Runner(source, edge=over("a"))), "nothing comes to it"),
        (
            lambda: topology(Runner(source), Runner(target, edge=over("a")), Runner(target, edge=over("a"))),
            r"topology\[2\].*a stream for each edge",
        ),
        (lambda: NetworkRunner([]), "at least one WebSocketCxn"),
        (lambda: NetworkRunner([target]), "at least one WebSocketCxn"),  # type: ignore[list-item]  # wrong on purpose
        (lambda: Runner(3), "target=3"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: Runner(target, 0), "how_many=0"),
        (lambda: Runner(target, filter=3), "filter=3"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: Runner(target, startup=3), "startup=3"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: Runner(target, read_pipes=[]), "at least one"),
        (lambda: Runner(target, read_pipes=[-1]), "read_pipes"),
        (lambda: Runner(target, read_pipes=[987654]), "read_pipes"),
        (lambda: Edge(route="random"), "route='random'"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: Edge(route="broadcast", key=str), "None beside key="),
        (lambda: Edge(overflow="burst"), "overflow='burst'"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: Edge(max_in_flight=0), "max_in_flight=0"),
        (lambda: Edge(max_waiting=True), "max_waiting=True"),
        (lambda: WebSocketCxn(port=70000), "port=70000"),
        (lambda: WebSocketCxn(mode="hear"), "mode='hear'"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: WebSocketCxn(host="0.0.0.0"), "a loopback address"),
        (lambda: WebSocketCxn(host="example.org"), "a loopback address"),
        (lambda: WebSocketCxn(mode=NetworkMode.CONNECT), "a port to connect to, or uri="),
    ],
)
def test_what_cannot_work_is_refused_at_once(make: Callable[[], object], says: str) -> None:
    with pytest.raises(InvalidArgumentError, match=says):
        make()


def test_pipes_are_read_in_the_first_stage_only() -> None:
    read_fd, write_fd = os.pipe()
    try:
        assert 1 == Runner(target, read_pipes=[read_fd]).width
        with pytest.raises(InvalidArgumentError, match="first stage only"):
            topology(Runner(source), Runner(target, read_pipes=[read_fd]))
        with pytest.raises(InvalidArgumentError, match="different open descriptors"):
            Runner(target, read_pipes=[read_fd, read_fd])
    finally:
        os.close(read_fd)
        os.close(write_fd)


def test_forms_of_the_seed_are_accepted() -> None:
    first = NetworkRunner(networks=[WebSocketCxn(host="127.0.0.1", port=2221, forward_from_client=target)])
    made = topology(first, Runner(target, 64), network(filter=bool, port=2222))
    assert (1, 64, 1) == tuple(stage.width for stage in made.stages)
    assert made.is_last(2)


def test_how_many_none_is_one_worker_per_cpu() -> None:
    assert os.cpu_count() == Runner(target, None).width


def test_routes_have_defaults_by_kind_of_stage() -> None:
    assert "round-robin" == Runner(target).route
    assert "broadcast" == network().route
    assert "least-loaded" == Runner(target, edge=Edge(route="least-loaded")).route


def test_a_public_listener_must_be_asked_for() -> None:
    assert "ws://0.0.0.0:80/" == WebSocketCxn("0.0.0.0", 80, allow_unauthenticated=True).url
    assert "ws://localhost:80/" == WebSocketCxn("localhost", 80).url


def test_a_builtin_that_does_not_tell_its_signature_is_believed() -> None:
    assert 1 == Runner(dict).width
    topology(Runner(dict))

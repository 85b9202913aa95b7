"""Which workers of a topology run here, when the rest runs on other machines. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from mainspring.dataflow._topology import Topology
from mainspring.errors import InvalidArgumentError


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the workers of a topology.

    Attributes:
        places: of each stage, which of its workers run here.
        entries: stages that run here and whose senders do not all: nothing here says when they have everything.
        edges: stages whose messages somebody here sends or takes.
    """

    places: tuple[tuple[int, ...], ...]
    entries: tuple[int, ...]
    edges: tuple[int, ...]

    @classmethod
    def whole(cls, topology: Topology) -> "Part":
        """Return all of it."""
        return _part_of(topology, [tuple(range(stage.width)) for stage in topology.stages])

    @classmethod
    def chosen(cls, topology: Topology, names: Sequence[str]) -> "Part":
        """Return the stages and workers of these names.

        Raises:
            InvalidArgumentError: a name says nothing, or an edge without `via` has only one end here.
        """
        found: list[set[int]] = [set() for _ in topology.stages]
        for name in names:
            for level, index in _find(topology, name):
                found[level].add(index)
        if not any(found):
            raise InvalidArgumentError(argument="names", value=names, expected="a stage or a worker, at least one")
        part = _part_of(topology, [tuple(sorted(each)) for each in found])
        for level, stage in enumerate(topology.stages[1:], 1):
            here = {len(part.places[one]) / topology.stages[one].width for one in (level - 1, level)}
            if stage.edge.via is None and here not in ({0.0}, {1.0}):
                expected = f"all workers of {topology.stages[level - 1].label} and {stage.label}, or none of them"
                hint = "Edge(via=JetStream(...)) lets an edge cross machines"
                raise InvalidArgumentError(argument="names", value=names, expected=expected, hint=hint)
        return part


def _part_of(topology: Topology, places: list[tuple[int, ...]]) -> Part:
    levels = range(len(places))
    is_whole = [len(places[level]) == topology.stages[level].width for level in levels]
    return Part(
        places=tuple(places),
        entries=tuple(level for level in levels if places[level] and not (level and is_whole[level - 1])),
        edges=tuple(level for level in levels if level and (places[level] or places[level - 1])),
    )


def _find(topology: Topology, name: str) -> list[tuple[int, int]]:
    """Return the places (stage, worker) that a name means."""
    places = [(level, index) for level, stage in enumerate(topology.stages) for index in range(stage.width)]
    found = [
        (level, index)
        for level, index in places
        if name in (f"{level}.{index}", str(level), topology.stages[level].label)
    ]
    if not found:
        known = ", ".join(stage.label for stage in topology.stages)
        raise InvalidArgumentError(
            argument="names",
            value=name,
            expected="a stage's title or number, or a worker's place as \"1.0\"",
            hint=known,
        )
    return found

import copy
import pickle
from enum import StrEnum

from mainspring.base import quicken


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"

    @property
    def is_warm(self) -> bool:
        return self is Colour.RED


quicken(Colour)


def test_members_are_plain_attributes() -> None:
    assert {"RED": Colour("red"), "GREEN": Colour("green")} == {name: vars(Colour)[name] for name in Colour.__members__}


def test_all_else_is_as_it_was() -> None:
    assert [Colour.RED, Colour.GREEN] == list(Colour)
    assert (True, False) == (Colour.RED.is_warm, Colour.GREEN.is_warm)
    assert ("RED", "red") == (Colour.RED.name, Colour.RED.value)
    assert Colour.RED is pickle.loads(pickle.dumps(Colour.RED)) is copy.deepcopy(Colour.RED) is Colour["RED"]

"""Letters name a registered type, never where it can be imported from."""

import pytest
from tests.unit.sinks.support_tables import START
from tests.unit.sinks.support_targets import Trade

from mainspring.base import encode_msgpack
from mainspring.errors import DecodeError, InvalidArgumentError, InvalidItemError
from mainspring.sinks._letters import Letter, TypeNames, decode_letter, encode_item


def test_types_go_by_their_names() -> None:
    names = TypeNames()
    names.add(Trade)
    names.add(Trade)
    assert names.name_of(Trade, sink="s") == "Trade"
    assert names.type_of("Trade") is Trade
    names.add(Trade, "trade-1")
    assert names.name_of(Trade, sink="s") == "trade-1"
    with pytest.raises(InvalidArgumentError):
        names.add(type("Trade", (), {}))
    with pytest.raises(InvalidArgumentError):
        names.add(Trade, "dict")
    with pytest.raises(LookupError):
        names.type_of("Gone")
    with pytest.raises(InvalidItemError, match="the type set is not registered"):
        names.name_of(set, sink="s")


def test_a_letter_is_the_same_after_its_bytes() -> None:
    item = encode_item(Trade("A", 1.0), sink="s", known=set())
    letter = Letter("s", "Trade", None, "run", START, [("k", item), (None, item)])
    assert decode_letter(letter.encoded()) == letter
    assert [one.items for one in letter.alone()] == [[("k", item)], [(None, item)]]
    assert b"tests" not in letter.encoded()
    with pytest.raises(DecodeError):
        decode_letter(encode_msgpack({"sink": 1}))


def test_an_item_without_form_is_refused() -> None:
    with pytest.raises(InvalidItemError):
        encode_item(object(), sink="s", known=set())

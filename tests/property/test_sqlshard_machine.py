"""Whatever is done to a sharded store, it is a dict: also after it was closed, opened again or resharded."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any  # Any: keys are tuples of several kinds

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from mainspring.storage import SQLShard

PARTS = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-2, 2),
    st.floats(allow_nan=False),
    st.sampled_from([0.0, 1.0, True, False, "", "a", "a\0b", b"", b"a"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
    st.binary(max_size=3),
)
KEYS = st.tuples(PARTS, PARTS)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3),
    max_leaves=5,
)
NOTHING = object()


class ShardMachine(RuleBasedStateMachine):
    """Does the same to a store and to a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.shards = 2
        self.shard = SQLShard(self.shards, self.folder, keylen=2)
        self.model: dict[Any, object] = {}

    @rule(key=KEYS, value=VALUES)
    def assign(self, key: tuple[int, int], value: object) -> None:
        self.shard[key] = value
        self.model[key] = value

    @rule(pairs=st.lists(st.tuples(KEYS, VALUES), max_size=5), gone=st.lists(KEYS, max_size=2))
    def assign_many(self, pairs: list[tuple[tuple[int, int], object]], gone: list[tuple[int, int]]) -> None:
        with self.shard.bulk() as bulk:
            for key, value in pairs:
                bulk[key] = value
            for key in gone:
                bulk.discard(key)
        self.model.update(pairs)
        for key in gone:
            self.model.pop(key, None)

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(list(self.model)) if self.model else KEYS)
        assert self.model.pop(key, NOTHING) == self.shard.pop(key, NOTHING)

    @rule(key=KEYS)
    def ask(self, key: tuple[int, int]) -> None:
        assert (key in self.model) == (key in self.shard)
        assert self.model.get(key, NOTHING) == self.shard.get(key, NOTHING)

    @rule(before=PARTS)
    def prune(self, before: Any) -> None:
        def goes(part: Any) -> bool:
            kinds = (str, bytes, (int, float))
            alike = [isinstance(part, kind) for kind in kinds] == [isinstance(before, kind) for kind in kinds]
            return alike and part < before

        gone = [key for key in self.model if goes(key[1])]
        assert len(gone) == self.shard.prune(before=before)
        for key in gone:
            del self.model[key]

    @rule()
    def open_again(self) -> None:
        self.shard.close()
        self.shard = SQLShard(self.shards, self.folder, keylen=2)

    @rule(shards=st.integers(1, 3), shardidx=st.just(0))
    def reshard(self, shards: int, shardidx: int) -> None:
        self.shard.close()
        assert len(self.model) == SQLShard.reshard(self.folder, shards=shards, shardidx=shardidx)
        self.shards = shards
        self.shard = SQLShard(self.shards, self.folder, keylen=2)

    @invariant()
    def is_the_dict(self) -> None:
        assert len(self.model) == len(self.shard)
        assert self.model == dict(self.shard.items()) == self.shard.get_many(self.model)

    def teardown(self) -> None:
        self.shard.close()
        shutil.rmtree(self.folder)


def test_a_store_is_a_dict(mainspring_count: Callable[[int, int], int]) -> None:
    count = mainspring_count(15, 500)
    run_state_machine_as_test(
        ShardMachine,
        settings=settings(max_examples=count, stateful_step_count=15, deadline=None),
    )

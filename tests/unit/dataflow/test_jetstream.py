"""What carries an edge over machines is plain data, and says nothing secret."""

from typing import Any

import pytest

from mainspring.dataflow import JetStream
from mainspring.errors import InvalidArgumentError


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"stream": ""}, "stream=''"),
        ({"stream": "a.b"}, "stream='a.b'"),
        ({"stream": "x" * 129}, "1 to 128 letters"),
        ({"stream": "a", "url": "http://here"}, "url='http://here'"),
        ({"stream": "a", "url": "nats://"}, "url='nats://'"),
        ({"stream": "a", "max_stored": 0}, "max_stored=0"),
        ({"stream": "a", "storage": "tape"}, "storage='tape'"),
        ({"stream": "a", "replicas": 6}, "replicas=6"),
    ],
)
def test_what_cannot_work_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidArgumentError, match=says):
        JetStream(**options)


def test_each_pair_of_workers_has_a_subject_and_each_receiver_a_consumer() -> None:
    stream = JetStream(stream="trades")
    assert ("mainspring.trades.0.3", "mainspring.trades.*.3") == (stream.subject(0, 3), stream.subjects_of(3))
    assert ("mainspring.trades.*.*", "trades-3") == (stream.all_subjects, stream.consumer(3))


def test_a_password_is_not_shown() -> None:
    stream = JetStream(stream="a", url="nats://me:secret@10.0.0.1:4222")
    assert "nats://10.0.0.1:4222" == stream.address
    assert "secret" not in repr(stream)
    with pytest.raises(InvalidArgumentError) as refused:
        JetStream(stream="a", url="ftp://me:secret@10.0.0.1")
    assert "secret" not in str(refused.value)

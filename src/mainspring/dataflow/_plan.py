"""What a worker is to do, as it travels to its process."""

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final, Literal, TypeAlias  # Any: messages are what a program makes them

from mainspring.base import load_extra
from mainspring.dataflow._topology import Stage
from mainspring.errors import TaskNotPicklableError

Delivery: TypeAlias = Literal["at-least-once", "at-most-once"]
"""What happens to messages whose worker died: they are sent again, or dropped and counted."""

_NOT_PICKLABLE: Final = (pickle.PicklingError, TypeError, AttributeError, ValueError, RecursionError)


@dataclass(frozen=True, slots=True)
class BuriedMessage:
    """A message that its callback could not take.

    Attributes:
        stage: the label of the stage.
        worker: its place, as "1.3".
        message_id: the sender's place and the number of the message from there, as "0.0#17"; over NATS the number
            of the message in its worker, as "stream#17"; likewise from a pipe or a client, as "pipe#17", "client#17".
            An item that the sink can never write is "sink#17".
        message: decoded, or the bytes as they came when they could not be.
        error: what the callback, or the sink, raised.
    """

    stage: str
    worker: str
    message_id: str
    message: Any
    error: Exception


DeadLetterHook: TypeAlias = Callable[[BuriedMessage], Any]


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """One worker: its stage, its place, and where its messages go."""

    flow: str
    stage: Stage
    level: int
    index: int
    following: Stage | None
    delivery: Delivery
    dead_letter: DeadLetterHook | None
    acknowledged: int = 0
    restart_count: int = 0
    drains: bool = True
    """Whether everything that can come to it has come when it is told to finish."""

    @property
    def id(self) -> str:
        """Stage and place, as "1.3"."""
        return f"{self.level}.{self.index}"


def pack(plan: WorkerPlan) -> bytes:
    """Return the plan as bytes for a process that is not forked; lambdas and closures go along with cloudpickle.

    Raises:
        TaskNotPicklableError: a part of the stage cannot travel.
    """
    try:
        return pickle.dumps(plan)
    except _NOT_PICKLABLE as error:
        if find_spec("cloudpickle") is None:
            raise _refusal(plan, error) from error
    cloudpickle: Any = load_extra("cloudpickle", feature="sending lambdas", extra="dataflow")
    try:
        packed: bytes = cloudpickle.dumps(plan)
    except _NOT_PICKLABLE as error:
        raise _refusal(plan, error) from error
    return packed


def unpack(packed: "WorkerPlan | bytes") -> WorkerPlan:
    """Return the plan, in the worker's process."""
    if isinstance(packed, WorkerPlan):
        return packed
    plan: WorkerPlan = pickle.loads(packed)
    return plan


def _refusal(plan: WorkerPlan, error: Exception) -> TaskNotPicklableError:
    return TaskNotPicklableError(what=f"stage {plan.level} ({plan.stage.label}) of {plan.flow!r}", reason=str(error))

"""A job with all that its runs on one node share."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mainspring.jobs.engine._configs import JobConfigs
from mainspring.jobs.engine._definition import HandlerForm, JobDefinition
from mainspring.jobs.engine._places import Places
from mainspring.jobs.stores import JobStore
from mainspring.runtime import ResourceBinding
from mainspring.sinks import SinkSet

if TYPE_CHECKING:
    from mainspring.jobs.engine._app import JobApp


@dataclass(frozen=True, slots=True)
class Work:
    """What a node needs to run one job.

    Attributes:
        supplied: the parameters that the engine fills, in the handler's signature.
        takes_instance: whether the handler takes its config as an instance of the schema, where others take the dict.
        on_loop: it is a coroutine function without resources.
        wants_nothing: it is such a one that is called without anything: it needs no context.
        task_name: the name of the tasks of its runs.
        was: the job's earlier ids, without those that another job has today.
    """

    definition: JobDefinition
    binding: ResourceBinding
    supplied: tuple[str, ...]
    app: "JobApp"
    store: JobStore
    sinks: SinkSet
    configs: JobConfigs
    places: Places
    takes_instance: bool = False
    on_loop: bool = field(init=False)
    wants_nothing: bool = field(init=False)
    task_name: str = field(init=False)
    was: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Find out once how the handler is called: each run asks."""
        definition = self.definition
        on_loop = definition.form is HandlerForm.COROUTINE and definition.executor == "loop"
        on_loop = on_loop and not self.binding.parameters
        is_bare = (definition.timeout, definition.limiter, definition.sink, definition.schema) == (None,) * 4
        object.__setattr__(self, "on_loop", on_loop)
        object.__setattr__(self, "wants_nothing", on_loop and is_bare and not self.supplied)
        object.__setattr__(self, "task_name", f"job-{definition.job_id}")
        object.__setattr__(self, "was", tuple(name for name in definition.was if name not in self.app.jobs))

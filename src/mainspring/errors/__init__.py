"""Every exception and control signal of mainspring, one file per floor.

The tree (each class also inherits the standard class in brackets)::

    MainspringError
    ├── InvalidArgumentError [ValueError]      an argument is outside what the callee accepts
    ├── ClosedError [RuntimeError]             the object was closed
    │   ├── WorkerPoolClosedError              the pool was closed before the task was done
    │   └── TaskManagerClosedError             the manager has run to its end
    ├── MissingExtraError [ImportError]        an optional dependency is not installed
    ├── EncodeError [TypeError]                a value has no form in the format asked for
    ├── DecodeError [ValueError]               data is not of its format, or does not fit its type
    ├── FrameTooLargeError [ValueError]        a frame is longer than the limit of this side
    ├── FetchError [ConnectionError]           a page could not be fetched
    ├── ConnectionClosedError [ConnectionError, EOFError]  the other end is gone, or this end was closed
    │   └── ConnectionClosedOK                 it closed between two records (the name in mutil)
    ├── HandshakeError [ConnectionError]       two ends did not come to an understanding
    │   └── AuthenticationError [PermissionError]  one of them has not shown that it knows the key
    ├── InsecureTransportError [ValueError]    others could read the link, take it over or use it unasked
    ├── StorageError                           a store on disk; `store` is its path
    │   ├── ClickHouseError                        a ClickHouse database; `store` is its address
    │   │   ├── ClickHouseRefusedError [ValueError]        it refused a statement or a value
    │   │   ├── ClickHouseTimeoutError [TimeoutError]      it gave no answer in time
    │   │   └── ClickHouseUnavailableError [ConnectionError]  it does not answer, or the connection broke
    │   ├── StoreBusyError [TimeoutError]          another process held it too long, or too many writes wait
    │   ├── StoreCorruptError [ValueError]         the file is damaged or no database
    │   ├── StoreForkedError [RuntimeError]        it was opened before this process was forked
    │   ├── StoreFullError [OSError]               no room is left on the disk
    │   ├── StoreMismatchError [ValueError]        it was made with other numbers
    │   ├── StoreOpenError [OSError]               the path cannot hold a store
    │   │   └── StoreMissingError                  there is none to read
    │   ├── StoreReadOnlyError [PermissionError]   the file or its directory may not be written
    │   ├── StoreReadTimeoutError [TimeoutError]   a read held its snapshot for too long
    │   ├── StoreTakenError [RuntimeError]         the job store belongs to another app
    │   └── StoreTooNewError [RuntimeError]        the schema is newer than the program
    ├── BindError [OSError]                    an address cannot be listened on
    ├── CommandLineError [ValueError]          the words after a command do not fit its arguments
    ├── ConfigError [ValueError]               settings that cannot be read, or do not fit
    │   └── MissingConfigError [KeyError]          a part of the settings that was asked for is not there
    ├── CredentialFormatError [KeyError, ValueError]  what is kept as a credential cannot be read
    ├── CredentialNotFoundError [ValueError]   no store knows the credential
    ├── CredentialStoreError [ConnectionError] a store of credentials cannot be asked
    ├── NotifyError [ConnectionError]          a notification was not taken
    ├── DeadlineExceededError [TimeoutError]   a call or block did not end within its time limit
    ├── CircuitBroken [RuntimeError]           a breaker refuses calls to what failed too often
    ├── LimitTimeoutError [TimeoutError]       a limiter did not admit the call in time
    ├── LimiterUnavailableError [ConnectionError]  the server that keeps the count cannot be asked
    ├── PoolExhaustedError [TimeoutError]      no instance of a pool came free in time
    ├── TooManyWaitersError [RuntimeError]     the line of waiting callers is full
    ├── MisuseError [RuntimeError]             an object is used in a way in which it cannot work
    ├── NotCoroutineFunctionError [TypeError]  a decorator needs a coroutine function
    ├── WorkQueueFullError [RuntimeError]      as much work waits as a pool may hold
    ├── CoroutineFunctionError [TypeError]     a coroutine function needs no thread
    ├── ChannelClosed [RuntimeError]           a channel takes no more, or has no more
    ├── ChannelTimeout [TimeoutError]          a channel had no room, or no item, in time
    ├── ResultNotSetError [RuntimeError]       an aggregated function forgot a call
    ├── StrategyException                      (signal) what a strategy raises; ends its callback
    │   ├── StrategyStop                       (signal) the recurring callback ends
    │   └── StrategySkip                       (signal) the recurring callback is not called this time
    ├── CallbackNotStartedError [RuntimeError] a recurring callback was stopped that does not run
    ├── CallbackRunningError [asyncio.InvalidStateError]  a recurring callback was started twice
    ├── UnknownRunnerError [KeyError]          a task is none of a ForeverLoop's
    ├── UnsafeAddressError [ValueError]        whoever reaches the address could run code here
    ├── ChildStartError [RuntimeError]         a child process could not be started
    ├── WorkerCrashedError [RuntimeError]      a worker died while it ran the task
    ├── MainImportError [RuntimeError]         a worker could not import the program's main module
    ├── TaskNotPicklableError [TypeError]      a function or argument cannot travel
    ├── ResultNotPicklableError [TypeError]    a result cannot travel back
    ├── RemoteTaskError [RuntimeError]         a task's exception cannot travel back
    ├── SinkError                              what sinks raise
    │   ├── SinkWriteError [RuntimeError]      a sink did not accept items of a run
    │   ├── UnroutedItemError [TypeError]      no sink takes items of this type
    │   ├── UnknownSinkError [LookupError]     an item was addressed to a sink that does not exist
    │   ├── SpoolFullError [RuntimeError]      there is no room for items that a sink did not take
    │   ├── InvalidItemError [ValueError]      a sink cannot take this item as it is
    │   └── TableSchemaError [ValueError]      a sink's table is missing or does not fit
    ├── ResourceError [RuntimeError]           a resource could not be made, acquired, left or closed
    ├── UnknownResourceError [LookupError]     nothing says what to inject for a parameter
    ├── CycleError [ValueError]                things need one another in a circle
    ├── NeverHappenedError [AssertionError]    what a test waited for did not happen in its time
    ├── LeakError [AssertionError]             a test left something behind
    ├── VirtualClockError [RuntimeError]       virtual time cannot go on
    ├── UnsafeFileError [PermissionError]      a file that holds a secret is not for its owner alone
    ├── AirlineRefusedError [ConnectionError]  the demo's API answered with something else than flights
    ├── ServiceTimeoutError [TimeoutError]     a service did not start or stop in its own time
    ├── ShutdownTimeoutError [TimeoutError]    the program did not stop in time
    ├── UnreachableProgramError [ConnectionError]  no program answers where its health is asked for
    ├── SignalReceivedError [RuntimeError]     why services stop when a signal came
    ├── NoEntrypointError [RuntimeError]       no program runs around the caller
    ├── ApplicationFailedError [RuntimeError]  what a server serves did not start or stop as it should
    ├── StageFailedError [RuntimeError]        a worker of a dataflow died again and again
    ├── EdgeUnavailableError [ConnectionError]  the NATS server that carries an edge cannot be used
    └── JobError                               what jobs raise
        ├── UnknownJobError [KeyError]         no job of this id
        ├── UnknownBackfillError [KeyError]    no backfill of this id
        ├── UnknownRunError [KeyError]         no run of this id
        ├── LeaseLostError [RuntimeError]      the node's epoch is dead
        ├── LeaseTakenError [RuntimeError]     somebody holds a lease that was wanted at once
        ├── StaleFenceError [RuntimeError]     a newer claim holds the run
        ├── IdempotencyError [ValueError]      a key was used with other arguments
        ├── JobDefinitionError [ValueError]    a job declared in a way that cannot work
        ├── NeedsError [ValueError]            a job needs what can never be there
        ├── JobTimeoutError [TimeoutError]     an attempt took longer than its timeout
        └── RunFailedError [RuntimeError]      a run that should have succeeded did not
"""

from mainspring.errors._base import ClosedError as ClosedError
from mainspring.errors._base import DecodeError as DecodeError
from mainspring.errors._base import EncodeError as EncodeError
from mainspring.errors._base import FrameTooLargeError as FrameTooLargeError
from mainspring.errors._base import InvalidArgumentError as InvalidArgumentError
from mainspring.errors._base import MissingExtraError as MissingExtraError
from mainspring.errors._concurrency import CallbackNotStartedError as CallbackNotStartedError
from mainspring.errors._concurrency import CallbackRunningError as CallbackRunningError
from mainspring.errors._concurrency import ChannelClosed as ChannelClosed
from mainspring.errors._concurrency import ChannelTimeout as ChannelTimeout
from mainspring.errors._concurrency import ChildStartError as ChildStartError
from mainspring.errors._concurrency import CoroutineFunctionError as CoroutineFunctionError
from mainspring.errors._concurrency import MainImportError as MainImportError
from mainspring.errors._concurrency import RemoteTaskError as RemoteTaskError
from mainspring.errors._concurrency import ResultNotPicklableError as ResultNotPicklableError
from mainspring.errors._concurrency import ResultNotSetError as ResultNotSetError
from mainspring.errors._concurrency import StrategyException as StrategyException
from mainspring.errors._concurrency import StrategySkip as StrategySkip
from mainspring.errors._concurrency import StrategyStop as StrategyStop
from mainspring.errors._concurrency import TaskManagerClosedError as TaskManagerClosedError
from mainspring.errors._concurrency import TaskNotPicklableError as TaskNotPicklableError
from mainspring.errors._concurrency import UnknownRunnerError as UnknownRunnerError
from mainspring.errors._concurrency import UnsafeAddressError as UnsafeAddressError
from mainspring.errors._concurrency import WorkerCrashedError as WorkerCrashedError
from mainspring.errors._concurrency import WorkerPoolClosedError as WorkerPoolClosedError
from mainspring.errors._concurrency import WorkQueueFullError as WorkQueueFullError
from mainspring.errors._front import AirlineRefusedError as AirlineRefusedError
from mainspring.errors._front import LeakError as LeakError
from mainspring.errors._front import NeverHappenedError as NeverHappenedError
from mainspring.errors._front import UnsafeFileError as UnsafeFileError
from mainspring.errors._front import VirtualClockError as VirtualClockError
from mainspring.errors._parts import BindError as BindError
from mainspring.errors._parts import ClickHouseError as ClickHouseError
from mainspring.errors._parts import ClickHouseRefusedError as ClickHouseRefusedError
from mainspring.errors._parts import ClickHouseTimeoutError as ClickHouseTimeoutError
from mainspring.errors._parts import ClickHouseUnavailableError as ClickHouseUnavailableError
from mainspring.errors._parts import CommandLineError as CommandLineError
from mainspring.errors._parts import ConfigError as ConfigError
from mainspring.errors._parts import CredentialFormatError as CredentialFormatError
from mainspring.errors._parts import CredentialNotFoundError as CredentialNotFoundError
from mainspring.errors._parts import CredentialStoreError as CredentialStoreError
from mainspring.errors._parts import FetchError as FetchError
from mainspring.errors._parts import MissingConfigError as MissingConfigError
from mainspring.errors._parts import NotifyError as NotifyError
from mainspring.errors._parts import StorageError as StorageError
from mainspring.errors._parts import StoreBusyError as StoreBusyError
from mainspring.errors._parts import StoreCorruptError as StoreCorruptError
from mainspring.errors._parts import StoreForkedError as StoreForkedError
from mainspring.errors._parts import StoreFullError as StoreFullError
from mainspring.errors._parts import StoreMismatchError as StoreMismatchError
from mainspring.errors._parts import StoreMissingError as StoreMissingError
from mainspring.errors._parts import StoreOpenError as StoreOpenError
from mainspring.errors._parts import StoreReadOnlyError as StoreReadOnlyError
from mainspring.errors._parts import StoreReadTimeoutError as StoreReadTimeoutError
from mainspring.errors._parts import StoreTooNewError as StoreTooNewError
from mainspring.errors._program import CycleError as CycleError
from mainspring.errors._program import InvalidItemError as InvalidItemError
from mainspring.errors._program import NoEntrypointError as NoEntrypointError
from mainspring.errors._program import ResourceError as ResourceError
from mainspring.errors._program import ServiceTimeoutError as ServiceTimeoutError
from mainspring.errors._program import ShutdownTimeoutError as ShutdownTimeoutError
from mainspring.errors._program import SignalReceivedError as SignalReceivedError
from mainspring.errors._program import SinkError as SinkError
from mainspring.errors._program import SinkWriteError as SinkWriteError
from mainspring.errors._program import SpoolFullError as SpoolFullError
from mainspring.errors._program import TableSchemaError as TableSchemaError
from mainspring.errors._program import UnknownResourceError as UnknownResourceError
from mainspring.errors._program import UnknownSinkError as UnknownSinkError
from mainspring.errors._program import UnreachableProgramError as UnreachableProgramError
from mainspring.errors._program import UnroutedItemError as UnroutedItemError
from mainspring.errors._resilience import CircuitBroken as CircuitBroken
from mainspring.errors._resilience import DeadlineExceededError as DeadlineExceededError
from mainspring.errors._resilience import LimiterUnavailableError as LimiterUnavailableError
from mainspring.errors._resilience import LimitTimeoutError as LimitTimeoutError
from mainspring.errors._resilience import MisuseError as MisuseError
from mainspring.errors._resilience import NotCoroutineFunctionError as NotCoroutineFunctionError
from mainspring.errors._resilience import PoolExhaustedError as PoolExhaustedError
from mainspring.errors._resilience import TooManyWaitersError as TooManyWaitersError
from mainspring.errors._root import MainspringError as MainspringError
from mainspring.errors._transport import AuthenticationError as AuthenticationError
from mainspring.errors._transport import ConnectionClosedError as ConnectionClosedError
from mainspring.errors._transport import ConnectionClosedOK as ConnectionClosedOK
from mainspring.errors._transport import HandshakeError as HandshakeError
from mainspring.errors._transport import InsecureTransportError as InsecureTransportError
from mainspring.errors._work import ApplicationFailedError as ApplicationFailedError
from mainspring.errors._work import EdgeUnavailableError as EdgeUnavailableError
from mainspring.errors._work import IdempotencyError as IdempotencyError
from mainspring.errors._work import JobDefinitionError as JobDefinitionError
from mainspring.errors._work import JobError as JobError
from mainspring.errors._work import JobTimeoutError as JobTimeoutError
from mainspring.errors._work import LeaseLostError as LeaseLostError
from mainspring.errors._work import LeaseTakenError as LeaseTakenError
from mainspring.errors._work import NeedsError as NeedsError
from mainspring.errors._work import RunFailedError as RunFailedError
from mainspring.errors._work import StageFailedError as StageFailedError
from mainspring.errors._work import StaleFenceError as StaleFenceError
from mainspring.errors._work import StoreTakenError as StoreTakenError
from mainspring.errors._work import UnknownBackfillError as UnknownBackfillError
from mainspring.errors._work import UnknownJobError as UnknownJobError
from mainspring.errors._work import UnknownRunError as UnknownRunError

__all__ = [
    "AirlineRefusedError",
    "ApplicationFailedError",
    "AuthenticationError",
    "BindError",
    "CallbackNotStartedError",
    "CallbackRunningError",
    "ChannelClosed",
    "ChannelTimeout",
    "ChildStartError",
    "CircuitBroken",
    "ClickHouseError",
    "ClickHouseRefusedError",
    "ClickHouseTimeoutError",
    "ClickHouseUnavailableError",
    "ClosedError",
    "CommandLineError",
    "ConfigError",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "CoroutineFunctionError",
    "CredentialFormatError",
    "CredentialNotFoundError",
    "CredentialStoreError",
    "CycleError",
    "DeadlineExceededError",
    "DecodeError",
    "EdgeUnavailableError",
    "EncodeError",
    "FetchError",
    "FrameTooLargeError",
    "HandshakeError",
    "IdempotencyError",
    "InsecureTransportError",
    "InvalidArgumentError",
    "InvalidItemError",
    "JobDefinitionError",
    "JobError",
    "JobTimeoutError",
    "LeakError",
    "LeaseLostError",
    "LeaseTakenError",
    "LimitTimeoutError",
    "LimiterUnavailableError",
    "MainImportError",
    "MainspringError",
    "MissingConfigError",
    "MissingExtraError",
    "MisuseError",
    "NeedsError",
    "NeverHappenedError",
    "NoEntrypointError",
    "NotCoroutineFunctionError",
    "NotifyError",
    "PoolExhaustedError",
    "RemoteTaskError",
    "ResourceError",
    "ResultNotPicklableError",
    "ResultNotSetError",
    "RunFailedError",
    "ServiceTimeoutError",
    "ShutdownTimeoutError",
    "SignalReceivedError",
    "SinkError",
    "SinkWriteError",
    "SpoolFullError",
    "StageFailedError",
    "StaleFenceError",
    "StorageError",
    "StoreBusyError",
    "StoreCorruptError",
    "StoreForkedError",
    "StoreFullError",
    "StoreMismatchError",
    "StoreMissingError",
    "StoreOpenError",
    "StoreReadOnlyError",
    "StoreReadTimeoutError",
    "StoreTakenError",
    "StoreTooNewError",
    "StrategyException",
    "StrategySkip",
    "StrategyStop",
    "TableSchemaError",
    "TaskManagerClosedError",
    "TaskNotPicklableError",
    "TooManyWaitersError",
    "UnknownBackfillError",
    "UnknownJobError",
    "UnknownResourceError",
    "UnknownRunError",
    "UnknownRunnerError",
    "UnknownSinkError",
    "UnreachableProgramError",
    "UnroutedItemError",
    "UnsafeAddressError",
    "UnsafeFileError",
    "VirtualClockError",
    "WorkQueueFullError",
    "WorkerCrashedError",
    "WorkerPoolClosedError",
]

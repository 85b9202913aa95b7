"""Base: what every room stands on. Pure and stdlib-like; no task is started here.

Clock, random numbers and ids, statistics, the cron engine, frames and codecs, `Backoff`, the loader of
extras.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.base._abort import abort_transport as abort_transport
    from mainspring.base._backoff import Backoff as Backoff
    from mainspring.base._batch import BatchKernel as BatchKernel
    from mainspring.base._child_finder import ChildFinder as ChildFinder
    from mainspring.base._child_finder import child_finders as child_finders
    from mainspring.base._child_talk import Flush as Flush
    from mainspring.base._child_talk import Send as Send
    from mainspring.base._child_talk import Speaker as Speaker
    from mainspring.base._child_talk import child_talk as child_talk
    from mainspring.base._clock import Clock as Clock
    from mainspring.base._clock import SystemClock as SystemClock
    from mainspring.base._clock import current_clock as current_clock
    from mainspring.base._clock import use_clock as use_clock
    from mainspring.base._codecs import decode_json as decode_json
    from mainspring.base._codecs import decode_json_each as decode_json_each
    from mainspring.base._codecs import decode_msgpack as decode_msgpack
    from mainspring.base._codecs import encode_json as encode_json
    from mainspring.base._codecs import encode_msgpack as encode_msgpack
    from mainspring.base._cron import CronExpression as CronExpression
    from mainspring.base._door import door as door
    from mainspring.base._enums import quicken as quicken
    from mainspring.base._extras import load_extra as load_extra
    from mainspring.base._folders import make_private_folder as make_private_folder
    from mainspring.base._folders import sync_path as sync_path
    from mainspring.base._frames import DEFAULT_MAX_FRAME_BYTES as DEFAULT_MAX_FRAME_BYTES
    from mainspring.base._frames import FrameDecoder as FrameDecoder
    from mainspring.base._frames import encode_frame as encode_frame
    from mainspring.base._frames import length_reader as length_reader
    from mainspring.base._frames import longest_payload as longest_payload
    from mainspring.base._instant import from_us as from_us
    from mainspring.base._instant import to_us as to_us
    from mainspring.base._loopback import is_loopback as is_loopback
    from mainspring.base._outside_work import outside_work as outside_work
    from mainspring.base._parsing import parse_bool as parse_bool
    from mainspring.base._parsing import parse_duration as parse_duration
    from mainspring.base._parsing import seconds_hint as seconds_hint
    from mainspring.base._random import current_random as current_random
    from mainspring.base._random import first_id_at as first_id_at
    from mainspring.base._random import new_id as new_id
    from mainspring.base._random import use_random as use_random
    from mainspring.base._running_loop import runs_here as runs_here
    from mainspring.base._statistics import Statistic as Statistic
    from mainspring.base._statistics import StatisticResult as StatisticResult
    from mainspring.base._statistics import get_statistics as get_statistics
    from mainspring.base._version import __version__ as __version__
else:
    from mainspring.base._door import door

    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "_backoff": ("Backoff",),
            "_clock": ("Clock", "SystemClock", "current_clock", "use_clock"),
            "_codecs": ("decode_json", "decode_msgpack", "encode_json", "encode_msgpack"),
            "_cron": ("CronExpression",),
            "_random": ("current_random", "new_id", "use_random"),
            "_statistics": ("Statistic", "StatisticResult", "get_statistics"),
        },
        house={
            "_abort": ("abort_transport",),
            "_batch": ("BatchKernel",),
            "_child_finder": ("ChildFinder", "child_finders"),
            "_child_talk": ("Flush", "Send", "Speaker", "child_talk"),
            "_codecs": ("decode_json_each",),
            "_door": ("door",),
            "_enums": ("quicken",),
            "_extras": ("load_extra",),
            "_folders": ("make_private_folder", "sync_path"),
            "_frames": ("DEFAULT_MAX_FRAME_BYTES", "FrameDecoder", "encode_frame", "length_reader", "longest_payload"),
            "_loopback": ("is_loopback",),
            "_outside_work": ("outside_work",),
            "_random": ("first_id_at",),
            "_parsing": ("parse_bool", "parse_duration", "seconds_hint"),
            "_instant": ("from_us", "to_us"),
            "_running_loop": ("runs_here",),
            "_version": ("__version__",),
        },
    )

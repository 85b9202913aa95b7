"""Limiters to compare, in process and over Redis: ours and the rivals', each as a call that admits one."""

from collections.abc import Awaitable, Callable
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any  # Any: rivals come without types

from mainspring.resilience import GCRA, GlobalAsyncLimiter, RateLimit

Call = Callable[[], Any]
PLENTY = 100_000_000
"""Calls in a minute: more than any subject manages, so that none has to wait."""


def rival(module: str) -> ModuleType | None:
    """Return a rival's module, or None after a line that says it is absent."""
    try:
        return import_module(module)
    except ImportError:
        print(f"bench_resilience: {module} is not installed, left out")
        return None


async def nothing() -> int:
    """Do nothing."""
    return 1


def local_limiters() -> tuple[dict[str, Call], dict[str, Call]]:
    """Return what admits one call in this process: by waiting when need be, and by a plain try."""
    # Full windows of a microsecond: each admission drops an old one, and none has to wait.
    log, paced = RateLimit(1000, 1e-6), GCRA(PLENTY, 1e-3)

    async def block() -> None:
        async with log:
            pass

    acquire: dict[str, Call] = {
        "bare": nothing,
        "ours, RateLimit": log.acquire,
        "ours, RateLimit async with": block,
        "ours, GCRA": paced.acquire,
    }
    tried: dict[str, Call] = {
        "bare": nothing,
        "ours, RateLimit": log.try_acquire,
        "ours, GCRA": paced.try_acquire,
    }
    aiolimiter: Any = rival("aiolimiter")
    if aiolimiter:
        acquire["aiolimiter"] = tried["aiolimiter"] = aiolimiter.AsyncLimiter(1e9, 1).acquire
    _add_limits(acquire)
    _add_throttled(acquire)
    _add_pyrate(acquire)
    return acquire, tried


def _add_limits(acquire: dict[str, Call]) -> None:
    if rival("limits"):
        limits: Any = import_module("limits")
        aio: Any = import_module("limits.aio")
        moving = aio.strategies.MovingWindowRateLimiter(aio.storage.MemoryStorage())
        # Its log of a window is a list in which each call looks for the first that is old: so a short one.
        item = limits.RateLimitItemPerSecond(1000)
        acquire["limits, moving window"] = lambda: moving.hit(item)


def _add_throttled(acquire: dict[str, Call]) -> None:
    if rival("throttled"):
        asynchronous: Any = import_module("throttled.asyncio")
        quota = asynchronous.per_sec(PLENTY, burst=PLENTY)
        gcra = asynchronous.Throttled(key="k", using="gcra", quota=quota, store=asynchronous.MemoryStore())
        acquire["throttled, gcra"] = gcra.limit


def _add_pyrate(acquire: dict[str, Call]) -> None:
    pyrate: Any = rival("pyrate_limiter")
    if pyrate:
        limiter = pyrate.Limiter(pyrate.InMemoryBucket([pyrate.Rate(1000, 1)]))
        acquire["pyrate-limiter"] = lambda: limiter.try_acquire_async("k", blocking=False)


async def redis_limiters(url: str) -> tuple[dict[str, Call], list[Callable[[], Awaitable[object]]]]:
    """Return what admits one call through a server, and what closes it all."""
    log = GlobalAsyncLimiter(url, "log", PLENTY, 1.0)
    paced = GlobalAsyncLimiter(url, "gcra", PLENTY, 1.0, algorithm="gcra", burst=PLENTY)
    redis: Any = import_module("redis.asyncio")
    client = redis.Redis.from_url(url)
    subjects: dict[str, Call] = {
        "redis-py, one INCR": lambda: client.incr("probe"),
        "ours, log": log.acquire,
        "ours, gcra": paced.acquire,
    }
    closers: list[Callable[[], Awaitable[object]]] = [log.close, paced.close, client.aclose]
    if rival("limits"):
        limits: Any = import_module("limits")
        aio: Any = import_module("limits.aio")
        storage = aio.storage.RedisStorage(f"async+{url}", implementation="redispy")
        for name, kind in (("fixed", "FixedWindowRateLimiter"), ("moving", "MovingWindowRateLimiter")):
            strategy = getattr(aio.strategies, kind)(storage)
            item = limits.RateLimitItemPerSecond(PLENTY, 1, name)
            subjects[f"limits, {name} window"] = partial(strategy.hit, item)
        closers.append(storage.storage.aclose if hasattr(storage, "storage") else _nothing)
    if rival("throttled"):
        asynchronous: Any = import_module("throttled.asyncio")
        store = asynchronous.RedisStore(server=url)
        quota = asynchronous.per_sec(PLENTY, burst=PLENTY)
        subjects["throttled, gcra"] = asynchronous.Throttled(key="k", using="gcra", quota=quota, store=store).limit
    pyrate: Any = rival("pyrate_limiter")
    if pyrate:
        bucket = await pyrate.RedisBucket.init([pyrate.Rate(PLENTY, 1000)], client, "pyrate")
        limiter = pyrate.Limiter(bucket)
        subjects["pyrate-limiter"] = lambda: limiter.try_acquire_async("k", blocking=False)
    return subjects, closers


async def _nothing() -> None:
    """Stand for what has nothing to close."""

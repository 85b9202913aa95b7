"""What everyday helpers cost: signing beside botocore, rounding and commands beside their plain forms.

Usage: python benchmarks/bench_tools.py [--quick] [--json FILE]

All subjects of a case run in turn within each round, in one process; the value is the median over the rounds,
and a ratio is the median of the ratios within the rounds. A rival that is not installed is left out with a line.
"""

import argparse
import json
import shlex
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from importlib import import_module
from pathlib import Path
from typing import Any  # Any: rivals come without types

from mainspring.tools import DArg, Dispatch, Op, Round, SignatureV4, format_price, round_near

Call = Callable[[], object]
ROUNDS = 9
HOST = "my-bucket.s3.us-west-2.amazonaws.com"
PATH = "/folder/an%20object.txt"


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to compare: ours against a rival, and how much of its time ours may take."""

    metric: str
    subjects: dict[str, Call]
    against: str
    at_most: float | None = None


def signing_cases() -> list[Case]:
    signer = SignatureV4("AKIDEXAMPLE", "secret", HOST)
    headers: dict[str, Call] = {"ours": lambda: signer.get_headers("GET", PATH)}
    links: dict[str, Call] = {"ours": lambda: signer.presign("GET", PATH)}
    try:
        auth: Any = import_module("botocore.auth")
        request: Any = import_module("botocore.awsrequest").AWSRequest
        credentials = import_module("botocore.credentials").Credentials("AKIDEXAMPLE", "secret")
    except ImportError:
        print("bench_tools: botocore is not installed, left out")
        return []
    theirs, linking = (kind(credentials, "s3", "us-west-2") for kind in (auth.S3SigV4Auth, auth.S3SigV4QueryAuth))
    url = f"http://{HOST}{PATH}"
    headers["botocore"] = lambda: theirs.add_auth(request("GET", url, headers={}))
    links["botocore"] = lambda: linking.add_auth(request("GET", url, headers={}))
    return [Case("sign headers", headers, "botocore", 1.0), Case("sign a link", links, "botocore", 1.0)]


def plain_round(increment: float, price: float, decimals: int = 2) -> Decimal:
    """Round up as one would write it at first: right while the context's 28 digits suffice."""
    step, value = Decimal(str(increment)), Decimal(str(price))
    if value % step == 0:
        return value
    return ((value / step).to_integral_value(ROUND_CEILING) * step).quantize(Decimal(10) ** -decimals)


def plain_format(price: float) -> str:
    """Write a price as one would at first: wrong for 3.30001 and 1e-05."""
    text = str(price)
    places = len(text.partition(".")[2])
    return f"{price:,.2f}" if places < 3 else f"{price:,.{len(text.partition('.')[0]) + 4}g}"


def price_cases() -> list[Case]:
    rounding: dict[str, Call] = {
        "ours": lambda: round_near(0.05, 1234.56, Round.UP),
        "plain": lambda: plain_round(0.05, 1234.56),
    }
    multiple: dict[str, Call] = {
        "ours": lambda: round_near(0.05, 1234.55, Round.UP),
        "plain": lambda: plain_round(0.05, 1234.55),
    }
    formatting: dict[str, Call] = {"ours": lambda: format_price(1234.5678), "plain": lambda: plain_format(1234.5678)}
    return [
        Case("round a price", rounding, "plain", 1.0),
        Case("round a multiple", multiple, "plain", 1.0),
        Case("format a price", formatting, "plain"),
    ]


class Order(Op):
    """A command with typed arguments."""

    def argmap(self) -> Sequence[DArg]:
        return [DArg("symbol"), DArg("quantity", convert=int, verify=is_positive), DArg("price", convert=float)]

    async def run(self) -> object:
        return vars(self)["quantity"]


def is_positive(number: int) -> bool:
    return number > 0


class PlainDispatch:
    """The same commands in the plain form: every prefix in a table, shlex for each line, specs made anew."""

    def __init__(self, names: Sequence[str]) -> None:
        self.table: dict[str, str] = {}
        prefixes: dict[str, list[str]] = {}
        for name in names:
            for length in range(1, len(name) + 1):
                prefixes.setdefault(name[:length], []).append(name)
        self.table = {prefix: found[0] for prefix, found in prefixes.items() if len(found) == 1}

    async def run(self, command: str, line: str) -> object:
        assert command in self.table
        specs: list[tuple[str, Any, Any]] = [
            ("symbol", str, None),
            ("quantity", int, is_positive),
            ("price", float, None),
        ]
        values: dict[str, Any] = {}
        for (name, convert, verify), word in zip(specs, shlex.split(line), strict=True):
            value: Any = convert(word)
            if verify is not None and not verify(value):
                raise ValueError(name)
            values[name] = value
        return values["quantity"]


def dispatch_cases() -> list[Case]:
    names = [f"command{number:03d}" for number in range(199)] + ["order"]
    ours, plain = Dispatch(dict.fromkeys(names, Order)), PlainDispatch(names)

    @ours.command("buy")
    async def buy(symbol: str, quantity: int, price: float) -> int:
        return quantity

    line = "ABC 100 12.5"
    calls: dict[str, Call] = {
        "ours": lambda: _drive(ours.run("buy", line)),
        "ours, class": lambda: _drive(ours.run("ord", line)),
        "plain": lambda: _drive(plain.run("ord", line)),
    }
    tables: dict[str, Call] = {
        "ours": lambda: Dispatch(dict.fromkeys(names, Order)),
        "plain": lambda: PlainDispatch(names),
    }
    return [Case("run a typed command", calls, "plain"), Case("build 200 commands", tables, "plain")]


def _drive(coroutine: Any) -> object:
    """Run a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waited")


def seconds_for(call: Call, count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - began) / count


def run_case(case: Case, count: int) -> list[dict[str, object]]:
    """Run one case; return what the table of `run.py` takes."""
    times: dict[str, list[float]] = {name: [] for name in case.subjects}
    for call in case.subjects.values():
        seconds_for(call, max(1, count // 10))
    for _ in range(ROUNDS):
        for name, call in case.subjects.items():
            times[name].append(seconds_for(call, count))
    measures: list[dict[str, object]] = [
        {"metric": case.metric, "subject": name, "value": statistics.median(each) * 1e6, "unit": "us"}
        for name, each in times.items()
    ]
    pairs = zip(times["ours"], times[case.against], strict=True)
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    measure: dict[str, object] = {
        "metric": case.metric,
        "subject": f"ours / {case.against}",
        "value": ratio,
        "unit": "x",
    }
    if case.at_most is not None:
        measure |= {"target": f"<= {case.at_most:g} x", "met": ratio <= case.at_most}
    return [*measures, measure]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer calls")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measures there")
    options = parser.parse_args()
    count = 300 if options.quick else 3_000
    cases = [*signing_cases(), *price_cases(), *dispatch_cases()]
    measures = [
        measure for case in cases for measure in run_case(case, count // 50 if "build" in case.metric else count)
    ]
    if options.json:
        options.json.write_text(json.dumps(measures))
    for measure in measures:
        verdict = {True: "met", False: "missed"}.get(bool(measure["met"]), "") if "met" in measure else ""
        line = f"{measure['metric']:22} {measure['subject']:18} {measure['value']:8.3f} {measure['unit']:3}"
        print(f"{line} {measure.get('target', '')} {verdict}".rstrip())


if __name__ == "__main__":
    main()

"""`mainspring services`: the health of a running program."""

from dataclasses import asdict

from mainspring.cli._errors import ExitCode
from mainspring.cli._output import write_json, write_rows
from mainspring.runtime import read_health

_COLUMNS = ("service", "state", "ready", "healthy", "restarts", "error")


async def show_services(socket: str, *, as_json: bool) -> ExitCode:
    """Ask the program at `socket` and write its answer."""
    report = await read_health(socket)
    if as_json:
        write_json(asdict(report))
    else:
        rows = [
            {
                "service": one.name,
                "state": one.state,
                "ready": "yes" if one.ready else "no",
                "healthy": "yes" if one.healthy else "no",
                "restarts": one.restart_count,
                "error": one.error,
            }
            for one in report.services
        ]
        write_rows(rows, columns=_COLUMNS, as_json=False, empty="the program has no services")
    return ExitCode.DONE if report.ready and report.healthy else ExitCode.FAILED

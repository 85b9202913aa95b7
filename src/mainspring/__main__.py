"""`python -m mainspring` and the command `mainspring`."""

import sys


def main() -> None:
    """Run the command line; says what to install when its extra is missing."""
    from mainspring.errors import MissingExtraError

    try:
        from mainspring.cli import run_command_line
    except ModuleNotFoundError as error:
        missing = MissingExtraError(feature="the command line", module=error.name or "typer", extra="cli")
        sys.stderr.write(f"{missing}\nhint: {missing.hint}\n")
        sys.exit(2)
    except KeyboardInterrupt:  # loading takes long enough to be interrupted
        sys.exit(130)
    sys.exit(run_command_line())


if __name__ == "__main__":
    main()

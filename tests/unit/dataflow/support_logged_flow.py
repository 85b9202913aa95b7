"""A program whose stages are forked, since it has no thread beside; it prints what they log."""

import logging
import sys

from tests.unit.dataflow.support_flows import count_to_100, report

from mainspring.dataflow import Dataflow, Runner
from mainspring.dataflow._launch import choose_start_method


def main() -> None:
    """Run the flow."""
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stdout)
    logging.info("%s", choose_start_method())
    Dataflow("f", [Runner(count_to_100), Runner(report)]).start()


if __name__ == "__main__":
    main()

"""Kill -9 a program that stores answers: each file is whole, and what was acknowledged is there."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from mainspring.base import current_random, use_random
from mainspring.storage._fetch_file import read_answer, scan

PROGRAM = """
import sys
from collections.abc import Callable
from pathlib import Path
from mainspring.storage._fetch_file import Answer, write_answer
folder = Path(sys.argv[1])
for number in range(100_000):
    body = bytes([number % 251]) * (number * 7919 % 300_000)
    write_answer(folder / f"{number % 5}.fetched", Answer(str(number), float(number), len(body)), body)
    print(number, flush=True)
"""


def test_no_answer_is_half_written(tmp_path: Path, mainspring_count: Callable[[int, int], int]) -> None:
    with use_random(3):
        moments = [current_random().randint(1, 120) for _ in range(mainspring_count(5, 100))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for moment in moments:
        command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
            assert child.stdout is not None
            said = [child.stdout.readline() for _ in range(moment)]
            os.kill(child.pid, signal.SIGKILL)
            said += child.stdout.readlines()
        last = max(int(line) for line in said if line.endswith("\n"))
        for name, _ in scan(tmp_path):
            found = read_answer(tmp_path / name)
            assert found is not None
            number = int(found[0].url)
            assert found[1] == bytes([number % 251]) * (number * 7919 % 300_000)
            assert number > last - 5

"""How the garbage collector is set while a program runs, where the program wants that.

The collector searches objects that may hold one another in circles whenever 700 more of them were made than freed, and
now and then all there are. A service that has thousands of handlers on their way makes more than that in each turn of
its loop, none of it in circles, and pays for the search.
"""

import gc
import threading
from typing import ClassVar, Final

from mainspring.errors import InvalidArgumentError

_changing: Final = threading.Lock()


class Collector:
    """What one program asks of the collector, which belongs to the process: of several, the last one's wish counts.

    Args:
        threshold: objects made and not freed before it searches the new ones; 0 leaves it alone.

    Raises:
        InvalidArgumentError: a threshold below 0.
    """

    _relaxed: ClassVar[list["Collector"]] = []  # those of the programs that run, the newest last
    _before: ClassVar[tuple[int, int, int]] = gc.get_threshold()

    def __init__(self, threshold: int) -> None:
        if threshold < 0:
            expected = "a number of objects, or 0 to leave the collector alone"
            raise InvalidArgumentError(argument="gc_threshold", value=threshold, expected=expected)
        self._threshold = threshold

    def relax(self) -> None:
        """Leave out what lives now, after one last search of it, and search less often."""
        if not self._threshold:
            return
        with _changing:
            if not self._relaxed:
                Collector._before = gc.get_threshold()
            self._relaxed.append(self)
            gc.collect()
            gc.freeze()
            gc.set_threshold(self._threshold, *self._before[1:])

    def restore(self) -> None:
        """Undo it; with the last program that wanted something else, the collector is as it was before the first."""
        with _changing:
            if self not in self._relaxed:
                return
            self._relaxed.remove(self)
            if self._relaxed:
                gc.set_threshold(self._relaxed[-1]._threshold, *self._before[1:])
            else:
                gc.unfreeze()
                gc.set_threshold(*self._before)

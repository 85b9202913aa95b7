"""How much work the loops of this process wait for that threads and child processes do."""


class OutsideWork:
    """Counts calls that were given to a thread or a child and whose answer has not reached the loop.

    Who gives work away adds to `count` on the loop, and subtracts when the answer arrives on the loop; one
    addition for a whole batch is right too. A virtual clock does not jump while the count is above what it
    was when the clock was made. Touched on loops only, so plain arithmetic is exact.
    """

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


outside_work = OutsideWork()

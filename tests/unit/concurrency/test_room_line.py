"""Room goes to whoever waits longest, and nobody wakes in vain."""

import asyncio

from mainspring.concurrency._room_line import RoomLine


class Hall:
    """A hall with some places, and the order in which people came in."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.order: list[int] = []
        self.line = RoomLine(lambda called: called < self.places)

    async def enter(self, number: int) -> None:
        if not self.line.is_free:
            await self.line.wait()
        self.places -= 1
        self.order.append(number)

    def leave(self, count: int = 1) -> None:
        self.places += count
        self.line.move()


async def _turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_who_came_first_enters_first_and_no_more_than_there_are_places() -> None:
    hall = Hall(2)
    people = [asyncio.create_task(hall.enter(number)) for number in range(6)]
    await _turn()
    assert [0, 1] == hall.order
    hall.leave(3)
    assert not hall.line.is_free, "those who were called have the places already"
    await _turn()
    assert ([0, 1, 2, 3, 4], 0) == (hall.order, hall.places)
    hall.leave()
    await asyncio.wait(people)
    assert [0, 1, 2, 3, 4, 5] == hall.order


async def test_a_newcomer_does_not_overtake_those_who_wait() -> None:
    hall = Hall(0)
    waiting = asyncio.create_task(hall.enter(1))
    await _turn()
    hall.places = 1
    assert not hall.line.is_free
    newcomer = asyncio.create_task(hall.enter(2))
    await _turn()
    assert [1] == hall.order
    hall.leave()
    await asyncio.wait([waiting, newcomer])
    assert [1, 2] == hall.order


async def test_who_is_cancelled_leaves_the_place_to_the_next() -> None:
    hall = Hall(0)
    people = [asyncio.create_task(hall.enter(number)) for number in range(3)]
    await _turn()
    people[1].cancel()  # while it waits
    hall.leave()
    people[0].cancel()  # when it was called already
    await _turn()
    assert ([2], 0) == (hall.order, hall.places)
    assert [True, True, False] == [person.cancelled() for person in people]

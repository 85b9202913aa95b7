"""Functions for worker processes; in a module of their own, since not every rival knows those of `__main__`."""


def double(number: int) -> int:
    return number * 2


def echo(data: bytes) -> bytes:
    return data

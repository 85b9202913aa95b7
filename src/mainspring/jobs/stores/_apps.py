"""Whose a store is: that of the app which opened it first, known by its label."""

from dataclasses import dataclass

from mainspring.errors import StoreTakenError


@dataclass(frozen=True, slots=True)
class AppName:
    """How an app is called, and how it `was` called before."""

    label: str
    was: tuple[str, ...] = ()

    def check(self, owner: str | None, *, store: str) -> None:
        """Refuse a store that belongs to another app.

        Args:
            owner: the label of the app that it belongs to; None for a store that belongs to none.

        Raises:
            StoreTakenError: that is neither this app nor what it was.
        """
        if owner is not None and owner != self.label and owner not in self.was:
            raise StoreTakenError(store=store, owner=owner, app=self.label)

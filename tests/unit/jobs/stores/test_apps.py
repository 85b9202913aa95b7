import pickle

import pytest

from mainspring.errors import StorageError, StoreTakenError
from mainspring.jobs.stores import AppName


def test_an_app_may_have_what_is_its_own_or_nobodys() -> None:
    app = AppName("flights", was=("trains",))
    for owner in (None, "flights", "trains"):
        app.check(owner, store="jobs.db")


def test_the_refusal_names_the_ways_out() -> None:
    with pytest.raises(StorageError) as refused:
        AppName("sales").check("flights", store="jobs.db")
    error = pickle.loads(pickle.dumps(refused.value))
    assert isinstance(error, StoreTakenError)
    assert ("jobs.db", "flights", "sales") == (error.store, error.owner, error.app)
    assert "the job store jobs.db belongs to the app 'flights', and 'sales' is another one" == str(error)
    assert error.hint is not None
    for way in ('store="sqlite:///sales.db"', "the same label", "JobApp('sales', was=('flights',))"):
        assert way in error.hint

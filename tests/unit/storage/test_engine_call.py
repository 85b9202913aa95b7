"""What requests of ClickHouse's HTTP interface ask for."""

import pytest

from mainspring.storage._engine_call import read_call


@pytest.mark.parametrize("head", [b"SELECT 1 FORMAT Native", b"SELECT 1\n FORMAT Native;\n", b"select 1 format Native"])
def test_the_format_at_the_end_is_taken_off(head: bytes) -> None:
    call = read_call({}, head)
    assert ("select 1", "Native", True, True) == (call.sql.lower(), call.form, call.explicit, call.streams)


def test_without_a_format_the_default_one_counts_and_nothing_is_streamed() -> None:
    assert "TabSeparated" == read_call({}, b"SHOW TABLES").form
    call = read_call({"default_format": "CSV", "query": "SELECT 1"}, b"")
    assert ("CSV", False, False) == (call.form, call.explicit, call.streams)


@pytest.mark.parametrize("sql", ["SHOW TABLES FORMAT Native", "DESCRIBE t FORMAT Native", "SELECT 1 FORMAT Arrow"])
def test_only_selects_in_formats_without_foot_are_streamed(sql: str) -> None:
    assert not read_call({"query": sql}, b"").streams


def test_statement_by_address_goes_before_the_body() -> None:
    assert "SELECT 1,\n2" == read_call({"query": "SELECT 1,"}, b"2").sql


def test_insert_in_the_body_is_parted_from_its_data() -> None:
    call = read_call({}, b"INSERT INTO `t` (`a`, `b`) FORMAT Native\n\x02\x01 FORMAT CSV\n")
    assert call.takes_data
    assert ("INSERT INTO `t` (`a`, `b`)", "Native", b"\x02\x01 FORMAT CSV\n") == (call.sql, call.form, call.data)


def test_insert_by_address_has_the_whole_body_for_data() -> None:
    call = read_call({"query": "insert into t format CSV"}, b"1,2\n")
    assert ("insert into t", "CSV", b"1,2\n") == (call.sql, call.form, call.data)


def test_insert_of_values_is_a_statement_like_any_other() -> None:
    call = read_call({}, b"INSERT INTO t VALUES (1, 'x FORMAT y')")
    assert not call.takes_data
    assert "INSERT INTO t VALUES (1, 'x FORMAT y')" == call.sql


def test_arguments_are_parameters_settings_or_of_no_concern() -> None:
    arguments = {"param_x": "7", "max_threads": "3", "database": "d", "session_id": "s", "wait_end_of_query": "1"}
    call = read_call(arguments, b"SELECT {x:Int64}")
    assert ({"x": "7"}, {"max_threads": "3"}, "d") == (call.parameters, call.settings, call.database)
    assert read_call({}, b"SELECT 1").database is None


def test_a_setting_with_a_strange_name_is_refused() -> None:
    with pytest.raises(ValueError, match="no setting"):
        read_call({"a = 1, b": "1"}, b"SELECT 1")

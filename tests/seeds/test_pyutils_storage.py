"""The chapter BaseStorage, Querier of the pyutils seed."""

from collections.abc import AsyncGenerator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from mainspring.testing import ClickHouseServer

pytestmark = pytest.mark.extras


@pytest.fixture
async def settings(
    clickhouse_server: ClickHouseServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[dict[str, Any]]:
    """A configuration file of the seed's form, and both databases that the seed names."""
    from mainspring.storage import Querier

    options = clickhouse_server.options
    (tmp_path / ".myproject").mkdir()
    lines = ["[clickhouse]", 'host = "127.0.0.1"', f"port = {options['port']}", 'username = "default"']
    lines += [f'password = "{options["password"]}"', 'database = "user_data"']
    (tmp_path / ".myproject" / "config.toml").write_text("\n".join(lines))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    async with Querier(**options) as admin:
        for database in ("analytics", "user_data"):
            await admin.query(f"CREATE DATABASE {database}")
        yield options
        for database in ("analytics", "user_data"):
            await admin.query(f"DROP DATABASE {database}")


def make_storage() -> tuple[type[Any], dict[str, Any]]:
    """The class and the settings of the example."""
    from clickhouse_connect.driver.summary import QuerySummary

    from mainspring.compat.pyutils import BaseStorage, ConfigLoader

    cl = ConfigLoader(config_dir=".myproject", config_name="config.toml")
    CH_INFO = cl.load_config()["clickhouse"]

    class UserStorage(BaseStorage):
        @property
        def db(self) -> str:
            return "user_data"

        @property
        def table(self) -> str:
            return "users"

        async def create_table(self) -> QuerySummary:
            """Make the table of users."""
            sql = f"""
            CREATE TABLE IF NOT EXISTS {self.full_table_name} (
                id UInt64,
                name String,
                email String,
                created_at DateTime
            ) ENGINE = MergeTree()
            ORDER BY id
            """
            return await self.query(sql)  # type: ignore[no-any-return]  # what it returns depends on the statement

    return UserStorage, CH_INFO


async def test_querier(settings: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    UserStorage, CH_INFO = make_storage()
    await UserStorage(**CH_INFO).create_table()
    await UserStorage(**CH_INFO).insert([(1, "Alice", "alice@example.com", "2024-01-01 10:00:00")])
    from mainspring.compat.pyutils import Querier

    querier = Querier(**CH_INFO)

    result = await querier.query("SELECT * FROM users LIMIT 10")
    print(result.result_rows)
    assert "alice@example.com" in capsys.readouterr().out

    df = await querier.query_df("SELECT * FROM users LIMIT 10")
    print(df.head())
    assert "alice@example.com" in capsys.readouterr().out


async def test_base_storage(settings: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    UserStorage, CH_INFO = make_storage()
    user_storage = UserStorage(**CH_INFO)

    summary = await user_storage.create_table()
    assert "QuerySummary" == type(summary).__name__

    data = [
        (1, "Alice", "alice@example.com", "2024-01-01 10:00:00"),
        (2, "Bob", "bob@example.com", "2024-01-02 11:00:00"),
    ]
    await user_storage.insert(data=data, column_names=["id", "name", "email", "created_at"])

    pd: Any = import_module("pandas")
    df = pd.DataFrame(
        {
            "id": [3, 4],
            "name": ["Charlie", "David"],
            "email": ["charlie@example.com", "david@example.com"],
            "created_at": ["2024-01-03 12:00:00", "2024-01-04 13:00:00"],
        }
    )
    await user_storage.insert_df(df)

    users_df = await user_storage.query_df("SELECT * FROM users ORDER BY id")
    print(users_df)
    assert ["Alice", "Bob", "Charlie", "David"] == list(users_df["name"])
    assert "2024-01-04 13:00:00" == str(users_df["created_at"][3])

    ddl = await user_storage.get_ddl_sql()
    print(ddl)
    assert ddl.startswith("CREATE TABLE user_data.users")

    table_info = await user_storage.get_table_info()
    print(table_info)
    assert 4 == table_info["total_rows"][0]

    part_info = await user_storage.get_part_info()
    print(part_info)
    assert 2 == len(part_info)

    column_info = await user_storage.get_column_info()
    print(column_info)
    assert ["id", "name", "email", "created_at"] == list(column_info["column"])
    assert "charlie@example.com" in capsys.readouterr().out


async def test_connection_pool(settings: dict[str, Any]) -> None:
    UserStorage, _ = make_storage()

    storage1 = UserStorage(**settings)
    storage2 = UserStorage(**settings)

    await storage1.query("SELECT 1")
    await storage2.query("SELECT 1")
    assert storage1._shared() is storage2._shared()


async def test_more_usage(settings: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    UserStorage, CH_INFO = make_storage()

    async def batch_insert_users(storage, users_data):
        batch_size = 1000
        for i in range(0, len(users_data), batch_size):
            batch = users_data[i : i + batch_size]
            await storage.insert(batch, column_names=["id", "name", "email", "created_at"])
            print(f"inserted {min(i + batch_size, len(users_data))} rows")

    async def get_user_stats(storage):
        sql = """
        SELECT
            toDate(created_at) as date,
            count() as user_count
        FROM users
        WHERE created_at >= today() - 30
        GROUP BY date
        ORDER BY date
        """
        return await storage.query_df(sql)

    user_storage = UserStorage(**CH_INFO)
    await user_storage.create_table()
    today = (await user_storage.query("SELECT toString(today())")).result_rows[0][0]
    users = [(number, f"user {number}", f"{number}@example.com", f"{today} 00:00:00") for number in range(2500)]
    await batch_insert_users(user_storage, users)
    assert "inserted 2500 rows" in capsys.readouterr().out
    stats = await get_user_stats(user_storage)
    assert [2500] == list(stats["user_count"])

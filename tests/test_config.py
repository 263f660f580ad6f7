"""Settings are read from what is handed in, checked whole, and never show a secret."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from pausable.config import Settings, load_settings, masked, read_settings
from pausable.db.database import Database
from pausable.errors import SettingsInvalid

NO_FILE = Path("/dev/null")
TABLE = Path(__file__).parents[1] / "docs" / "operating.md"

WRONG = {
    "PORT": ["eighty", "0", "65536", "80.5"],
    "WORKERS": ["0", "-1", "two"],
    "WORKFLOWS": ["my workflows", "a..b", "reports/monthly", "1st"],
    "SLICE_SECONDS": ["0", "-1", "nan", "inf", "soon"],
    "SLICE_STEPS": ["0", "1.5", "all"],
    "DATABASE_URL": ["mysql://host/db", "operations.db", "sqlite://", "sqlite:///:memory:"],
    "BROKER_URL": ["localhost:6379", "redis://with a space"],
    "OPERATIONS_TOKEN": ["with a space in it all", "too-short", "späte-operationen-hier"],
    "FAILED_TOKENS_PER_MINUTE": ["0", "none"],
    "TRUSTED_PROXIES": ["-1", "11", "all"],
    "SESSION_KEY": ["too-short-to-be-a-key", "with a space in it, and yet long enough to be one"],
    "SYNCHRONOUS": ["OFF"],
    "WEBHOOK_HOSTS": ["https://example.com", "example.com/path", "me@example.com", "a host", "host:port"],
    "EDITS": ["everybody"],
    "LOG_LEVEL": ["LOUD"],
    "LOG_FORMAT": ["xml"],
}


def test_nothing_given_means_the_defaults() -> None:
    settings = load_settings({}, NO_FILE)

    assert settings == Settings()
    assert settings.database_url == f"sqlite:///{Path.cwd()}/var/operations.db"
    assert settings.workflow_store == Path.cwd() / "var/operations"


def test_what_is_given_is_taken_and_the_rest_follows_from_it() -> None:
    settings = load_settings(
        {"DATA_DIR": "/data", "PORT": "9000", "SLICE_SECONDS": "0.25", "LOG_LEVEL": "debug"}, NO_FILE
    )

    assert (settings.port, settings.slice_seconds, settings.log_level) == (9000, 0.25, "DEBUG")
    assert settings.database_url == "sqlite:////data/operations.db"
    assert settings.workflow_store == Path("/data/operations")


def test_workflows_are_parted_by_commas() -> None:
    assert load_settings({"WORKFLOWS": "reports.monthly, imports,"}, NO_FILE).workflows == (
        "reports.monthly",
        "imports",
    )


def test_the_environment_of_this_process_is_what_counts_unless_another_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PORT", "9001")

    assert load_settings(env_file=NO_FILE).port == 9001
    assert load_settings({}, NO_FILE).port == 8000
    assert Settings().port == 8000


def test_the_environment_wins_over_the_file_even_where_it_is_empty(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("PORT=9000\nWORKERS=7\nBROKER_URL=redis://elsewhere/0\nPOSTGRES_PASSWORD=of-somebody-else\n")

    settings = load_settings({"PORT": "9001", "BROKER_URL": ""}, file)

    assert (settings.port, settings.workers, settings.broker_url) == (9001, 7, None)


@pytest.mark.parametrize(("variable", "value"), [(name, value) for name in WRONG for value in WRONG[name]])
def test_a_wrong_value_is_named_in_one_sentence_with_its_remedy(variable: str, value: str) -> None:
    with pytest.raises(SettingsInvalid) as refusal:
        load_settings({variable: value}, NO_FILE)

    sentence = str(refusal.value)
    assert re.fullmatch(rf"{variable} is .+: set it to .+, or leave it out\.", sentence)


def test_all_faults_are_named_at_once_and_what_is_right_is_kept() -> None:
    given = {name: values[0] for name, values in WRONG.items()} | {"HOST": "0.0.0.0"}  # noqa: S104

    settings, faults = read_settings(given, NO_FILE)

    assert list(faults) == [name.upper() for name in Settings.model_fields if name.upper() in WRONG]
    assert settings == Settings(host="0.0.0.0")  # noqa: S104


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OPERATIONS_TOKEN", "hunter2 hunter2 hunter2"),
        ("DATABASE_URL", "mysql://me:hunter2@host/db"),
        ("DATABASE_URL", "me:hunter2@host/db"),
        ("BROKER_URL", "redis//:hunter2@host"),
    ],
)
def test_no_fault_shows_a_secret(variable: str, value: str) -> None:
    with pytest.raises(SettingsInvalid) as refusal:
        load_settings({variable: value}, NO_FILE)

    told: Any = refusal.value
    assert "hunter2" not in f"{told!r} {told} {told.__cause__!r} {told.__context__!r}"


def test_settings_show_no_secret() -> None:
    settings = Settings(
        operations_token=SecretStr("hunter2-hunter2-hunter2"),
        broker_url="redis://:hunter2@host/0",
        database_url="postgresql://me:hunter2@host/db",
    )

    assert "hunter2" not in f"{settings!r} {settings}"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:pass@host:1/0", "redis://:***@host:1/0"),
        ("amqp://me:p@ss/word@host//", "amqp://me:***@host//"),
        ("postgresql://me@host/db?password=pass&x=1", "postgresql://me@host/db?password=***&x=1"),
        ("connected to redis://me:pass@host.", "connected to redis://me:***@host."),
        ("redis://host:6379/0", "redis://host:6379/0"),
    ],
)
def test_masking_hides_passwords_and_nothing_else(url: str, shown: str) -> None:
    assert masked(url) == shown


def test_the_table_in_the_docs_names_each_setting_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (.+?) \|", TABLE.read_text(), re.MULTILINE))

    assert list(rows) == [name.upper() for name in Settings.model_fields]
    for name, field in Settings.model_fields.items():
        if field.default_factory is None and field.default:
            shown = str(field.default).lower() if field.default is True else field.default
            assert rows[name.upper()] == f"`{shown}`"


@pytest.mark.parametrize("name", ["what?", "%41", "a #1", "it's", 'a "quoted" one', "back\\slash", "späte"])
def test_a_folder_of_any_name_is_the_one_that_the_database_lies_in(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    settings = load_settings({"DATA_DIR": str(folder)}, NO_FILE)
    folder.mkdir()

    database = Database(settings.database_url)
    with database.write() as tx:
        tx.exec_driver_sql("CREATE TABLE it (is_here INTEGER)")
    database.close()

    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (folder / "operations.db").is_file()


def test_places_stay_where_they_are_when_a_step_changes_the_folder_of_its_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    given = {"DATABASE_URL": "sqlite:///x/y.db?timeout=3", "RESULTS": "kept", "INPUT_DIR": "in"}
    settings = load_settings({"DATA_DIR": "data", **given}, NO_FILE)

    assert settings.data_dir == tmp_path / "data"
    assert settings.workflow_store == tmp_path / "data" / "operations"
    assert settings.database_url == f"sqlite:///{tmp_path}/x/y.db?timeout=3"
    assert (settings.results, settings.input_dir) == (str(tmp_path / "kept"), tmp_path / "in")

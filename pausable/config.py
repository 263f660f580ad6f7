"""The settings of the service: read from the environment and `.env`, validated as a whole at startup."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote, unquote

from dotenv import dotenv_values
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from pausable.errors import SettingsInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

#: File below `DATA_DIR` in which the embedded broker stores its URL for other programs.
EMBEDDED_BROKER_URL = Path("broker", "url")

_SQLITE = "sqlite:///"
_WORD = re.compile(r"\S+")
_USER = re.compile(r"://[^:@/\s]*:")
_PASSWORD = re.compile(r"(password=)[^&\s]+")


def masked(text: str) -> str:
    """Return the text with the password of every URL in it replaced by `***`, the only form in which one is printed.

    A password may contain anything but whitespace and ends at the last `@` of its word. The expressions do not
    backtrack, because the text may come from anybody.
    """
    if "://" in text:
        text = _WORD.sub(_without_password, text)
    return _PASSWORD.sub(r"\1***", text)


def _without_password(word: re.Match[str]) -> str:
    end = word[0].rfind("@")
    user = _USER.search(word[0], 0, end) if end > 0 else None
    return f"{word[0][: user.end()]}***{word[0][end:]}" if user else word[0]


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _upper(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _token(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]{16,}", value.get_secret_value()):
        raise ValueError
    return value


def _keys(value: SecretStr) -> SecretStr:
    if not all(re.fullmatch(r"[!-+\--~]{32,}", key) for key in value.get_secret_value().split(",")):
        raise ValueError
    return value


def _key(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]{32,}", value.get_secret_value()):
        raise ValueError
    return value


def sqlite_url(file: Path) -> str:
    """Return the URL of an SQLite file, with special characters escaped."""
    return f"{_SQLITE}{quote(str(file))}"


def _absolute_url(url: str) -> str:
    """Return the URL with an absolute path for an SQLite file: the program may change its working directory."""
    if not url.startswith(_SQLITE) or url.startswith(f"{_SQLITE}file:"):
        return url
    file, mark, query = url.removeprefix(_SQLITE).partition("?")
    return f"{sqlite_url(Path(unquote(file)).absolute())}{mark}{query}"


def _absolute_folder(place: str) -> str:
    return place if "://" in place else str(Path(place).absolute())


_DottedName = Annotated[str, Field(pattern=r"^[^\W\d]\w*(\.[^\W\d]\w*)*$")]
_Host = Annotated[str, Field(pattern=r"^([^\s/@:\[\]]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$")]
_DatabaseUrl = Annotated[
    str, Field(pattern=r"^(sqlite:///[^:\s].*|postgresql(\+psycopg)?://\S+)$"), AfterValidator(_absolute_url)
]
#: Absolute once the settings are read, since a step may change the working directory of its process.
_Folder = Annotated[Path, AfterValidator(Path.absolute)]
_BrokerUrl = Annotated[str, Field(pattern=r"^[a-zA-Z][a-zA-Z0-9+.-]*://\S+$")]
_Token = Annotated[SecretStr, AfterValidator(_token)]


class Settings(BaseModel):
    """All settings, named like their variables in lower case; a field's description says which values are valid.

    Created directly, it uses defaults for what is not given; only `load_settings` reads the environment.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    host: str = Field("127.0.0.1", min_length=1, description="an address of this machine, such as 127.0.0.1 or 0.0.0.0")
    port: int = Field(8000, ge=1, le=65535, description="a whole number from 1 to 65535")
    data_dir: _Folder = Field(Path("var"), validate_default=True, description="a folder")
    input_dir: _Folder = Field(Path("input"), validate_default=True, description="a folder")
    workers: int = Field(2, ge=1, description="a whole number, at least 1")
    workflows: Annotated[tuple[_DottedName, ...], BeforeValidator(_split)] = Field(
        (), description="names of Python modules parted by commas, such as reports.monthly,imports"
    )
    slice_seconds: float = Field(
        1.0, gt=0, allow_inf_nan=False, description="a number of seconds greater than 0, such as 1 or 0.25"
    )
    slice_steps: int = Field(1000, ge=1, description="a whole number, at least 1")
    lease: float = Field(
        15.0,
        ge=1,
        allow_inf_nan=False,
        description="a number of seconds, at least 1, after which a silent worker is lost",
    )
    max_losses: int = Field(3, ge=1, description="a whole number, at least 1")
    republish_after: float = Field(
        60.0, ge=1, allow_inf_nan=False, description="a number of seconds, at least 1, such as 60"
    )
    grace: float = Field(5.0, ge=0, allow_inf_nan=False, description="a number of seconds, 0 or more, such as 5")
    database_url: _DatabaseUrl = Field(
        default_factory=lambda known: sqlite_url(known["data_dir"] / "operations.db"),
        description="sqlite:///path/to/file or postgresql://user:password@host/database",
        repr=False,
    )
    broker_url: _BrokerUrl | None = Field(
        None, description="a URL such as redis://host:6379/0 or amqp://user:password@host//", repr=False
    )
    broker_master_name: str | None = Field(
        None, pattern=r"^\S+$", description="the name by which the Sentinels of BROKER_URL know the Redis master"
    )
    operations_token: _Token | None = Field(None, description="at least 16 letters, digits or signs, without a space")
    failed_tokens_per_minute: int = Field(20, ge=1, description="a whole number, at least 1")
    trusted_proxies: int = Field(0, ge=0, le=10, description="a whole number from 0 to 10")
    synchronous: Annotated[Literal["FULL", "NORMAL"], BeforeValidator(_upper)] = Field(
        "FULL", description="FULL or NORMAL"
    )
    secrets_dir: _Folder = Field(Path("/run/secrets"), description="a folder")
    webhook_hosts: Annotated[tuple[_Host, ...], BeforeValidator(_split)] = Field(
        (), description="hosts parted by commas, each as it stands in the URL, such as example.com,10.0.0.7:8443"
    )
    workflow_store: _Folder = Field(
        default_factory=lambda known: known["data_dir"] / "operations", description="a folder"
    )
    results: Annotated[str, AfterValidator(_absolute_folder)] = Field(
        default_factory=lambda known: str(known["data_dir"] / "results"),
        pattern=r"^([a-zA-Z][a-zA-Z0-9+.-]*://[^\s@]+|[^\s@:][^@:]*)$",
        description="a folder, or a URL such as s3://bucket/prefix or gs://bucket/prefix",
    )
    document_key: Annotated[SecretStr, AfterValidator(_keys)] | None = Field(
        None, description="32 characters or more without a space; several parted by commas, of which the first signs"
    )
    session_key: Annotated[SecretStr, AfterValidator(_key)] | None = Field(
        None, description="32 letters, digits or signs, or more, without a space"
    )
    publish_to: str | None = Field(
        None,
        pattern=r"^\S+$",
        description="a topic, such as projects/P/topics/T, or the URL of an SQS queue",
    )
    function_seconds: float = Field(
        510.0, gt=0, allow_inf_nan=False, description="a number of seconds greater than 0, such as 510"
    )
    function_steps: int | None = Field(None, ge=1, description="a whole number, at least 1")
    edits: Annotated[Literal["owner", "admin"], BeforeValidator(_lower)] = Field("admin", description="owner or admin")
    checkpointing: bool = Field(True, description="true or false")
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)] = Field(
        "INFO", description="DEBUG, INFO, WARNING or ERROR"
    )
    log_format: Annotated[Literal["plain", "json"], BeforeValidator(_lower)] = Field(
        "plain", description="plain or json"
    )

    def document_keys(self) -> list[str]:
        """Return the keys for documents; the first one signs."""
        return self.document_key.get_secret_value().split(",") if self.document_key else []


def load_settings(environ: Mapping[str, str] | None = None, env_file: Path = Path(".env")) -> Settings:
    """Return the settings from `environ` (by default this process's environment), falling back to `env_file`.

    An empty variable counts as absent and hides the file's value.

    Raises:
        SettingsInvalid: One or more are invalid; it names them all.
    """
    settings, faults = read_settings(environ, env_file)
    if faults:
        raise SettingsInvalid(faults)
    return settings


def read_settings(
    environ: Mapping[str, str] | None = None, env_file: Path = Path(".env")
) -> tuple[Settings, dict[str, str]]:
    """Return the valid settings with defaults for the others, and a sentence for each invalid one.

    The sentences are keyed by the variable's name and contain no secret.
    """
    asked = dotenv_values(env_file) | dict(os.environ if environ is None else environ)
    given: dict[str, Any] = {name: asked[name.upper()] for name in Settings.model_fields if asked.get(name.upper())}
    faults = _faults(given)
    return Settings(**{name: value for name, value in given.items() if name.upper() not in faults}), faults


def _faults(given: dict[str, Any]) -> dict[str, str]:
    try:
        Settings(**given)
    except ValidationError as invalid:
        found = {str(fault["loc"][0]): str(fault["input"]) for fault in invalid.errors() if fault["loc"][0] in given}
        return {name.upper(): _sentence(name, value) for name, value in found.items()}
    return {}


def _sentence(name: str, value: str) -> str:
    broken_url = "@" in value and "://" not in value
    shown = (
        "not usable"
        if name in ("operations_token", "document_key", "session_key") or broken_url
        else repr(masked(value))
    )
    return f"{name.upper()} is {shown}: set it to {Settings.model_fields[name].description}, or leave it out."


def broker_address(settings: Settings) -> str | None:
    """Return the URL of the broker: `BROKER_URL`, else that of the embedded broker of this `DATA_DIR`, if any.

    Certificates of `rediss://` are verified unless the URL says otherwise; kombu by default accepts any.
    """
    kept, url = settings.data_dir / EMBEDDED_BROKER_URL, settings.broker_url
    if url and url.startswith("rediss://") and "ssl_cert_reqs=" not in url:
        return f"{url}{'&' if '?' in url else '?'}ssl_cert_reqs=required"
    return url or (kept.read_text().strip() if kept.exists() else None)


def broker_options(settings: Settings) -> dict[str, str]:
    """Return the transport options for kombu that are not part of the URL."""
    return {"master_name": settings.broker_master_name} if settings.broker_master_name else {}

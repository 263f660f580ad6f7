"""Secrets by name: where they are looked up, and how their values are kept out of what is written.

Each process remembers the values that it has looked up; `redacted` replaces them by their names.
"""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import quote, quote_plus

from dotenv import dotenv_values

from pausable.errors import SecretMissing, SecretNameInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Where container platforms mount secrets as files, unless SECRETS_DIR names another folder.
FOLDER: Final = Path("/run/secrets")
#: Minimum length of a value to be redacted: shorter ones occur in too many other words.
SHORTEST: Final = 4

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")
_ENV_FILE: Final = Path(".env")


class Secret:
    """The name of a secret; its value is looked up on each access and never stored in this object.

    Raise SecretNameInvalid.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise SecretNameInvalid(name)
        self.name: Final = name

    def get(self) -> str:
        """Return the value of the environment variable, else of the file in `SECRETS_DIR`, else of `.env`.

        An empty value counts as absent; a file's last line break is removed. Raise SecretMissing.
        """
        value = _found(self.name)
        _known.remember(self.name, value)
        return value

    def __repr__(self) -> str:
        return f"Secret({self.name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.name == self.name

    def __hash__(self) -> int:
        return hash((Secret, self.name))

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(f"{self!r} cannot be pickled: create it where it is used.")


def redacted(text: str) -> str:
    """Return the text with `<secret NAME>` in place of each secret that this process has looked up, also escaped."""
    pattern = _known.pattern
    return pattern.sub(lambda found: f"<secret {_known.forms[found[0]]}>", text) if pattern else text


def redacted_parts(value: Any) -> Any:
    """Return a JSON value with each string, key and number that contains a secret redacted."""
    if isinstance(value, dict):
        return {redacted(key): redacted_parts(part) for key, part in value.items()}
    if isinstance(value, list):
        return [redacted_parts(part) for part in value]
    if isinstance(value, str):
        return redacted(value)
    shown = redacted(json.dumps(value))
    return value if shown == json.dumps(value) else shown


def found_in(text: str) -> str | None:
    """Return the name of a looked-up secret that occurs in the text, plain or escaped; None if there is none."""
    pattern = _known.pattern
    found = pattern.search(text) if pattern else None
    return _known.forms[found[0]] if found else None


def _found(name: str) -> str:
    if value := os.environ.get(name):
        return value
    kept = dotenv_values(_ENV_FILE)
    folder = Path(os.environ.get("SECRETS_DIR") or kept.get("SECRETS_DIR") or FOLDER)
    value, why = _in_file(folder / name)
    if value := value or kept.get(name) or "":
        return value
    raise SecretMissing(name, folder, why)


def _in_file(path: Path) -> tuple[str, str]:
    """Return the content of the file, and why it is unusable if the file exists."""
    try:
        return path.read_text().removesuffix("\n").removesuffix("\r"), ""
    except (FileNotFoundError, NotADirectoryError):
        return "", ""
    except UnicodeDecodeError:
        return "", "which is not text"
    except OSError as why:
        return "", f"which cannot be read: {why.strerror}"


class _Known:
    """The values looked up in this process, in every form in which they may be written."""

    def __init__(self) -> None:
        self.forms: dict[str, str] = {}
        self.pattern: re.Pattern[str] | None = None
        self._mutex = threading.Lock()

    def remember(self, name: str, value: str) -> None:
        """Remember a value. Readers take no lock: the list is replaced as a whole."""
        if len(value) < SHORTEST or value in self.forms:
            return
        with self._mutex:
            self.forms = {**self.forms, **dict.fromkeys(_forms(value), name)}
            longest_first = sorted(self.forms, key=len, reverse=True)
            self.pattern = re.compile("|".join(map(re.escape, longest_first)))
        if logging.getLogRecordFactory() is not _Record:
            logging.setLogRecordFactory(_Record)

    def forked(self) -> None:
        """Replace the lock in a forked child: another thread may have held it."""
        self._mutex = threading.Lock()


def _forms(value: str) -> Iterator[str]:
    yield value
    for escaped in (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1]):
        yield escaped
        yield json.dumps(escaped)[1:-1]  # escaped twice: JSON, or a traceback's repr, inside JSON
    raw = value.encode(errors="surrogatepass")
    for quoted in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
        yield quoted
        yield re.sub("%..", lambda code: code[0].lower(), quoted)
    yield b64encode(raw).decode()


class _Record(logging.LogRecord):
    """A log record that contains no readable secret, whichever handler and formatter write it."""

    def getMessage(self) -> str:
        """Return the message with its arguments."""
        return redacted(super().getMessage())

    def __setattr__(self, name: str, value: object) -> None:
        # Formatters cache the text of a traceback here, for themselves and for later formatters.
        is_text = name in ("exc_text", "stack_info") and isinstance(value, str)
        super().__setattr__(name, redacted(str(value)) if is_text else value)


_known: Final = _Known()
os.register_at_fork(after_in_child=_known.forked)

"""Secrets by their names: where they are looked for, and how those asked for are kept out of what is written.

Every value that was handed out is remembered by this process alone; `redacted` puts the name in its place.
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

#: Where container platforms mount secrets as files, unless the setting SECRETS_DIR names another folder.
FOLDER: Final = Path("/run/secrets")
#: Characters that a value needs to be known again: a shorter one is part of too many other words.
SHORTEST: Final = 4

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")
_ENV_FILE: Final = Path(".env")


class Secret:
    """The name of a secret; its value is looked up whenever it is asked for, and is never part of this object.

    Raises SecretNameInvalid.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise SecretNameInvalid(name)
        self.name: Final = name

    def get(self) -> str:
        """The value: of the environment variable, else of the file in `SECRETS_DIR`, else of `.env`.

        An empty one counts as absent; a file's last line break is not part of it. Raises SecretMissing.
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
        raise TypeError(f"{self!r} is not to be pickled: name it again where it is used.")


def redacted(text: str) -> str:
    """The text with `<secret NAME>` in the place of each secret that this process has asked for, escaped ones too."""
    pattern = _known.pattern
    return pattern.sub(lambda found: f"<secret {_known.forms[found[0]]}>", text) if pattern else text


def redacted_parts(value: Any) -> Any:
    """A value of JSON with each text in it `redacted`, names of keys too, and with a number that is a secret named."""
    if isinstance(value, dict):
        return {redacted(key): redacted_parts(part) for key, part in value.items()}
    if isinstance(value, list):
        return [redacted_parts(part) for part in value]
    if isinstance(value, str):
        return redacted(value)
    shown = redacted(json.dumps(value))
    return value if shown == json.dumps(value) else shown


def found_in(text: str) -> str | None:
    """The name of a secret that this process has asked for and that occurs in the text, plain or escaped."""
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
    """What the file holds, and why that is nothing where a file is there."""
    try:
        return path.read_text().removesuffix("\n").removesuffix("\r"), ""
    except (FileNotFoundError, NotADirectoryError):
        return "", ""
    except UnicodeDecodeError:
        return "", "which is no text"
    except OSError as why:
        return "", f"which cannot be read: {why.strerror}"


class _Known:
    """The values handed out in this process, in every form in which they might be written."""

    def __init__(self) -> None:
        self.forms: dict[str, str] = {}
        self.pattern: re.Pattern[str] | None = None
        self._mutex = threading.Lock()

    def remember(self, name: str, value: str) -> None:
        """Know this value from now on. Readers take no lock: what they find is always whole."""
        if len(value) < SHORTEST or value in self.forms:
            return
        with self._mutex:
            self.forms = {**self.forms, **dict.fromkeys(_forms(value), name)}
            longest_first = sorted(self.forms, key=len, reverse=True)
            self.pattern = re.compile("|".join(map(re.escape, longest_first)))
        if logging.getLogRecordFactory() is not _Record:
            logging.setLogRecordFactory(_Record)

    def forked(self) -> None:
        """Another thread may have held the lock when this process was forked."""
        self._mutex = threading.Lock()


def _forms(value: str) -> Iterator[str]:
    yield value
    for escaped in (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1]):
        yield escaped
        yield json.dumps(escaped)[1:-1]  # escaped once more: JSON, or what a traceback shows, inside JSON
    raw = value.encode(errors="surrogatepass")
    for quoted in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
        yield quoted
        yield re.sub("%..", lambda code: code[0].lower(), quoted)
    yield b64encode(raw).decode()


class _Record(logging.LogRecord):
    """A record of the log in which no secret is readable, whichever handler and formatter write it."""

    def getMessage(self) -> str:
        """The message, with its arguments."""
        return redacted(super().getMessage())

    def __setattr__(self, name: str, value: object) -> None:
        # A formatter keeps here what it made of a traceback, for itself and for the formatters after it.
        is_text = name in ("exc_text", "stack_info") and isinstance(value, str)
        super().__setattr__(name, redacted(str(value)) if is_text else value)


_known: Final = _Known()
os.register_at_fork(after_in_child=_known.forked)

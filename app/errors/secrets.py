"""Errors about secrets: none of them holds the secret itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class SecretNameInvalid(ValueError):
    """A secret was asked for under a name that no variable and no file may have."""

    def __init__(self, name: object) -> None:
        self.name = name
        super().__init__(
            f"{name!r} cannot name a secret: it begins with a letter or _, and letters, digits, _, . and - may follow."
        )


class SecretMissing(LookupError):
    """A secret is in none of the three places where secrets are looked for; `why` tells of a file that is no use."""

    def __init__(self, name: str, folder: Path, why: str = "") -> None:
        self.name = name
        self.folder = folder
        told = f" ({why})" if why else ""
        super().__init__(
            f"The secret {name} is missing: set the environment variable {name}, or put it into the file "
            f"{folder / name}{told}, or into .env."
        )


class SecretInResult(Exception):
    """A step returned, or wanted to be retried with, a value that holds a secret; `what` says which of the two."""

    def __init__(self, task: str, what: str, name: str) -> None:
        self.task = task
        self.name = name
        super().__init__(
            f"The {what} of {task} holds the secret {name}: secrets are kept nowhere, so it is not recorded."
        )

"""Errors about users and their tokens."""

from __future__ import annotations


class UserExists(Exception):
    """A user of that `name` is there already."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"There is a user named {name} already.")


class UserNameInvalid(Exception):
    """A user's `name` is not 1 to 64 printable characters without spaces around them."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"{name!r} cannot be a user's name: use 1 to 64 printable characters, no spaces around them.")


class UserUnknown(Exception):
    """There is no user of that `name`."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"There is no user named {name}: `flask users list` shows those there are.")


class AdminMissing(Exception):
    """Somebody is to act in the name of the oldest admin, and there is no admin."""

    def __init__(self) -> None:
        super().__init__(
            "There is no admin to act for: name somebody by --user, or make one with `flask users add NAME --admin`."
        )


class TokenInvalid(Exception):
    """A token that was given is too short, or holds what no HTTP header may carry; it is not repeated here."""

    def __init__(self) -> None:
        super().__init__("A token needs at least 16 letters, digits or signs of ASCII, and no spaces.")


class TokenUnknown(Exception):
    """The user of that `name` has no valid token of the prefix that was given."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"{name} has no valid token of that prefix: a token's prefix is its first characters.")


class TokensChanged(Exception):
    """A user's tokens have changed since they saw them, by another request or by this one sent twice."""

    def __init__(self) -> None:
        super().__init__("Your tokens have changed since that page was shown, so nothing was done: here they are anew.")


class TooManyTokens(Exception):
    """A user who has `most` valid tokens wants another."""

    def __init__(self, most: int) -> None:
        self.most = most
        super().__init__(f"You have {most} valid tokens: revoke one that is not used before you make another.")


class TooManyFailedTokens(Exception):
    """Too many tokens that open nothing came from one address: `retry_after` says for how many seconds it is shut."""

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(f"Too many tokens from your address opened nothing: try again in {retry_after} seconds.")


class TokenRefused(Exception):
    """A request came without a bearer token, or (`is_given`) with one that opens nothing; it is not repeated here."""

    def __init__(self, *, is_given: bool) -> None:
        self.is_given = is_given
        fault = "The token is unknown or was revoked" if is_given else "A token is needed"
        super().__init__(f"{fault}: send the header `Authorization: Bearer TOKEN`.")

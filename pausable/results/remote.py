"""Results in an object store: Amazon S3, Google Cloud Storage, or what fsspec reaches; and which store a URL names."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from pausable.errors import StorePackageMissing, StoreUnknown, TargetOutside
from pausable.results.base import Result, at_any_time, inside
from pausable.results.local import LocalResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: The extra of fsspec that brings what a scheme needs, where it is not called as the scheme is.
_EXTRAS: Final = {"gcs": "gs", "s3a": "s3"}
#: A listing that fsspec remembers would tell of objects that are gone, and not of those that others have put.
_PART: Final = 64 * 1024
_FRESH: Final = {"use_listings_cache": False}


class RemoteResult(Result):
    """Keeps results under a URL. An object store shows an object whole, once all of it has arrived, or not at all."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._scheme = url.partition("://")[0]

    @property
    def location(self) -> str:
        """The URL."""
        return self._url

    def exists(self, path: str) -> bool:
        """Whether an object lies there."""
        with _reaching():
            return bool(self._store().exists(self._object(path)))

    def read(self, path: str) -> bytes:
        """What lies there."""
        with _reaching():
            content: bytes = self._store().cat_file(self._object(path))
        return content

    def parts(self, path: str) -> Iterator[bytes]:
        """Yield what lies there, 64 KiB at a time."""
        with _reaching(), self._store().open(self._object(path), "rb") as file:
            yield from iter(lambda: file.read(_PART), b"")

    def write(self, path: str, content: bytes, *, guard: Callable[[], None] = at_any_time) -> None:
        """Put the object in one request, or in parts that become one object at the end."""
        store, target = self._store(), self._object(path)
        guard()
        with _reaching():
            store.pipe_file(target, content)

    def create(self, path: str, content: bytes) -> bool:
        """Put the object where none is: the store itself refuses the second."""
        store, target = self._store(), self._object(path)
        try:
            with _reaching():
                store.pipe_file(target, content, mode="create")
        except FileExistsError:
            return False
        return True

    def remove_all(self, folder: str) -> bool:
        """Remove all objects whose path begins so."""
        store, target = self._store(), self._object(folder)
        with _reaching():
            found = store.find(target)
            if found:
                store.rm(found)
        return bool(found)

    def _object(self, path: str) -> str:
        return f"{self._url.partition('://')[2]}/{inside(path)}"

    def check(self) -> None:
        """See that there is such a store here; nothing is asked of it. Raises StoreUnknown, StorePackageMissing."""
        import fsspec  # takes a third of a second, and most services keep their results in a folder

        try:
            fsspec.get_filesystem_class(self._scheme)
        except ImportError:
            raise StorePackageMissing(self._scheme, _EXTRAS.get(self._scheme, self._scheme)) from None
        except ValueError:
            raise StoreUnknown(self._url) from None

    def _store(self) -> Any:
        """The file system, one for each process and set of options: fsspec keeps them."""
        import fsspec

        self.check()
        return fsspec.filesystem(self._scheme, **_FRESH)


@contextmanager
def _reaching() -> Iterator[None]:
    """Every file system's client has errors of its own for what is an OSError to those who ask here."""
    try:
        yield
    except (OSError, StoreUnknown, StorePackageMissing, TargetOutside):
        raise
    except Exception as why:
        raise OSError(f"{type(why).__name__}: {why}") from why


class S3Result(RemoteResult):
    """Keeps results in a bucket, under a prefix; who asks, and where, is said as for every AWS client.

    `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_ENDPOINT_URL`, `AWS_PROFILE`, or the role of the machine:
    https://docs.aws.amazon.com/sdkref/latest/guide/environment-variables.html
    """

    def __init__(self, bucket: str, prefix: str = "") -> None:
        super().__init__(f"s3://{bucket}/{prefix}")


class GCSResult(RemoteResult):
    """Keeps results in a bucket, under a prefix; who asks is said as for every client of Google's.

    `GOOGLE_APPLICATION_CREDENTIALS`, or the account of the machine:
    https://cloud.google.com/docs/authentication/application-default-credentials
    """

    def __init__(self, bucket: str, prefix: str = "") -> None:
        super().__init__(f"gs://{bucket}/{prefix}")


_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?=://)")
_HERE: Final = ("file", "local")


def store_at(where: str | Path | Result) -> Result:
    """The store at a URL, or in a folder; nothing is asked of it yet. A store is itself."""
    if isinstance(where, Result):
        return where
    text = str(where)
    scheme = _SCHEME.match(text)
    if scheme is None:
        return LocalResult(text)
    if scheme[0].lower() in _HERE:
        return LocalResult(unquote(text.partition("://")[2]))
    return RemoteResult(scheme[0].lower() + text[scheme.end() :])

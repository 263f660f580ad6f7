"""Results in an object store: Amazon S3, Google Cloud Storage or any fsspec store; and the store for a URL."""

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

#: The extra of fsspec that a scheme needs, if it is not named like the scheme.
_EXTRAS: Final = {"gcs": "gs", "s3a": "s3"}
#: Disable fsspec's listing cache, which would show removed objects and miss those of other writers.
_PART: Final = 64 * 1024
_FRESH: Final = {"use_listings_cache": False}


class RemoteResult(Result):
    """Stores results under a URL; an object becomes visible as a whole once it is uploaded."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._scheme = url.partition("://")[0]

    @property
    def location(self) -> str:
        """Return the URL."""
        return self._url

    def exists(self, path: str) -> bool:
        """Return whether an object exists at the path."""
        with _reaching():
            return bool(self._store().exists(self._object(path)))

    def read(self, path: str) -> bytes:
        """Return the content."""
        with _reaching():
            content: bytes = self._store().cat_file(self._object(path))
        return content

    def parts(self, path: str) -> Iterator[bytes]:
        """Yield the content in parts of 64 KiB."""
        with _reaching(), self._store().open(self._object(path), "rb") as file:
            yield from iter(lambda: file.read(_PART), b"")

    def write(self, path: str, content: bytes, *, guard: Callable[[], None] = at_any_time) -> None:
        """Upload the object in one request, or in parts that are committed together."""
        store, target = self._store(), self._object(path)
        guard()
        with _reaching():
            store.pipe_file(target, content)

    def create(self, path: str, content: bytes) -> bool:
        """Upload the object if there is none; the store itself refuses the second."""
        store, target = self._store(), self._object(path)
        try:
            with _reaching():
                store.pipe_file(target, content, mode="create")
        except FileExistsError:
            return False
        return True

    def remove_all(self, folder: str) -> bool:
        """Remove all objects with this prefix."""
        store, target = self._store(), self._object(folder)
        with _reaching():
            found = store.find(target)
            if found:
                store.rm(found)
        return bool(found)

    def _object(self, path: str) -> str:
        return f"{self._url.partition('://')[2]}/{inside(path)}"

    def check(self) -> None:
        """Check without any request that the store is available here. Raise StoreUnknown or StorePackageMissing."""
        import fsspec  # the import takes 0.3 s, and most services keep results in a folder

        try:
            fsspec.get_filesystem_class(self._scheme)
        except ImportError:
            raise StorePackageMissing(self._scheme, _EXTRAS.get(self._scheme, self._scheme)) from None
        except ValueError:
            raise StoreUnknown(self._url) from None

    def _store(self) -> Any:
        """Return the file system; fsspec caches one per process and set of options."""
        import fsspec

        self.check()
        return fsspec.filesystem(self._scheme, **_FRESH)


@contextmanager
def _reaching() -> Iterator[None]:
    """Convert the errors of a file system's client, which are not all OSErrors, to OSError."""
    try:
        yield
    except (OSError, StoreUnknown, StorePackageMissing, TargetOutside):
        raise
    except Exception as why:
        raise OSError(f"{type(why).__name__}: {why}") from why


class S3Result(RemoteResult):
    """Stores results in a bucket under a prefix; credentials and region are configured as for every AWS client.

    `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_ENDPOINT_URL`, `AWS_PROFILE`, or the role of the machine:
    https://docs.aws.amazon.com/sdkref/latest/guide/environment-variables.html
    """

    def __init__(self, bucket: str, prefix: str = "") -> None:
        super().__init__(f"s3://{bucket}/{prefix}")


class GCSResult(RemoteResult):
    """Stores results in a bucket under a prefix; credentials are configured as for every Google client.

    `GOOGLE_APPLICATION_CREDENTIALS`, or the account of the machine:
    https://cloud.google.com/docs/authentication/application-default-credentials
    """

    def __init__(self, bucket: str, prefix: str = "") -> None:
        super().__init__(f"gs://{bucket}/{prefix}")


_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?=://)")
_HERE: Final = ("file", "local")


def store_at(where: str | Path | Result) -> Result:
    """Return the store at a URL or in a folder without any request; a store is returned as it is."""
    if isinstance(where, Result):
        return where
    text = str(where)
    scheme = _SCHEME.match(text)
    if scheme is None:
        return LocalResult(text)
    if scheme[0].lower() in _HERE:
        return LocalResult(unquote(text.partition("://")[2]))
    return RemoteResult(scheme[0].lower() + text[scheme.end() :])

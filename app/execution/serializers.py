"""Letting every serializer write what Celery sends: signatures are dicts to json, but not to yaml and msgpack."""

from __future__ import annotations

import importlib
from typing import Any

from celery.canvas import Signature
from kombu.serialization import register


def as_plain(value: Any) -> Any:
    """A copy of `value` in which signatures are plain dicts and tuples are lists, as JSON would give them back."""
    if isinstance(value, dict):
        return {key: as_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(item) for item in value]
    return value


def let_yaml_write_signatures() -> None:
    """Teach PyYAML, where it is installed, that a signature is a dict.

    kombu writes yaml with `safe_dump`, which refuses subclasses of dict: with `task_serializer="yaml"` bare Celery
    cannot send any chain (https://github.com/celery/celery/issues/6901).
    """
    yaml = _installed("yaml")
    if yaml is not None:
        yaml.SafeDumper.add_multi_representer(Signature, lambda dumper, value: dumper.represent_dict(dict(value)))


def let_msgpack_write_signatures() -> None:
    """Have msgpack, where it is installed, write the dict that a group is.

    The length of a group is the number of its members, and msgpack takes it for the number of the dict's keys: bare
    Celery sends a message that cannot be read when a chord follows another link.
    """
    msgpack = _installed("msgpack")
    if msgpack is not None:
        register(
            "msgpack",
            lambda value: msgpack.packb(as_plain(value), use_bin_type=True),
            lambda data: msgpack.unpackb(data, raw=False),
            content_type="application/x-msgpack",
            content_encoding="binary",
        )


def _installed(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        return None

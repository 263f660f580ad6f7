"""Writing JSON for answers."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import PydanticSerializationError, to_json


def written(value: Any) -> str:
    """Return a value as JSON, whatever its texts hold: half a surrogate has a word in JSON, and no bytes in UTF-8."""
    try:
        return to_json(value).decode()
    except PydanticSerializationError:
        return json.dumps(value, separators=(",", ":"), default=str)

"""Signatures of documents: HMAC-SHA256 over what a document says, however it is spaced, under a key of the service."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any, Final

from app.domain.document import encode
from app.errors import DocumentUntrusted

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNTRUSTED: Final = "An admin who knows where it comes from may import it with `trust` (`--trust`)."
_SIGNED: Final = "signed"


class Keys:
    """The keys that documents are signed with: the first signs, each of them is believed."""

    def __init__(self, keys: Sequence[str] = ()) -> None:
        self._keys = [(_name(key), key.encode()) for key in keys]

    def __bool__(self) -> bool:
        return bool(self._keys)

    def __repr__(self) -> str:
        return f"<{len(self._keys)} keys>"

    def signed(self, document: dict[str, Any]) -> dict[str, Any]:
        """The document with its signature; without one where there is no key."""
        unsigned = {key: value for key, value in document.items() if key != _SIGNED}
        if not self._keys:
            return unsigned
        name, key = self._keys[0]
        return unsigned | {_SIGNED: {"key": name, "hmac": _hmac(key, unsigned)}}

    def sealed(self, content: bytes) -> bytes:
        """The bytes of a document with its signature; as they are where there is no key."""
        return encode(self.signed(json.loads(content))) if self._keys else content

    def demand_signed(self, document: dict[str, Any]) -> None:
        """Demand that one of the keys has signed the document as it stands. Raises DocumentUntrusted."""
        signature = document.get(_SIGNED)
        if not self._keys:
            raise DocumentUntrusted(
                "cannot be verified, for no DOCUMENT_KEY is set here",
                f"Set it to the key of the service that signed it. {_UNTRUSTED}",
            )
        if not isinstance(signature, dict):
            raise DocumentUntrusted(
                "is not signed", f"Export it from a service whose DOCUMENT_KEY is this one's. {_UNTRUSTED}"
            )
        unsigned = {key: value for key, value in document.items() if key != _SIGNED}
        found = [hmac.compare_digest(_hmac(key, unsigned), str(signature.get("hmac"))) for _name, key in self._keys]
        if not any(found):
            raise DocumentUntrusted(
                "was altered, or signed with another DOCUMENT_KEY", f"Export it once more. {_UNTRUSTED}"
            )


def _hmac(key: bytes, unsigned: dict[str, Any]) -> str:
    said = json.dumps(unsigned, sort_keys=True, separators=(",", ":"))
    return hmac.new(key, said.encode(), hashlib.sha256).hexdigest()


def _name(key: str) -> str:
    """What a key is called in documents; nothing of it can be told from that."""
    return hashlib.sha256(b"operations document key " + key.encode()).hexdigest()[:8]

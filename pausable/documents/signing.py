"""Signatures of documents: HMAC-SHA256 over what a document says, without blanks, under a key of the service."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import TYPE_CHECKING, Any, Final

from pausable.documents.model import encode
from pausable.errors import DocumentUntrusted

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNTRUSTED: Final = "An admin who knows where it comes from may import it with `trust` (`--trust`)."
_SIGNED: Final = "signed"
#: The end of a document as it leaves the service: what stands before it is what was signed, less a brace.
_SEAL: Final = re.compile(rb',"signed":\{"key":"[0-9a-f]{8}","hmac":"([0-9a-f]{64})"\}\}')
_LENGTH: Final = len(',"signed":{"key":"","hmac":""}}') + 8 + 64


class Keys:
    """The keys that documents are signed with: the first signs, each of them is believed."""

    def __init__(self, keys: Sequence[str] = ()) -> None:
        self._keys = [(_name(key), key.encode()) for key in keys]

    def __bool__(self) -> bool:
        return bool(self._keys)

    def __repr__(self) -> str:
        return f"<{len(self._keys)} keys>"

    def sealed(self, document: dict[str, Any]) -> bytes:
        """The bytes of a document with its signature; without one where there is no key."""
        content = encode(_unsigned(document))
        if not self._keys:
            return content
        name, key = self._keys[0]
        seal = f',"{_SIGNED}":{{"key":"{name}","hmac":"{_hmac(key, content)}"}}}}'
        return content[:-1] + seal.encode()

    def has_sealed(self, content: bytes) -> bool:
        """Whether these bytes are those that one of the keys has signed; if not, the document may be all the same."""
        seal = _SEAL.fullmatch(content[-_LENGTH:])
        return bool(seal) and self._know(content[:-_LENGTH] + b"}", seal[1].decode() if seal else "")

    def demand_named(self, content: bytes) -> None:
        """Demand that there is a key, and that these bytes say that one has signed them: nothing of them is parsed.

        Raises DocumentUntrusted.
        """
        self._demand_keys()
        if f'"{_SIGNED}"'.encode() not in content:
            raise _not_signed()
        if not any(f'"{name}"'.encode() in content for name, _key in self._keys):
            raise _altered()

    def demand_signed(self, document: dict[str, Any]) -> None:
        """Demand that one of the keys has signed the document as it stands. Raises DocumentUntrusted."""
        self._demand_keys()
        signature = document.get(_SIGNED)
        if not isinstance(signature, dict):
            raise _not_signed()
        if not self._know(encode(_unsigned(document)), str(signature.get("hmac"))):
            raise _altered()

    def _demand_keys(self) -> None:
        if not self._keys:
            raise DocumentUntrusted(
                "cannot be verified, for no DOCUMENT_KEY is set here",
                f"Set it to the key of the service that signed it. {_UNTRUSTED}",
            )

    def _know(self, content: bytes, signature: str) -> bool:
        given = signature.encode(errors="replace")
        # All keys are tried, whichever fits: how long it takes tells nothing.
        return any([hmac.compare_digest(_hmac(key, content).encode(), given) for _name, key in self._keys])


def _not_signed() -> DocumentUntrusted:
    return DocumentUntrusted(
        "is not signed", f"Export it from a service whose DOCUMENT_KEY is this one's. {_UNTRUSTED}"
    )


def _altered() -> DocumentUntrusted:
    return DocumentUntrusted("was altered, or signed with another DOCUMENT_KEY", f"Export it once more. {_UNTRUSTED}")


def _unsigned(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != _SIGNED}


def _hmac(key: bytes, content: bytes) -> str:
    return hmac.new(key, content, hashlib.sha256).hexdigest()


def _name(key: str) -> str:
    """What a key is called in documents; nothing of it can be told from that."""
    return hashlib.sha256(b"operations document key " + key.encode()).hexdigest()[:8]

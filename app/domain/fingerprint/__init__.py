"""Fingerprints of functions: what their code does, whatever its comments say and wherever its lines stand."""

from app.domain.fingerprint.instructions import TAG
from app.domain.fingerprint.reading import Reading, read_code

__all__ = ["TAG", "Reading", "read_code"]

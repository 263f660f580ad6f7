"""Results in Google Cloud Storage."""

from __future__ import annotations

from app.results.remote import RemoteResult


class GCSResult(RemoteResult):
    """Keeps results in a bucket, under a prefix; who asks is said as for every client of Google's.

    `GOOGLE_APPLICATION_CREDENTIALS`, or the account of the machine:
    https://cloud.google.com/docs/authentication/application-default-credentials
    """

    def __init__(self, bucket: str, prefix: str = "") -> None:
        super().__init__(f"gs://{bucket}/{prefix}")

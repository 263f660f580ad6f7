"""Results in Amazon S3, or in what speaks as it does."""

from __future__ import annotations

from app.results.remote import RemoteResult


class S3Result(RemoteResult):
    """Keeps results in a bucket, under a prefix; who asks, and where, is said as for every AWS client.

    `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_ENDPOINT_URL`, `AWS_PROFILE`, or the role of the machine:
    https://docs.aws.amazon.com/sdkref/latest/guide/environment-variables.html
    """

    def __init__(self, bucket: str, prefix: str = "") -> None:
        super().__init__(f"s3://{bucket}/{prefix}")

"""What proxies say of a request: believed from as many as are trusted, and from nobody by default."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.execution.pausing import in_database
from tests.web.serving import serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import NewDatabase


@pytest.mark.parametrize(("trusted", "place"), [(0, "/console/"), (1, "/ops/console/")])
def test_the_prefix_under_which_a_proxy_serves_is_believed_when_told(
    trusted: int, place: str, new_database: NewDatabase, broker_url: str, tmp_path: Path
) -> None:
    url = new_database(tmp_path)
    with serving(tmp_path, in_database(broker_url, 3), database_url=url, trusted_proxies=trusted) as served:
        answer = served.app.test_client().get("/", headers={"X-Forwarded-Prefix": "/ops"})

    assert answer.headers["Location"] == place

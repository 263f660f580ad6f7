"""The former place of what workflows are written with; it is `pausable` now."""

from __future__ import annotations

import warnings

from pausable import *  # noqa: F403

warnings.warn("Import from `pausable`: `app.workflows` goes with the next release.", DeprecationWarning, stacklevel=2)

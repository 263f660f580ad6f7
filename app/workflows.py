"""The former place of what workflows are written with; it is `pausable` now."""

from __future__ import annotations

import sys
import warnings

from pausable import *  # noqa: F403
from pausable.workflows.shipped import add_numbers, count_by

warnings.warn("Import from `pausable`: `app.workflows` goes with the next release.", DeprecationWarning, stacklevel=2)

#: So `WORKFLOWS=app.workflows.add_numbers` names the very module that `pausable` brings along, not a copy of it.
for _module in (add_numbers, count_by):
    sys.modules[f"{__name__}.{_module.__name__.rpartition('.')[2]}"] = _module

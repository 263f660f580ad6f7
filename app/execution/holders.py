"""Who holds a claim, or held it: whether that process can be looked at from here, and be killed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from app.processes import is_gone, kill, this_boot, this_host

if TYPE_CHECKING:
    from app.domain.standing import Held, Listening
    from app.store.claims import HeldClaim
    from app.store.workers import Beating


def machine_and_boot(boot_id: str | None) -> tuple[str, str]:
    """Which machine, and which boot of it; an empty text where that is not known.

    The first workers were entered with the boot alone.
    """
    parts = (boot_id or "").split("/")
    return (parts[0], parts[1]) if len(parts) > 1 else ("", parts[0])


def is_here(one: HeldClaim | Beating | Held | Listening) -> bool:
    """Whether its process can be looked at from here: it is of this machine, this boot, and this namespace."""
    return one.host == this_host() and one.boot_id in (this_boot(), machine_and_boot(this_boot())[1])


def looked_at_worker(worker: Listening) -> Listening:
    """With whether its process is gone, where nobody knows that it has ended and it can be looked at from here."""
    if not worker.heard or not is_here(worker):
        return worker
    return replace(worker, is_gone=is_gone(worker.pid, worker.start_time))


def killed(held: HeldClaim) -> bool:
    """Kill the process that holds a claim; True once it is gone."""
    if held.process is None or held.process_start is None:  # claimed before processes were known by their start
        return held.pid is not None and held.start_time is not None and is_gone(held.pid, held.start_time)
    return kill(held.process, held.process_start)


def is_own_process(held: HeldClaim) -> bool:
    """Whether a claim is held by a worker's main process, as in the pools `threads` and `solo`, or by no worker."""
    return held.worker_id is None or held.process == held.pid

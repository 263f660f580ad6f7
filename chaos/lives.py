"""The people of a run: threads that start operations over HTTP and ask of each what the plan says."""

from __future__ import annotations

import heapq
import http
import threading
import time
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Self

from chaos.client import NoAnswer
from chaos.shapes import SHAPES
from pausable.model.states import Completion

if TYPE_CHECKING:
    from chaos.client import Client
    from chaos.plan import Life

_PEOPLE = 8
_LOOK = 0.05


@dataclass
class Lived:
    """What became of one life as far as people know: its id once the start was answered, and the wishes granted."""

    life: Life
    operation_id: int | None = None
    is_cancelled: bool = False
    asked: int = 0


class Lives:
    """Lives through all operations of a plan; a `with` block keeps the threads."""

    def __init__(self, client: Client, lives: tuple[Life, ...]) -> None:
        self.all = [Lived(life) for life in lives]
        self.refusals: list[str] = []
        self._client = client
        self._numbers = count()
        self._begun = time.monotonic()
        self._agenda = [(one.life.at, next(self._numbers), one) for one in self.all]
        heapq.heapify(self._agenda)
        self._under_way = 0
        self._change = threading.Condition()
        self._is_over = False
        self._people = [threading.Thread(target=self._live, daemon=True) for _ in range(_PEOPLE)]

    def __enter__(self) -> Self:
        self._begun = time.monotonic()
        for person in self._people:
            person.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._change:
            self._is_over = True
            self._client.until = 0.0
        for person in self._people:
            person.join()

    @property
    def left(self) -> int:
        """How many lives are not over yet."""
        with self._change:
            return len(self._agenda) + self._under_way

    def _live(self) -> None:
        while not self._is_over:
            one = self._next()
            if one is None:
                time.sleep(_LOOK)
                continue
            after = self._step(one)
            with self._change:
                self._under_way -= 1
                if after is not None:
                    due = time.monotonic() - self._begun + after
                    heapq.heappush(self._agenda, (due, next(self._numbers), one))

    def _next(self) -> Lived | None:
        with self._change:
            if not self._agenda or self._agenda[0][0] > time.monotonic() - self._begun:
                return None
            self._under_way += 1
            return heapq.heappop(self._agenda)[2]

    def _step(self, one: Lived) -> float | None:
        """Ask what is next in a life; the seconds until the next after it, None when there is none."""
        try:
            if one.operation_id is None:
                self._start(one)
            elif self._ask(one):
                one.asked += 1
        except NoAnswer as path:
            self.refusals.append(f"{one.life.key}: no answer from {path}")
            return None
        wishes = one.life.wishes
        return wishes[one.asked].after if one.operation_id is not None and one.asked < len(wishes) else None

    def _start(self, one: Lived) -> None:
        body = {"workflow": SHAPES[one.life.shape].workflow, "arguments": one.life.arguments}
        status, answer = self._client.ask("POST", "/operations", body, key=one.life.key)
        if status in (http.HTTPStatus.OK, http.HTTPStatus.ACCEPTED):
            one.operation_id = answer["id"]
        else:
            self._refuse(one, "start", status, answer)

    def _ask(self, one: Lived) -> bool:
        """Ask what is next; return whether that is over, and not to be asked again."""
        wish = one.life.wishes[one.asked]
        status, answer = self._client.ask("POST", f"/operations/{one.operation_id}/{wish.verb}{wish.query}")
        if wish.verb == "cancel" and status in (http.HTTPStatus.OK, http.HTTPStatus.ACCEPTED):
            one.is_cancelled = True
        elif status not in (http.HTTPStatus.OK, http.HTTPStatus.ACCEPTED, http.HTTPStatus.CONFLICT):
            self._refuse(one, wish.verb, status, answer)
        is_refused = wish.insists and status == http.HTTPStatus.CONFLICT
        return not is_refused or answer["completion"] in (Completion.COMPLETED, Completion.CANCELLED)

    def _refuse(self, one: Lived, verb: str, status: int, answer: Any) -> None:
        self.refusals.append(f"{one.life.key}: {verb} was answered {status}: {answer}")

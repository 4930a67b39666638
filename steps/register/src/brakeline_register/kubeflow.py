"""A `Registry` in a Kubeflow Model Registry, by its REST API v1alpha3."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from brakeline_register.attempts import Attempt
from brakeline_register.connection import Client, settle
from brakeline_register.desk import Desk, every
from brakeline_register.registry import Change, Entry, NoSuchVersion, Paper, State, Version

Answer = TypeVar("Answer")


class KubeflowRegistry:
    """A `Registry` behind https. Each call is a connection of its own; every one may be repeated."""

    def __init__(self, url: str) -> None:
        self._settings = settle(url)

    def add(self, model: str, entry: Entry) -> Version:
        """See `Registry.add`."""
        return self._do(lambda desk: desk.add(model, entry))

    def find(self, model: str, version: str) -> Version:
        """See `Registry.find`."""
        found = self._do(lambda desk: desk.versions(model, lambda one, _: one.number == version))
        if not found:
            raise NoSuchVersion(model, version)
        return found[0]

    def by_content(self, model: str, sha256: str) -> Version | None:
        """See `Registry.by_content`."""
        found = self._do(lambda desk: desk.versions(model, lambda one, _: one.sha256 == sha256))
        return found[0] if found else None

    def holders(self, sha256: str) -> Sequence[Version]:
        """See `Registry.holders`."""
        return self._do(lambda desk: desk.holders(sha256))

    def list(self, model: str) -> Sequence[Version]:
        """See `Registry.list`."""
        return self._do(lambda desk: desk.versions(model, every))

    def live(self, model: str) -> Version | None:
        """See `Registry.live`."""
        found = self._do(lambda desk: desk.versions(model, lambda _, state: state is State.LIVE))
        return found[0] if found else None

    def set_state(self, model: str, version: str, state: State, by: str, why: str = "") -> Version:
        """See `Registry.set_state`."""
        self._do(lambda desk: desk.set_state(model, version, state, by, why))
        return self.find(model, version)

    def add_paper(self, model: str, version: str, kind: str, paper: Paper) -> Version:
        """See `Registry.add_paper`."""
        self._do(lambda desk: desk.add_paper(model, version, kind, paper))
        return self.find(model, version)

    def changes(self, model: str) -> Sequence[Change]:
        """See `Registry.changes`."""
        return [noted.change for noted in self._do(lambda desk: desk.changes(model))]

    def record(self, model: str, attempt: Attempt) -> None:
        """See `Registry.record`."""
        self._do(lambda desk: desk.record(model, attempt))

    def attempts(self, model: str) -> Sequence[Attempt]:
        """See `Registry.attempts`."""
        return self._do(lambda desk: desk.attempts(model))

    def _do(self, work: Callable[[Desk], Awaitable[Answer]]) -> Answer:
        async def opened() -> Answer:
            async with Client(self._settings) as client:
                return await work(Desk(client))

        return asyncio.run(opened())

"""What is said to a Kubeflow Model Registry for each thing that a registry does.

The API has no transactions: what must happen once is a name that may be there once. Versions are numbered without a
gap, so whoever lost a race is told (409), looks again, and finds the same content or takes the next number.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from mr_openapi.models import (
    Artifact,
    ModelVersionCreate,
    ModelVersionState,
    OrderByField,
    RegisteredModelCreate,
    SortOrder,
)
from stepkit import diary
from stepkit.errors import TryAgain

from brakeline_register import journal, resources
from brakeline_register.attempts import Attempt
from brakeline_register.connection import ACCOUNT, Absent, Client, Conflict
from brakeline_register.journal import Noted
from brakeline_register.registry import (
    Change,
    Entry,
    NoSuchVersion,
    Paper,
    State,
    Version,
    is_number,
    next_name,
    refuse_to_archive_the_live,
)
from brakeline_register.resources import Found

Wanted = Callable[[Found, State], bool]

_PAGE = "100"
_AT_ONCE = 8
_RACES = 50


def every(_: Found, __: State) -> bool:
    """All versions are wanted."""
    return True


class Desk:
    """One conversation with the registry."""

    def __init__(self, client: Client) -> None:
        self._ask, self._registry_name = client.ask, client.registry_name
        self._room = asyncio.Semaphore(_AT_ONCE)
        namespace = ACCOUNT / "namespace"
        self._namespace = namespace.read_text(encoding="utf-8").strip() if namespace.is_file() else ""

    async def add(self, model: str, entry: Entry) -> Version:
        """See `Registry.add`. Killed at any instant and called again, it finishes what is there."""
        parent = await self._made_model(model)
        # Before any version, so that whoever takes a model's newest version never takes one of these.
        for shelf in journal.ABOUT:
            await self._made_shelf(parent, shelf)
        async for _ in _races(f"{model}: adding a version"):
            raw = await self._pages("get_registered_model_versions", parent)
            known = next((one for one in map(resources.found, raw) if one and one.sha256 == entry.sha256), None)
            if known is None:
                taken = [int(one.name) for one in raw if is_number(one.name)]
                body = resources.to_create(parent, max(taken, default=0) + 1, entry)
                try:
                    known = resources.found(await self._ask("create_model_version", body))
                except Conflict:
                    continue
            if known is not None:
                kept = await self._completed(model, known, entry)
                state = self._state(known, await self._changes(parent))
                done = resources.version(model, known, kept, state, self._registry_name)
                if done is not None:
                    return done
        raise AssertionError

    async def _completed(self, model: str, known: Found, entry: Entry) -> Sequence[Artifact]:
        """The artifacts of a version, those added that somebody has not come to write."""
        kept = await self._pages("get_model_version_artifacts", known.id)
        if resources.is_whole(kept):
            return kept
        there = resources.papers(kept)
        wanted = [artifact for name, artifact in resources.documents(entry) if name not in there]
        for artifact in [*wanted, resources.model_artifact(model, entry, self._namespace)]:
            await self._once("upsert_model_version_artifact", known.id, artifact)
        return await self._pages("get_model_version_artifacts", known.id)

    async def add_paper(self, model: str, version: str, kind: str, paper: Paper) -> None:
        """See `Registry.add_paper`. It is a document more; of two writers the second takes the next name."""
        parent = await self._model(model)
        found = [one for one in await self._found(parent) if one.number == version] if parent else []
        if not found:
            raise NoSuchVersion(model, version)
        async for _ in _races(f"{model}: adding a {kind} to version {version}"):
            there = resources.papers(await self._pages("get_model_version_artifacts", found[0].id))
            name = next_name(there, kind, paper)
            if name is None:
                return
            # Looked at again, whoever was first: a name that was taken is told by the same answer as one that is ours.
            await self._once("upsert_model_version_artifact", found[0].id, resources.document(name, paper))

    async def versions(self, model: str, wanted: Wanted) -> Sequence[Version]:
        """The wanted versions, oldest first."""
        parent = await self._model(model)
        if parent is None:
            return []
        return await self._read(model, await self._found(parent), await self._changes(parent), wanted)

    async def holders(self, sha256: str) -> Sequence[Version]:
        """See `Registry.holders`."""
        raw = await self._pages("get_model_versions")
        held: list[Version] = []
        for known in [one for one in map(resources.found, raw) if one and one.sha256 == sha256]:
            model = (await self._ask("get_registered_model", known.parent)).name
            held += await self._read(model, [known], await self._changes(known.parent), every)
        return held

    async def set_state(self, model: str, version: str, state: State, by: str, why: str) -> None:
        """See `Registry.set_state`. The record is written first, then the states that the dashboard shows."""
        parent, call = await self._model(model), uuid.uuid4().hex
        if parent is None:
            raise NoSuchVersion(model, version)
        shelf = await self._made_shelf(parent, journal.CHANGES)
        async for _ in _races(f"{model}: changing the state of version {version}"):
            found, changes = await self._found(parent), await self._changes(parent)
            read = await self._read(model, found, changes, lambda one, _: one.number == version)
            if not read:
                raise NoSuchVersion(model, version)
            done = any(noted.call == call for noted in changes)
            if done or read[0].state is state:
                ours = [one for one in found if not one.is_persons or (done and one.number == version)]
                await self._mirror(ours, changes)
                return
            refuse_to_archive_the_live(read[0], state)
            known = next(one for one in found if one.number == version)
            if known.archived:
                # Out of the archive first: whoever archived it on the dashboard would else be believed still.
                await self._ask("update_model_version", known.id, resources.to_update(known, State.REGISTERED))
            last = changes[-1].number if changes else 0
            change = Change(version, state, by, _now(), why)
            await self._once("upsert_model_version_artifact", shelf, journal.to_note(last + 1, call, change))

    async def _mirror(self, found: Sequence[Found], changes: Sequence[Noted]) -> None:
        """Write the states beside the registry's own, for whoever looks there; what was left undone is done too."""
        for known in found:
            state = journal.state_of(known.number, changes)
            if known.mirrored != state or known.archived != (state is State.ARCHIVED):
                await self._ask("update_model_version", known.id, resources.to_update(known, state))

    async def changes(self, model: str) -> list[Noted]:
        """All changes of state, oldest first."""
        parent = await self._model(model)
        return await self._changes(parent) if parent else []

    async def record(self, model: str, attempt: Attempt) -> None:
        """See `Registry.record`."""
        shelf = await self._made_shelf(await self._made_model(model), journal.ATTEMPTS)
        try:
            await self._ask("find_artifact", name=journal.name_of(attempt), parent_resource_id=shelf)
        except Absent:
            await self._once("upsert_model_version_artifact", shelf, journal.to_attempt(attempt, _now()))

    async def attempts(self, model: str) -> list[Attempt]:
        """See `Registry.attempts`."""
        parent = await self._model(model)
        shelf = await self._shelf(parent, journal.ATTEMPTS) if parent else None
        return journal.attempts(await self._pages("get_model_version_artifacts", shelf)) if shelf else []

    async def _read(
        self, model: str, found: Sequence[Found], changes: Sequence[Noted], wanted: Wanted
    ) -> list[Version]:
        """The wanted ones with their artifacts. One that somebody has not finished is none yet."""

        async def one(known: Found, state: State) -> Version | None:
            async with self._room:
                kept = await self._pages("get_model_version_artifacts", known.id)
            whole = resources.version(model, known, kept, state, self._registry_name)
            if whole is None:
                diary.warn("a version is not finished: add its model again", model=model, version=known.number)
            return whole

        standing = [(known, self._state(known, changes)) for known in found]
        read = await asyncio.gather(*(one(*known) for known in standing if wanted(*known)))
        return [version for version in read if version]

    def _state(self, known: Found, changes: Sequence[Noted]) -> State:
        """Where a version stands by our record; what a person archived or restored on the dashboard goes before it."""
        recorded = journal.state_of(known.number, changes)
        if not known.is_persons:
            return recorded
        if known.archived:
            return State.ARCHIVED
        return State.REGISTERED if recorded is State.ARCHIVED else recorded

    async def _found(self, parent: str) -> list[Found]:
        raw = await self._pages("get_registered_model_versions", parent)
        return sorted((one for one in map(resources.found, raw) if one), key=lambda one: int(one.number))

    async def _changes(self, parent: str) -> list[Noted]:
        shelf = await self._shelf(parent, journal.CHANGES)
        return journal.noted(await self._pages("get_model_version_artifacts", shelf)) if shelf else []

    async def _model(self, name: str) -> str | None:
        try:
            return str((await self._ask("find_registered_model", name=name)).id)
        except Absent:
            return None

    async def _made_model(self, name: str) -> str:
        if found := await self._model(name):
            return found
        await self._once("create_registered_model", RegisteredModelCreate(name=name, owner=resources.AUTHOR))
        return str((await self._ask("find_registered_model", name=name)).id)

    async def _shelf(self, parent: str, name: str) -> str | None:
        try:
            return str((await self._ask("find_model_version", name=name, parent_resource_id=parent)).id)
        except Absent:
            return None

    async def _made_shelf(self, parent: str, name: str) -> str:
        if found := await self._shelf(parent, name):
            return found
        about = ModelVersionCreate(
            name=name,
            registered_model_id=parent,
            author=resources.AUTHOR,
            description=journal.ABOUT[name],
            state=ModelVersionState.ARCHIVED,
        )
        await self._once("create_model_version", about)
        return str((await self._ask("find_model_version", name=name, parent_resource_id=parent)).id)

    async def _once(self, operation: str, *arguments: Any) -> None:
        """Create what may be there once; that it is there already is as well."""
        try:
            await self._ask(operation, *arguments)
        except Conflict:
            return

    async def _pages(self, operation: str, *arguments: Any) -> list[Any]:
        """All items of a listing, oldest first."""
        items: list[Any] = []
        token: str | None = None
        while True:
            page = await self._ask(
                operation,
                *arguments,
                page_size=_PAGE,
                order_by=OrderByField.ID,
                sort_order=SortOrder.ASC,
                next_page_token=token,
            )
            items += page.items or []
            token = page.next_page_token or None
            if token is None:
                return items


async def _races(what: str) -> AsyncIterator[int]:
    """Tries against others who write the same. Raises TryAgain after many."""
    for attempt in range(_RACES):
        yield attempt
    raise TryAgain(f"{what}: others were first {_RACES} times; the same call may succeed later")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

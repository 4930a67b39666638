"""The protocol's model repository: what is there, and versions loaded and unloaded by request.

`serving.json` stays in charge: a request adds versions to those it names, and takes away only what a request added, or
the whole model until the pointer changes or a request loads it again. All workers follow before the answer is given.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from brakeline_serving.cells import FIXED
from brakeline_serving.dataplane import DataPlane
from brakeline_serving.errors import (
    FieldRefused,
    LoadRefused,
    LoadTimedOut,
    Malformed,
    NotReady,
    ServingError,
    StoreDecides,
    UnknownModel,
)
from brakeline_serving.pointer import is_version
from brakeline_serving.store import Follower
from brakeline_serving.wishes import Wish

PATIENCE_S = 20.0
MOST_LOADED = 4  # versions by request, beside primary and shadow; each holds a session
_POLL_S = 0.02

Done = Callable[[ServingError | None], None]


class _Policy(msgspec.Struct):
    versions: list[int | str]


class _Policies(msgspec.Struct):
    specific: _Policy | None = None


class _Config(msgspec.Struct):
    version_policy: _Policies | None = None


class _Parameters(msgspec.Struct):
    version: str | None = None
    config: str | None = None
    unload_dependents: bool = False


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    parameters: dict[str, Any] | None = None
    ready: bool = False


class Repository:
    """Loads and unloads; `follower` is None where one file is served without a store."""

    def __init__(self, plane: DataPlane, follower: Follower | None) -> None:
        self._plane = plane
        self.follower = follower

    def index(self, body: bytes) -> list[dict[str, str]]:
        """Every version that is served, refused, or in the store; with `{"ready": true}` only what is served."""
        ready = _parse(body).ready
        served = self._plane.served
        states = dict.fromkeys(served.versions, ("READY", ""))
        if not ready:
            for version in (*served.refused, *(self.follower.there if self.follower else ())):
                if version not in states and is_version(version):
                    states[version] = ("UNAVAILABLE", served.refused.get(version, "not loaded"))
        name = self._plane.name
        return [
            {"name": name, "version": version, "state": state, "reason": reason}
            for version, (state, reason) in states.items()
        ]

    def load(self, name: str, raw: dict[str, Any], done: Done) -> None:
        """Load the versions that parameters name, or what the pointer names. Raises for a request that is wrong."""
        versions = self._versions(name, raw)
        if self.follower is None:
            done(None if all(version in self._plane.served.versions for version in versions) else self._file_only())
            return

        def wish(before: Wish) -> Wish:
            loaded = tuple(dict.fromkeys((*before.loaded, *versions)))
            if len(loaded) > MOST_LOADED:
                raise FieldRefused("version", f"{len(loaded)} loaded by request", f"at most {MOST_LOADED}")
            # Every version said that is refused is looked at again.
            return msgspec.structs.replace(before, loaded=loaded, is_unloaded=False, retry=before.retry + 1)

        def check() -> ServingError | None:
            refused = self._plane.served.refused
            for version in versions:
                if version in refused:
                    self._forget(version)
                    return LoadRefused(version, refused[version])
            return None if self._plane.served.primary or versions else NotReady(name, self._plane.served.reasons)

        self._when_met(self.follower.wishes.change(wish), check, done)

    def unload(self, name: str, raw: dict[str, Any], done: Done) -> None:
        """Unload versions loaded by request, or the whole model where the parameters name none."""
        versions = self._versions(name, raw)
        if self.follower is None:
            raise StoreDecides("the file's version")
        served, pointer = self._plane.served, self.follower.pointer_stamp()
        fixed = [model.version for model in (served.primary, served.shadow) if model is not None]
        for version in versions:
            if version in fixed:
                raise StoreDecides(version)
            if version not in served.versions:
                raise UnknownModel("version", version, served.versions)

        def wish(before: Wish) -> Wish:
            if not versions:
                return msgspec.structs.replace(before, loaded=(), unloaded=pointer, is_unloaded=True)
            return msgspec.structs.replace(before, loaded=tuple(v for v in before.loaded if v not in versions))

        self._when_met(self.follower.wishes.change(wish), lambda: None, done)

    def _forget(self, version: str) -> None:
        assert self.follower is not None
        self.follower.wishes.change(
            lambda before: msgspec.structs.replace(before, loaded=tuple(v for v in before.loaded if v != version))
        )

    def _file_only(self) -> ServingError:
        return StoreDecides("another version than the file's")

    def _versions(self, name: str, raw: dict[str, Any]) -> list[str]:
        if name != self._plane.name:
            raise UnknownModel("model", name, [self._plane.name])
        unknown = set(raw) - {"version", "config", "unload_dependents"}
        if unknown:
            raise FieldRefused("parameters", sorted(unknown)[0][:100], "version, or a config with version_policy")
        try:
            parameters = msgspec.convert(raw, _Parameters)
            config = msgspec.json.decode(parameters.config or "{}", type=_Config)
        except (ValueError, RecursionError) as error:
            raise Malformed("parameters", str(error)) from error
        versions = [parameters.version] if parameters.version else []
        if config.version_policy and config.version_policy.specific:
            versions += [str(version) for version in config.version_policy.specific.versions]
        for version in versions:
            if not is_version(version):
                raise FieldRefused("version", repr(version[:100]), "letters, digits, '.', '_' and '-'")
        return versions

    def _when_met(self, wish: Wish, check: Callable[[], ServingError | None], done: Done) -> None:
        assert self.follower is not None
        self.follower.wake()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE_S

        def look() -> None:
            met = self._plane.counters.board.table[:, FIXED["wishes_met"]]
            if met.min() >= wish.sequence:
                done(check())
            elif loop.time() > deadline:
                done(LoadTimedOut(PATIENCE_S))
            else:
                loop.call_later(_POLL_S, look)

        look()


def parameters_in(body: bytes) -> dict[str, Any]:
    """The parameters of a request to load or unload. Raises Malformed."""
    return _parse(body).parameters or {}


def _parse(body: bytes) -> _Body:
    try:
        return msgspec.json.decode(body or b"{}", type=_Body)
    except (ValueError, RecursionError) as error:
        raise Malformed("request", str(error)) from error

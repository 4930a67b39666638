"""Objects of an S3 store by `s3://bucket/key`: put whole, fetched whole, held to the sha256 that their maker recorded.

Who may ask and where the store is come from the environment alone: AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN or a file of them (AWS_SHARED_CREDENTIALS_FILE, AWS_PROFILE), AWS_CA_BUNDLE and
the rest that S3 clients know. A step that calls this has `stepkit[s3]` in its lock.

An object carries its sha256 as metadata. A folder is the objects below its prefix and a hidden one that names them
all with their sha256; it is written first, so that what a killed writer left is known from what is whole. Objects that
others put have neither: they are taken as they are.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from stepkit import artifacts
from stepkit.buckets import Place, answered, place
from stepkit.errors import InputMissing, ObjectAltered, ObjectMissing, UnreadableArtifact

if TYPE_CHECKING:
    from obstore import GetResult, PutMode

SCHEME = "s3://"
CONTENTS = ".contents.json"
_CHUNK_BYTES = 1 << 20
# Larger ones go up in parts, which the store joins at the end; a single request holds what it sends in memory.
_ONE_REQUEST_BYTES = 64 << 20


class _Listed(NamedTuple):
    sha256: str
    bytes: int


def is_remote(uri: str) -> bool:
    """Whether this names objects of a store rather than a path."""
    return uri.startswith(SCHEME)


def fetch(uri: str, target: Path, sha256: str | None = None) -> None:
    """Bring an object to the file `target`, or all objects below a prefix into the folder `target`.

    `target` is replaced when the whole is there and is what its maker recorded, and what the caller knows: `sha256` as
    `artifacts.sha256_of` has it. Raises ObjectMissing, ObjectDenied, ObjectAltered (65), ServiceUnavailable (69),
    TryAgain (75), UsageError (2).
    """
    at = place(uri)
    staged = _staging(target)
    try:
        with answered(uri):
            _fetch(at, staged)
        if sha256 and (found := artifacts.sha256_of(staged)) != sha256:
            raise ObjectAltered(uri, found, sha256)
        artifacts.commit(staged, target)
    except OSError as error:
        raise artifacts.writing_failed(target, error) from error
    finally:
        artifacts.discard(staged)


def put(source: Path, uri: str) -> None:
    """Make the object or the folder at `uri` what the file or folder `source` is; what is there already is left.

    An object is replaced in one move. A folder's other objects go. Raises as `fetch`, and InputMissing (65).
    """
    at = place(uri)
    if not source.exists():
        raise InputMissing("source", source)
    with answered(uri):
        if source.is_file():
            _put_file(at, source, artifacts.sha256_of(source))
        else:
            _put_folder(at, source)


def read_bytes(uri: str) -> bytes:
    """The bytes of one object, held to its recorded sha256. Raises as `fetch`."""
    return read_tagged(uri)[0]


def read_tagged(uri: str) -> tuple[bytes, str]:
    """The bytes of one object, and the tag that tells it from others that take its place. Raises as `fetch`."""
    import obstore  # noqa: PLC0415  native code that only this needs

    at = place(uri)
    with answered(uri):
        found = obstore.get(at.store, at.key)
        content = bytes(found.bytes())
    _hold(uri, hashlib.sha256(content).hexdigest(), _recorded(found))
    return content, found.meta["e_tag"] or ""


def write_bytes(uri: str, content: bytes) -> None:
    """Make the object at `uri` these bytes, in one move. Raises as `fetch`, missing aside."""
    import obstore  # noqa: PLC0415  native code that only this needs

    at, attributes = place(uri), {"sha256": hashlib.sha256(content).hexdigest()}
    with answered(uri):
        obstore.put(at.store, at.key, content, attributes=attributes, use_multipart=False)


def claim(uri: str, content: bytes, instead_of: str = "") -> bool:
    """Make an object where there is none, or in the place of the one with that tag; whether it was made.

    A store that knows no conditions lets everyone have it. Raises as `fetch`, missing aside.
    """
    import obstore  # noqa: PLC0415  native code that only this needs
    from obstore.exceptions import AlreadyExistsError, PreconditionError  # noqa: PLC0415

    at, attributes = place(uri), {"sha256": hashlib.sha256(content).hexdigest()}
    with answered(uri):
        try:
            mode: PutMode = {"e_tag": instead_of} if instead_of else "create"
            obstore.put(at.store, at.key, content, attributes=attributes, use_multipart=False, mode=mode)
        except (AlreadyExistsError, PreconditionError, FileNotFoundError):
            return False
    return True


def exists(uri: str) -> bool:
    """Whether the object, or the whole folder, is there. Raises as `fetch`, missing aside."""
    at = place(uri)
    with answered(uri):
        if _head(at) is not None:
            return True
        there, contents = _sizes(at), _contents(at)
        if contents is None:
            return bool(there)
        return all(there.get(name) == listed.bytes for name, listed in contents.items())


def size_of(uri: str) -> int:
    """Size of all objects below a prefix [byte]; 0 where there is none. Raises as `fetch`, missing aside."""
    with answered(uri):
        return sum(_sizes(place(uri)).values())


def delete(uri: str) -> None:
    """Remove the object, and all objects below it; nothing there is as well. Raises as `fetch`, missing aside."""
    import obstore  # noqa: PLC0415  native code that only this needs

    at = place(uri)
    with answered(uri):
        names = sorted(_sizes(at), key=lambda name: name == CONTENTS)
        # What names the others goes last: a removal that is killed leaves a folder that is known to lack some.
        keys = [at.key] * (_head(at) is not None) + [at.below(name).key for name in names]
        for key in keys:
            try:
                obstore.delete(at.store, key)
            except FileNotFoundError:
                continue


def _fetch(at: Place, staged: Path) -> None:
    import obstore  # noqa: PLC0415  native code that only this needs

    try:
        found = None if at.is_prefix else obstore.get(at.store, at.key)
    except FileNotFoundError:
        found = None
    if found is None:
        _fetch_folder(at, staged)
    else:
        _hold(at.uri, _write(found, staged), _recorded(found))


def _fetch_folder(at: Place, staged: Path) -> None:
    import obstore  # noqa: PLC0415  native code that only this needs

    contents = _contents(at)
    names = list(contents) if contents is not None else sorted(_sizes(at))
    if not names and contents is None:
        raise ObjectMissing(at.uri, "no such object, and none below it")
    staged.mkdir()
    for name in names:
        one = at.below(name)
        file = staged / _harmless(one.uri, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            found = obstore.get(one.store, one.key)
        except FileNotFoundError:
            raise ObjectMissing(
                one.uri, f"{at.below(CONTENTS).uri} names it: the folder was not put to its end"
            ) from None
        recorded = contents[name].sha256 if contents else _recorded(found)
        _hold(one.uri, _write(found, file), recorded)


def _write(found: "GetResult", file: Path) -> str:
    """Write what a store sends; returns its sha256."""
    digest = hashlib.sha256()
    with file.open("wb") as stream:
        for chunk in found.stream(min_chunk_size=_CHUNK_BYTES):
            digest.update(chunk)
            stream.write(chunk)
    return digest.hexdigest()


def _put_file(at: Place, source: Path, sha256: str) -> None:
    import obstore  # noqa: PLC0415  native code that only this needs

    there = _head(at)
    if there is not None and _recorded(there) == sha256 and there.meta["size"] == source.stat().st_size:
        return
    large = source.stat().st_size > _ONE_REQUEST_BYTES
    obstore.put(at.store, at.key, source, attributes={"sha256": sha256}, use_multipart=large)


def _put_folder(at: Place, source: Path) -> None:
    import obstore  # noqa: PLC0415  native code that only this needs

    files = {
        file.relative_to(source).as_posix(): file
        for file in sorted(source.rglob("*"))
        if file.is_file() and file.name != CONTENTS and ".partial-" not in file.name
    }
    contents = {name: _Listed(artifacts.sha256_of(file), file.stat().st_size) for name, file in files.items()}
    if contents != _contents(at):
        named = {name: listed._asdict() for name, listed in contents.items()}
        obstore.put(at.store, at.below(CONTENTS).key, json.dumps({"files": named}, sort_keys=True, indent=1).encode())
    for name, file in files.items():
        _put_file(at.below(name), file, contents[name].sha256)
    for name in _sizes(at).keys() - files.keys() - {CONTENTS}:
        obstore.delete(at.store, at.below(name).key)


def _contents(at: Place) -> dict[str, _Listed] | None:
    """What the folder's maker said that is in it; None where nobody said."""
    import obstore  # noqa: PLC0415  native code that only this needs

    listing = at.below(CONTENTS)
    try:
        said = bytes(obstore.get(at.store, listing.key).bytes())
    except FileNotFoundError:
        return None
    try:
        files = json.loads(said)["files"]
        return {str(name): _Listed(str(file["sha256"]), int(file["bytes"])) for name, file in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableArtifact(listing.uri, "listing of a folder's objects", str(error)) from error


def _sizes(at: Place) -> dict[str, int]:
    """The objects below a place by their names there, with their sizes [byte]; markers of folders aside."""
    import obstore  # noqa: PLC0415  native code that only this needs

    start = len(at.key) + 1
    found = [one for many in obstore.list(at.store, prefix=at.key) for one in many]
    return {one["path"][start:]: one["size"] for one in found if len(one["path"]) > start}


def _head(at: Place) -> "GetResult | None":
    import obstore  # noqa: PLC0415  native code that only this needs

    if at.is_prefix:
        return None
    try:
        return obstore.get(at.store, at.key, options={"head": True})
    except FileNotFoundError:
        return None


def _recorded(found: "GetResult") -> str | None:
    attributes: Mapping[Any, Any] = found.attributes
    return attributes.get("sha256")


def _hold(uri: str, found: str, recorded: str | None) -> None:
    if recorded and found != recorded:
        raise ObjectAltered(uri, found, recorded)


def _harmless(uri: str, name: str) -> PurePosixPath:
    """A name that stays below the folder it is for."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name or not path.parts:
        raise ObjectMissing(uri, f"found the name {name!r}, allowed one that stays below its folder")
    return path


def _staging(target: Path) -> Path:
    """Where it is written until it is whole; beside a step's own staged output under a name that goes with it."""
    if ".partial-" in target.name:
        staged = target.with_name(f"{target.name}-{os.getpid()}")
        artifacts.discard(staged)
        return staged
    return artifacts.staging_path(target)

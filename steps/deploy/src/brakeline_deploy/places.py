"""The target that the command line asks for."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stepkit import objects
from stepkit.errors import UsageError
from stepkit.executor import ExecutorInput

from brakeline_deploy.access import POD_TOKEN, Access, access
from brakeline_deploy.store import ModelStore, Store
from brakeline_deploy.target import Target, cluster_place

THIS_MACHINE = "http://127.0.0.1:8080"
# A pod is scheduled, pulls its image and fetches its model; a server that runs has a file to load.
SERVER_S, CLUSTER_S = 60, 600


@dataclass(frozen=True)
class Asked:
    """Where to serve a model, and how its server is asked."""

    model_store: str
    name: str
    server: str = ""
    token_file: str = ""
    ca_bundle: str = ""
    timeout_seconds: int = 0
    take_over: bool = False


@contextmanager
def opened(asked: Asked, *, at_work: bool = False, proves: bool = True) -> Iterator[Target]:
    """The target, for the time of a block; `at_work` for what changes it, `proves` where its server must be asked.

    Raises UsageError, TryAgain while another deployment changes the same store.
    """
    known = access(asked.token_file, asked.ca_bundle)
    place = None if objects.is_remote(asked.model_store) else cluster_place(asked.model_store, asked.name)
    if place is None:
        from brakeline_deploy.endpoint import Endpoint
        from brakeline_deploy.local import LocalTarget

        store = _store(asked)
        url = asked.server or (THIS_MACHINE if proves else "")
        server = Endpoint(url, asked.name, known) if url and at_work else None
        with store.turn() if at_work else nullcontext():
            yield LocalTarget(store, server, asked.timeout_seconds or SERVER_S)
        return
    from brakeline_deploy.kserve import KServeTarget
    from brakeline_deploy.kube import connect

    cluster = connect(place.namespace)
    if place.auth and known.token_file is None and not asked.server and POD_TOKEN.is_file():
        # The pod's own account may get the service, which is what its guard asks for; no other server is shown it.
        known = Access(POD_TOKEN, known.ca_bundle)
    place = replace(place, namespace=cluster.namespace)
    yield KServeTarget(
        cluster, place, known, asked.timeout_seconds or CLUSTER_S, server=asked.server, take_over=asked.take_over
    )


def pruned(asked: Asked, versions: Sequence[str], dry_run: bool) -> list[dict[str, Any]]:
    """Remove versions from a model store. Raises UsageError for a cluster, which keeps none; and as `opened`."""
    if "://" in asked.model_store and not objects.is_remote(asked.model_store):
        raise UsageError(f"--model-store: found {asked.model_store}, allowed a folder, or s3://bucket/prefix")
    from brakeline_deploy import pruning

    store = _store(asked)
    with nullcontext() if dry_run else store.turn():
        return pruning.prune(store, versions, dry_run)


def _store(asked: Asked) -> Store:
    if objects.is_remote(asked.model_store):
        from brakeline_deploy.s3_store import RemoteStore

        return RemoteStore(asked.model_store, asked.name)
    return ModelStore(Path(asked.model_store), asked.name)


def recorded_uri(given: ExecutorInput) -> str:
    """Where the pipeline keeps the model, if it says so and it is no path of this machine."""
    found = [record.uri for record in given.inputs("model")]
    return found[0] if found and "://" in found[0] and not found[0].startswith("file://") else ""

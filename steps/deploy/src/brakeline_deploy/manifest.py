"""The InferenceService as it is applied, and what the annotations of one remember of its versions.

`brakeline/version`, `/sha256`, `/since`, `/rollout` name what is applied; `brakeline/proven` lists what was proven in
service, each with all that it takes to serve it again; `brakeline/last` says what happened last, and `brakeline/canary`
what is tried.

KServe copies annotations to the pods, and one that changes there replaces them all. So the pods are told the same of
what may change while a version serves: an annotation of the predictor comes before one of the service.
"""

import copy
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stepkit.errors import UsageError

from brakeline_deploy.target import ClusterPlace, Release

API_VERSION, KIND = "serving.kserve.io/v1beta1", "InferenceService"
VERSION, SHA256, ROLLOUT = "brakeline/version", "brakeline/sha256", "brakeline/rollout"
PROVEN, LAST, CANARY, SINCE = "brakeline/proven", "brakeline/last", "brakeline/canary", "brakeline/since"
_HIDDEN = dict.fromkeys((ROLLOUT, PROVEN, LAST, CANARY), "see the InferenceService")
_MODE, _AUTH = "serving.kserve.io/deploymentMode", "security.opendatahub.io/enable-auth"
_VISIBLE, _DASHBOARD = "networking.kserve.io/visibility", "opendatahub.io/dashboard"
_LINEAGE = "modelregistry.opendatahub.io"
MODE = ("metadata", "annotations", _MODE)
# What a deployment is about, beside annotations of its own: never another's to say.
OWN = {
    ("spec", "predictor", "model", "storageUri"),
    *(("metadata", "labels", f"{_LINEAGE}/{key}") for key in ("registered-model-id", "model-version-id", "name")),
}
_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_MOST_REMEMBERED = 8
_CONTAINER = "kserve-container"  # what KServe calls a predictor's container
_SCHEMES = ("s3://", "gs://", "pvc://", "oci://", "https://", "hf://")


@dataclass(frozen=True)
class Content:
    """A version as it is served: labels, annotations and spec, without what remembers others."""

    version: str
    sha256: str
    rollout: str
    labels: dict[str, str]
    annotations: dict[str, str]
    spec: dict[str, Any]

    def entry(self, at: str) -> dict[str, Any]:
        """As `brakeline/proven` keeps it."""
        return {**self.__dict__, "at": at}


def content(place: ClusterPlace, release: Release, rollout: str, since: str) -> Content:
    """A release as an InferenceService serves it, kept `since` that time (RFC 3339).

    Raises UsageError for a model that the cluster cannot read.
    """
    annotations = {_MODE: "RawDeployment", _AUTH: "true" if place.auth else "false", SINCE: since}
    labels = {_DASHBOARD: "true"} | ({_VISIBLE: "exposed"} if place.exposed else {}) | lineage_labels(release.about)
    predictor: dict[str, Any] = {
        # The version before answers until the next one is ready.
        "deploymentStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "minReplicas": 1,
        "model": model(place, release),
    }
    if place.account:
        predictor["serviceAccountName"] = place.account
    return Content(release.version, release.sha256, rollout, labels, annotations, {"predictor": predictor})


def model(place: ClusterPlace, release: Release) -> dict[str, Any]:
    """The predictor's model: whose root the storage URI is, so that another version is another URI."""
    registered = str(release.about.get("uri") or "")
    # What is registered is kept; what a run made may go with it.
    lasting = registered if registered.startswith(_SCHEMES) else release.recorded_uri or registered
    uri = release.storage_uri or lasting
    if not uri.startswith(_SCHEMES):
        raise UsageError(
            f"--storage-uri: found {uri or 'none'!r}, allowed what the cluster can read, as s3://bucket/folder; "
            "keep registered models in S3, or name where this one lies",
            found=uri,
        )
    # KServe lists a folder's objects by how their names begin, so that `…/1` without its end is `…/10` as well.
    uri = uri.rstrip("/") + "/" if uri.startswith("s3://") else uri
    told = {"modelFormat": {"name": "onnx"}, "protocolVersion": "v2", "runtime": place.runtime, "storageUri": uri}
    return told | ({"storage": {"key": place.connection}} if place.connection else {})


def since(live: Mapping[str, Any] | None, release: Release, now: str) -> str:
    """Since when a version has been kept here (RFC 3339): what serves, or was proven, is as old as it was."""
    wanted = (release.version, release.sha256)
    known = [(annotation(live, VERSION), annotation(live, SHA256), annotation(live, SINCE))]
    known += [(entry["version"], entry["sha256"], entry["annotations"].get(SINCE)) for entry in proven(live)]
    return next((at for version, sha256, at in known if (version, sha256) == wanted and at), now)


def lineage_labels(about: Mapping[str, Any]) -> dict[str, str]:
    """Labels by which the dashboard finds the registered version, where the registration tells its ids."""
    known = {
        "registered-model-id": about.get("registered_model_id"),
        "model-version-id": about.get("model_version_id"),
        "name": about.get("registry_name"),
    }
    return {
        f"{_LINEAGE}/{key}": str(value)
        for key, value in known.items()
        if value is not None and _LABEL_VALUE.fullmatch(str(value))
    }


def applied(
    place: ClusterPlace, served: Content, proven: list[dict[str, Any]], last: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The whole of what is applied: what is left out of it, and nobody else manages, is removed."""
    annotations = {**served.annotations, VERSION: served.version, SHA256: served.sha256, ROLLOUT: served.rollout}
    if proven:
        annotations[PROVEN] = _text(proven[-_MOST_REMEMBERED:])
    if last:
        annotations[LAST] = _text(last)
    metadata = {
        "name": place.service,
        "namespace": place.namespace,
        "labels": served.labels,
        "annotations": annotations,
    }
    spec = copy.deepcopy(served.spec)
    spec["predictor"]["annotations"] = dict(_HIDDEN)
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}


def annotation(live: Mapping[str, Any] | None, key: str) -> str | None:
    """An annotation of an object that may not be there."""
    found = ((live or {}).get("metadata") or {}).get("annotations") or {}
    value = found.get(key)
    return value if isinstance(value, str) else None


def proven(live: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """What was proven in service, oldest first; what somebody made unreadable is nothing to go back to."""
    entries = _read(annotation(live, PROVEN))
    wanted = set(Content.__annotations__)
    return [entry for entry in entries if isinstance(entry, dict) and wanted <= entry.keys()] if entries else []


def last(live: Mapping[str, Any] | None) -> dict[str, Any]:
    """What happened last."""
    found = _read(annotation(live, LAST))
    return found if isinstance(found, dict) else {}


def of_entry(entry: Mapping[str, Any]) -> Content:
    """A version as `brakeline/proven` kept it."""
    return Content(**{key: entry[key] for key in Content.__annotations__})


def with_canary(served: dict[str, Any], tried: Content, percent: int) -> dict[str, Any]:
    """What is applied, and beside it a canary that gets a share of the requests [%]."""
    wanted = copy.deepcopy(served)
    predictor = {**copy.deepcopy(tried.spec["predictor"]), "name": canary_name(tried.version)}
    predictor["model"]["name"] = _CONTAINER  # the schema wants it said, here alone
    predictor.pop("deploymentStrategy", None)
    # The service's own are of the version beside it.
    told = {VERSION: tried.version, SHA256: tried.sha256, SINCE: tried.annotations[SINCE]}
    predictor["annotations"] = told
    wanted["spec"]["canary"] = [{"trafficPercent": percent, "predictor": predictor}]
    about = {"version": tried.version, "sha256": tried.sha256, "rollout": tried.rollout, "percent": percent}
    wanted["metadata"]["annotations"][CANARY] = _text(about)
    return wanted


def canary(live: Mapping[str, Any] | None) -> dict[str, Any]:
    """The canary that was applied last, empty where none is."""
    found = _read(annotation(live, CANARY))
    return found if isinstance(found, dict) else {}


def canary_name(version: str) -> str:
    """A version's name as a canary: a letter, then lower-case letters, digits and hyphens."""
    return "v" + (re.sub(r"[^a-z0-9]+", "-", version.lower()).strip("-") or "0")


def for_people(live: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What a person compares of an object: no status, no bookkeeping."""
    if live is None:
        return None
    metadata = live.get("metadata") or {}
    hidden = {PROVEN, LAST, ROLLOUT, CANARY}
    annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if key not in hidden}
    shown = {"name": metadata.get("name"), "labels": metadata.get("labels") or {}, "annotations": annotations}
    return {"metadata": shown, "spec": live.get("spec")}


def merged(live: Any, wanted: Any) -> Any:
    """What an apply gives, as far as it can be computed without the cluster: fields named are changed."""
    if not (isinstance(live, Mapping) and isinstance(wanted, Mapping)):
        return copy.deepcopy(wanted)
    return {**live, **{key: merged(live.get(key), value) for key, value in wanted.items()}}


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _read(text: str | None) -> Any:
    try:
        return json.loads(text or "null")
    except ValueError:
        return None

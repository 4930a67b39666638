"""What the API keeps: pipelines and versions, experiments, runs that go on as they are looked at, schedules."""

import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from tests.cluster.published import Call

Record = dict[str, Any]
EQUALS, IS_SUBSTRING = 1, 9
# The keys that the API's own filters know, of those that matter here.
FILTERED = {"display_name", "name", "state", "storage_state", "created_at", "experiment_id"}
AFTER_THE_GATE = ("register", "deploy", "promote")
TASKS = ("synthesize", "synthesize", "assemble", "fit", "validate", "record", *AFTER_THE_GATE)


class Answered(Exception):
    """A refusal with its status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass
class State:
    """All records by their ids. `gate` is how the next runs end: passed, refused, failed or broken."""

    pipelines: dict[str, Record] = field(default_factory=dict)
    versions: dict[str, Record] = field(default_factory=dict)
    experiments: dict[str, Record] = field(default_factory=dict)
    runs: dict[str, Record] = field(default_factory=dict)
    schedules: dict[str, Record] = field(default_factory=dict)
    gate: str = "passed"
    pods: dict[str, str] = field(default_factory=dict)
    looks: int = 4
    uploads: list[bytes] = field(default_factory=list)
    _looked: dict[str, int] = field(default_factory=dict)
    _made: int = 0

    def carry_out(self, call: Call) -> Any:
        """The answer to a call. Raises Answered."""
        service, _, verb = call.operation.partition("_")
        return getattr(self, f"_{verb or service}")(call)

    def _stamp(self) -> str:
        self._made += 1
        at = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(seconds=self._made)
        return at.isoformat().replace("+00:00", "Z")

    def _GetHealthz(self, _: Call) -> Any:  # noqa: N802  the operations' own names
        return {"multi_user": False}

    def _ListPipelines(self, call: Call) -> Any:  # noqa: N802
        return _page("pipelines", self.pipelines, call)

    def _UploadPipeline(self, call: Call) -> Any:  # noqa: N802
        name = call.query["name"]
        if any(made["display_name"] == name for made in self.pipelines.values()):
            raise Answered(409, f"pipeline {name} is there")
        made: Record = {"pipeline_id": str(uuid.uuid4()), "display_name": name, "name": name}
        made["created_at"] = self._stamp()
        self.pipelines[made["pipeline_id"]] = made
        self._version(made["pipeline_id"], name, call)
        return made

    def _UploadPipelineVersion(self, call: Call) -> Any:  # noqa: N802
        if call.query.get("pipelineid") not in self.pipelines:
            raise Answered(404, "no such pipeline")
        return self._version(call.query["pipelineid"], call.query["name"], call)

    def _version(self, pipeline: str, name: str, call: Call) -> Record:
        if any((made["pipeline_id"], made["name"]) == (pipeline, name) for made in self.versions.values()):
            raise Answered(409, f"version {name} is there")
        documents = list(yaml.load_all(call.body, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
        spec = documents[0] if len(documents) == 1 else {"pipeline_spec": documents[0], "platform_spec": documents[1]}
        if "root" not in documents[0] or len(documents) > 2:
            raise Answered(400, "no pipeline's IR")
        self.uploads.append(call.body)
        made: Record = {
            "pipeline_id": pipeline, "pipeline_version_id": str(uuid.uuid4()), "display_name": name, "name": name,
            "description": call.query.get("description", ""), "created_at": self._stamp(), "pipeline_spec": spec,
        }  # fmt: skip
        self.versions[made["pipeline_version_id"]] = made
        return made

    def _GetPipelineVersion(self, call: Call) -> Any:  # noqa: N802
        return _known(self.versions, call.path["pipeline_version_id"], "pipeline version")

    def _ListPipelineVersions(self, call: Call) -> Any:  # noqa: N802
        of_it = {k: v for k, v in self.versions.items() if v["pipeline_id"] == call.path["pipeline_id"]}
        return _page("pipeline_versions", of_it, call)

    def _ListExperiments(self, call: Call) -> Any:  # noqa: N802
        return _page("experiments", self.experiments, call)

    def _CreateExperiment(self, call: Call) -> Any:  # noqa: N802
        if any(made["display_name"] == call.body["display_name"] for made in self.experiments.values()):
            raise Answered(409, "experiment is there")
        made: Record = {**call.body, "experiment_id": str(uuid.uuid4()), "created_at": self._stamp(),
                "storage_state": "AVAILABLE"}  # fmt: skip
        self.experiments[made["experiment_id"]] = made
        return made

    def _CreateRun(self, call: Call) -> Any:  # noqa: N802
        self._check_reference(call.body)
        made: Record = {**call.body, "run_id": str(uuid.uuid4()), "state": "PENDING", "created_at": self._stamp(),
                "storage_state": "AVAILABLE"}  # fmt: skip
        self.runs[made["run_id"]] = made
        return made

    def _ListRuns(self, call: Call) -> Any:  # noqa: N802
        of = call.query.get("experiment_id")
        return _page("runs", {k: v for k, v in self.runs.items() if of in (None, "", v.get("experiment_id"))}, call)

    def _GetRun(self, call: Call) -> Any:  # noqa: N802
        made = _known(self.runs, call.path["run_id"], "run")
        looked = self._looked[made["run_id"]] = self._looked.get(made["run_id"], 0) + 1
        if made["state"] not in {"SUCCEEDED", "FAILED", "CANCELED"}:
            made["state"] = "RUNNING" if looked < self.looks else self._end()
        made["run_details"] = {"task_details": self._tasks(min(looked / self.looks, 1), made)}
        if made["state"] == "FAILED":
            made["error"] = {"code": 2, "message": "task fit failed"}
        return made

    def _end(self) -> str:
        return "FAILED" if self.gate == "failed" else "SUCCEEDED"

    def _tasks(self, share: float, run: Record) -> list[Record]:
        done = round(share * len(TASKS))
        listed = []
        for number, name in enumerate(("root", "root-driver", *TASKS), -2):
            state = "SUCCEEDED" if number < done else "RUNNING" if number == done else "PENDING"
            if self.gate == "failed" and number > TASKS.index("fit") - 1:
                state = "FAILED" if name == "fit" and share == 1 else "PENDING"
            if name in AFTER_THE_GATE and (self.gate == "refused" or (self.gate == "broken" and name == "promote")):
                state = "SKIPPED"
            listed.append({"run_id": run["run_id"], "task_id": f"{run['run_id']}-{number + 2}", "display_name": name,
                           "state": state, "create_time": run["created_at"]})  # fmt: skip
            if name in self.pods:
                listed[-1]["child_tasks"] = [{"task_id": f"{name}-executor", "pod_name": self.pods[name]}]
        return listed

    def _TerminateRun(self, call: Call) -> Any:  # noqa: N802
        _known(self.runs, call.path["run_id"], "run")["state"] = "CANCELED"
        return {}

    def _CreateRecurringRun(self, call: Call) -> Any:  # noqa: N802
        self._check_reference(call.body)
        cron = call.body["trigger"]["cron_schedule"]["cron"]
        if len(cron.split()) != 6:
            raise Answered(400, f"cron {cron!r}: six fields are needed")
        status = "ENABLED" if call.body["mode"] == "ENABLE" else "DISABLED"
        made: Record = {**call.body, "recurring_run_id": str(uuid.uuid4()), "status": status}
        made["created_at"] = self._stamp()
        self.schedules[made["recurring_run_id"]] = made
        return made

    def _ListRecurringRuns(self, call: Call) -> Any:  # noqa: N802
        return _page("recurringRuns", self.schedules, call)

    def _DisableRecurringRun(self, call: Call) -> Any:  # noqa: N802
        return self._switch(call, "DISABLED")

    def _EnableRecurringRun(self, call: Call) -> Any:  # noqa: N802
        return self._switch(call, "ENABLED")

    def _switch(self, call: Call, status: str) -> Any:
        _known(self.schedules, call.path["recurring_run_id"], "recurring run")["status"] = status
        return {}

    def _DeleteRecurringRun(self, call: Call) -> Any:  # noqa: N802
        del self.schedules[_known(self.schedules, call.path["recurring_run_id"], "recurring run")["recurring_run_id"]]
        return {}

    def _check_reference(self, body: Record) -> None:
        version = self.versions.get(body.get("pipeline_version_reference", {}).get("pipeline_version_id", ""))
        if version is None:
            raise Answered(404, "no such pipeline version")
        spec = version["pipeline_spec"]
        told = spec.get("pipeline_spec", spec)["root"]["inputDefinitions"]["parameters"]
        given = body.get("runtime_config", {}).get("parameters", {})
        needed = {name for name, about in told.items() if "defaultValue" not in about and not about.get("isOptional")}
        if missing := needed - set(given):
            raise Answered(400, f"parameters {sorted(missing)} are missing")
        if unknown := set(given) - set(told):
            raise Answered(400, f"parameters {sorted(unknown)} are unknown")


def _known(records: dict[str, Record], key: str, kind: str) -> Record:
    if key not in records:
        raise Answered(404, f"{kind} {key} not found")
    return records[key]


def _page(name: str, records: dict[str, Record], call: Call) -> Record:
    rules = _rules(call.query.get("filter", ""))
    listed = [record for record in records.values() if _holds(rules, record)]
    if call.query.get("sort_by") == "created_at desc":
        listed.sort(key=lambda record: record["created_at"], reverse=True)
    size, start = int(call.query.get("page_size") or 20), int(call.query.get("page_token") or 0)
    answer: Record = {name: listed[start : start + size], "total_size": len(listed)}
    if start + size < len(listed):
        answer["next_page_token"] = str(start + size)
    return answer if listed else {}


def _rules(text: str) -> list[tuple[str, bool, str]]:
    """Key, whether it has to be equal, and the value, of each rule of a filter. Raises Answered."""
    rules = []
    for rule in json.loads(text)["predicates"] if text else []:
        key, operation = rule["key"], rule["operation"]
        if key not in FILTERED or operation not in {EQUALS, "EQUALS", IS_SUBSTRING, "IS_SUBSTRING"}:
            raise Answered(400, f"filter: no key {key} with operation {operation}")
        rules.append((key, operation in {EQUALS, "EQUALS"}, rule.get("stringValue", rule.get("string_value"))))
    return rules


def _holds(rules: list[tuple[str, bool, str]], record: Record) -> bool:
    found = [(str(record.get(key, "")), equal, wanted) for key, equal, wanted in rules]
    return all(value == wanted if equal else wanted in value for value, equal, wanted in found)

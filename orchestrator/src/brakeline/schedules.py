"""Recurring runs: made once, listed, paused, resumed, deleted. One run at a time, none for times that were missed."""

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from brakeline import cron
from brakeline.access import Access, Refused, UnusableAccess
from brakeline.cluster import compile_for_cluster, content_hash, experiment_of, listed, upload, where
from brakeline.cluster_inputs import Wish, parameters
from brakeline.kfp_client import NotThere, connect, once, told

_SHOWN = 3


def add(
    access: Access,
    wish: Wish,
    expression: str,
    experiment: str = "",
    allow_local_images: bool = False,
    service_account: str = "",
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Schedule runs of this very content and these parameters; the same schedule is found, not doubled.

    Raises ClusterError, RecordingError.
    """
    when = cron.parse(expression)
    if when.converted:
        tell(f"the scheduler's cron begins with seconds: {expression!r} becomes {when.text!r}, in UTC")
    client = connect(access)
    with tempfile.TemporaryDirectory() as folder:
        compiled = compile_for_cluster(Path(folder), allow_local_images)
        values = parameters(wish, compiled.inputs)
        pipeline_id, version_id = upload(client, access, compiled, tell)
    experiment_id = experiment_of(client, access, experiment or wish.name)
    name = f"{wish.title}-{content_hash(compiled.version, values, when.text)}"
    call = {"namespace": access.namespace} if access.namespace else {}

    def find() -> Any:
        rule = where("display_name", name)
        return next(listed(client.list_recurring_runs, "recurring_runs", "schedules", filter=rule, **call), None)

    def make() -> Any:
        with told(f"schedule {name}"):
            return client.create_recurring_run(
                experiment_id,
                name,
                cron_expression=when.text,
                # The API's description has a string here.
                max_concurrency="1",
                no_catchup=True,
                params=values,
                pipeline_id=pipeline_id,
                version_id=version_id,
                enabled=True,
                service_account=service_account or None,
            )

    schedule, made = once(find, make)
    return {**facts(schedule), "made": made, "converted": when.converted, "version": compiled.version}


def every(access: Access) -> list[dict[str, Any]]:
    """All schedules, the newest first. Raises ClusterError."""
    call = {"namespace": access.namespace} if access.namespace else {}
    found = listed(
        connect(access).list_recurring_runs, "recurring_runs", "schedules", sort_by="created_at desc", **call
    )
    return [facts(schedule) for schedule in found]


def change(access: Access, verb: str, named: str) -> dict[str, Any]:
    """`pause`, `resume` or `delete` the schedule of an id or a name. Raises ClusterError."""
    client = connect(access)
    schedule = _one(every(access), named)
    change_it = {
        "pause": client.disable_recurring_run,
        "resume": client.enable_recurring_run,
        "delete": client.delete_recurring_run,
    }[verb]
    try:
        with told(f"{verb} schedule {schedule['name']}"):
            change_it(schedule["schedule"])
    except NotThere:
        # Deleted by someone else, or by a call whose answer was lost: as asked.
        if verb != "delete":
            raise
    states = {"pause": "DISABLED", "resume": "ENABLED", "delete": "DELETED"}
    return {**schedule, "state": states[verb], "next": schedule["next"] if verb == "resume" else []}


def facts(schedule: Any) -> dict[str, Any]:
    """A schedule in one JSON object; `next` are the times when it comes, by its cron alone, where it is one of ours."""
    trigger = schedule.trigger and schedule.trigger.cron_schedule
    text = trigger.cron if trigger else ""
    on = str(schedule.status) == "ENABLED"
    coming = _coming(text) if on else []
    reference = schedule.pipeline_version_reference
    return {
        "schedule": schedule.recurring_run_id,
        "name": schedule.display_name,
        "state": str(schedule.status),
        "cron": text,
        "next": coming,
        "experiment_id": schedule.experiment_id,
        "version_id": reference.pipeline_version_id if reference else None,
    }


def _coming(text: str) -> list[str]:
    try:
        times = islice(cron.parse(text).next(datetime.now(UTC)), _SHOWN) if text else ()
    except UnusableAccess:
        # Others make schedules as well, and the scheduler knows words such as @daily.
        return []
    return [at.isoformat(timespec="seconds") for at in times]


def _one(schedules: list[dict[str, Any]], named: str) -> dict[str, Any]:
    found = [schedule for schedule in schedules if named in {schedule["schedule"], schedule["name"]}]
    if len(found) != 1:
        names = ", ".join(schedule["name"] for schedule in schedules) or "none"
        raise Refused(f"schedule {named!r}: found {len(found)} of it; there are {names}")
    return found[0]

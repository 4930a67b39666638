"""Which fault is tried at which place, and by which tests: what `docs/faults.md` shows and what is counted by kind."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[2]

KILLED, FULL, FLIPPED, CLOCK = "killed", "disk full", "bytes flipped", "clock jumps"
AT_ONCE, DOWN, SLOW, LYING, BEHIND = "at once", "down", "slow", "lying", "behind"


@dataclass(frozen=True)
class Row:
    """One kind of fault at one place. `tests` are `folder/file.py::function`, below `tests/`."""

    kind: str
    place: str
    tests: tuple[str, ...]


ROWS = (
    Row(
        KILLED,
        "a step",
        (
            "faults/test_kills.py::test_a_killed_step_called_again_ends_as_undisturbed",
            "faults/test_kills.py::test_a_killed_deployment_called_again_ends_as_undisturbed",
            "faults/test_kills.py::test_a_killed_step_is_made_good",
        ),
    ),
    Row(KILLED, "a run", ("faults/test_kills.py::test_a_killed_run_called_again_ends_as_undisturbed",)),
    Row(
        FULL,
        "a step",
        (
            "faults/test_disk_full.py::test_a_full_disk_is_told_and_leaves_nothing",
            "faults/test_disk_full.py::test_each_output_meets_a_full_disk",
            "faults/test_disk_full.py::test_an_endpoint_meets_a_full_disk",
        ),
    ),
    Row(FULL, "registry", ("faults/test_places_full.py::test_a_full_registry_takes_nothing_and_loses_nothing",)),
    Row(FULL, "kept models", ("faults/test_places_full.py::test_a_model_that_cannot_be_kept_is_not_registered",)),
    Row(FULL, "model store", ("faults/test_places_full.py::test_a_full_model_store_serves_what_it_served",)),
    Row(
        FULL,
        "a run",
        (
            "faults/test_places_full.py::test_a_run_that_cannot_keep_its_record_says_so",
            "faults/test_places_full.py::test_a_record_that_met_a_full_disk_is_whole_in_the_end",
        ),
    ),
    Row(FULL, "a watch", ("faults/test_places_full.py::test_a_watch_keeps_its_memory_whole",)),
    Row(
        FULL,
        "server",
        (
            "faults/test_places_full.py::test_a_server_answers_while_its_log_has_no_room",
            "faults/test_places_full.py::test_a_server_whose_cache_has_no_room_serves_what_it_has",
        ),
    ),
    Row(
        FLIPPED,
        "a step's inputs",
        (
            "faults/test_flipped_bytes.py::test_a_reader_finds_a_flipped_byte",
            "faults/test_flipped_bytes.py::test_each_reader_finds_a_flipped_byte",
            "faults/test_flipped_bytes.py::test_a_reader_finds_it_without_the_pipeline",
        ),
    ),
    Row(
        FLIPPED,
        "model store",
        (
            "faults/test_flips_in_place.py::test_no_flipped_byte_of_a_deployed_model_is_served",
            "faults/test_flips_in_place.py::test_a_pointer_that_cannot_be_right_changes_nothing",
        ),
    ),
    Row(
        FLIPPED,
        "registry",
        ("faults/test_flips_in_place.py::test_a_flipped_byte_of_a_registry_brings_no_other_model",),
    ),
    Row(FLIPPED, "a run", ("faults/test_flips_in_place.py::test_a_flipped_byte_of_a_cache_is_no_hit_or_an_error",)),
    Row(
        CLOCK,
        "a watch",
        (
            "faults/test_clock_jumps.py::test_a_watch_waits_its_time",
            "faults/test_clock_jumps.py::test_a_clock_that_was_set_back_keeps_no_watch_waiting",
        ),
    ),
    Row(
        CLOCK,
        "a deployment",
        (
            "faults/test_clock_jumps.py::test_a_deployment_waits_its_time",
            "faults/test_clock_jumps.py::test_a_shadow_and_its_server_go_on",
            "faults/test_clock_jumps.py::test_a_deployments_turn_is_its_own",
        ),
    ),
    Row(CLOCK, "a run", ("faults/test_clock_jumps.py::test_a_run_takes_the_time_that_it_takes",)),
    Row(CLOCK, "registry", ("faults/test_clock_jumps.py::test_a_registry_is_in_the_order_in_which_things_happened",)),
)


@cache
def _kinds() -> dict[str, str]:
    return {test: row.kind for row in ROWS for test in row.tests}


def kind_of(item: pytest.Item) -> str:
    """The kind of the faults that a test tries; empty where the table does not name it."""
    file, _, rest = item.nodeid.partition("::")
    name = rest.partition("[")[0]
    return _kinds().get(f"{file.removeprefix('tests/')}::{name}", "")

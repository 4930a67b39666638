"""Which fault is tried at which place, and by which tests: what `docs/faults.md` shows and what is counted by kind."""

from dataclasses import dataclass
from functools import cache

import pytest

KILLED, FULL, FLIPPED, CLOCK, AT_ONCE = "killed", "disk full", "bytes flipped", "clock jumps", "two at once"
DOWN, SLOW, LYING = "down", "slow", "lying"
KINDS = {
    KILLED: "SIGKILL of a process or its group, at random instants or between two writes",
    FULL: "no room, at the first, a middle or the last page of what is written",
    FLIPPED: "one bit of a byte turned: first, middle, last, or many places",
    CLOCK: "the wall clock set forward and back by hours while something is under way",
    AT_ONCE: "several processes that write the same at the same time",
    DOWN: "a service that refuses, fails, breaks off, or loses its answers",
    SLOW: "a service that takes connections and answers late or never",
    LYING: "a service that answers something else: other bytes, another model, a page, nonsense",
}


@dataclass(frozen=True)
class Row:
    """One kind of fault at one place. `tests` are functions by file, below `tests/`."""

    kind: str
    place: str
    tests: dict[str, str]

    @property
    def names(self) -> list[str]:
        """Each as file::function."""
        return [f"{file}::test_{name}" for file, listed in self.tests.items() for name in listed.split()]


def _under_load(what: str) -> dict[str, str]:
    """The test in which a server is under load while a service fails."""
    return {"faults/test_dependencies.py": f"{what}_that_fails_under_load"}


ROWS = (
    Row(KILLED, "a step", {
        "faults/test_kills.py": "a_killed_step_called_again_ends_as_undisturbed a_killed_step_is_made_good",
        "steps/test_every_end.py": "sigkill_leaves_no_half_artifact_and_a_retry_completes",
        "train/test_search.py": "a_killed_call_goes_on_where_it_was",
    }),
    Row(KILLED, "a run", {
        "faults/test_kills.py": "a_killed_run_called_again_ends_as_undisturbed",
        "orchestrator/test_run.py": "a_killed_run_repeated_completes",
    }),
    Row(KILLED, "a deployment", {
        "faults/test_kills.py": "a_killed_deployment_called_again_ends_as_undisturbed",
        "deploy/test_local_target.py": "a_rollback_killed_in_the_middle_is_ended_by_the_next",
        "deploy/test_deploy_and_rollback.py": "killed_between_target_and_registry_the_same_call_mends",
        "deploy/test_cluster_races.py": "a_deploy_killed_before_its_proof_is_no_place_to_go_back_to "
        "a_rollback_after_a_killed_deploy_restores_what_was_proven",
        "deploy/test_store_in_s3.py": "the_turn_of_a_killed_deployment_ends_by_itself",
    }),
    Row(KILLED, "a watch", {
        "loop/test_watch_life.py": "killed_between_deciding_and_submitting_it_is_submitted_once "
        "a_killed_watch_leaves_its_run_and_the_next_one_finds_it",
    }),
    Row(KILLED, "the server", {
        "serving/test_under_load.py": "a_killed_worker_is_replaced_and_no_answer_is_wrong "
        "the_parents_death_ends_the_workers",
        "serving/test_following_a_store_in_s3.py": "when_the_worker_that_fetches_is_killed_another_goes_on",
    }),
    Row(KILLED, "S3", {"objects/test_objects.py": "what_a_killed_writer_left_is_not_taken_for_whole"}),
    Row(FULL, "a step", {
        "faults/test_disk_full.py": "a_full_disk_is_told_and_leaves_nothing each_output_meets_a_full_disk "
        "an_endpoint_meets_a_full_disk",
    }),
    Row(FULL, "the registry", {
        "faults/test_places_full.py": "a_full_registry_takes_nothing_and_loses_nothing "
        "a_model_that_cannot_be_kept_is_not_registered",
    }),
    Row(FULL, "a model store", {"faults/test_places_full.py": "a_full_model_store_serves_what_it_served"}),
    Row(FULL, "a run", {
        "faults/test_places_full.py": "a_run_that_cannot_keep_its_record_says_so "
        "a_record_that_met_a_full_disk_is_whole_in_the_end",
    }),
    Row(FULL, "a watch", {"faults/test_places_full.py": "a_watch_keeps_its_memory_whole"}),
    Row(FULL, "the server", {
        "faults/test_places_full.py": "a_server_answers_while_its_log_has_no_room "
        "a_server_whose_cache_has_no_room_serves_what_it_has",
    }),
    Row(FLIPPED, "a step", {
        "faults/test_flipped_bytes.py": "a_reader_finds_a_flipped_byte each_reader_finds_a_flipped_byte "
        "a_reader_finds_it_without_the_pipeline",
        "steps/test_every_step.py": "an_altered_input_is_refused",
        "kit/test_lineage.py": "any_flipped_byte_is_seen an_altered_folder_is_refused",
        "train/test_search.py": "a_journal_survives_whatever_tears_it",
    }),
    Row(FLIPPED, "the registry", {
        "faults/test_flips_in_place.py": "a_flipped_byte_of_a_registry_brings_no_other_model",
        "register/test_keeping.py": "a_flipped_byte_is_refused an_altered_object_is_refused",
        "lineage/test_inspection.py": "a_flipped_byte_in_any_file_is_found",
    }),
    Row(FLIPPED, "a model store", {
        "faults/test_flips_in_place.py": "no_flipped_byte_of_a_deployed_model_is_served "
        "a_pointer_that_cannot_be_right_changes_nothing",
        "deploy/test_nothing_slips_through.py": "a_graph_that_was_altered_since_it_was_proven_is_nothing_to_go_back_to",
    }),
    Row(FLIPPED, "a run", {"faults/test_flips_in_place.py": "a_flipped_byte_of_a_cache_is_no_hit_or_an_error"}),
    Row(FLIPPED, "S3", {
        "objects/test_objects.py": "an_altered_object_is_refused",
        "serving/test_following_a_store_in_s3.py": "a_model_that_is_not_what_was_recorded_is_refused",
    }),
    Row(CLOCK, "a watch", {
        "faults/test_clock_jumps.py": "a_watch_waits_its_time a_clock_that_was_set_back_keeps_no_watch_waiting",
    }),
    Row(CLOCK, "a deployment", {
        "faults/test_clock_jumps.py": "a_deployment_waits_its_time a_shadow_and_its_server_go_on "
        "a_deployments_turn_is_its_own",
    }),
    Row(CLOCK, "a run", {"faults/test_clock_jumps.py": "a_run_takes_the_time_that_it_takes"}),
    Row(CLOCK, "the registry", {"faults/test_clock_jumps.py": "a_registry_is_in_the_order_in_which_things_happened"}),
    Row(AT_ONCE, "the registry", {
        "register/test_registry.py": "writers_at_once_neither_lose_nor_double promotions_at_once_leave_one_live",
        "register/test_sqlite.py": "concurrent_processes_neither_lose_nor_double",
        "register/test_attempts.py": "concurrent_recorders_neither_lose_nor_double",
        "register/test_keeping.py": "many_processes_keep_the_same_content_at_once",
        "register/test_schema.py": "many_openers_migrate_once",
    }),
    Row(AT_ONCE, "a deployment", {
        "faults/test_two_at_once.py": "two_releases_at_once_lose_and_double_nothing",
        "deploy/test_local_target.py": "two_deployments_of_one_store_take_turns",
        "deploy/test_store_in_s3.py": "two_deployments_take_turns",
        "deploy/test_deploy_and_rollback.py": "a_deployment_that_was_overtaken_leaves_the_registry_true",
        "deploy/test_cluster_races.py": "a_deploy_that_is_overtaken_says_so_and_restores_nothing",
    }),
    Row(AT_ONCE, "a run", {"loop/test_watch_life.py": "two_runs_with_one_key_are_one"}),
    Row(DOWN, "the registry", {
        "register/test_kubeflow_faults.py": "what_passes_is_asked_again a_write_whose_answer_is_lost_is_not_doubled "
        "work_that_was_cut_off_is_finished_by_the_same_call nobody_at_the_address_is_unavailable",
        "register/test_verbs_over_http.py": "a_service_that_is_down_ends_a_verb_with_69",
        "register/test_sqlite.py": "a_locked_registry_asks_to_try_again",
        **_under_load("a_registry"),
    }),
    Row(SLOW, "the registry", {**_under_load("a_registry")}),
    Row(LYING, "the registry", {
        "register/test_kubeflow_faults.py": "what_does_not_pass_is_told_at_once an_answer_that_is_no_answer_is_told",
        **_under_load("a_registry"),
    }),
    Row(DOWN, "S3", {
        "objects/test_objects.py": "a_store_that_stumbles_is_asked_again what_was_there_stays_when_a_fetch_fails "
        "a_body_that_always_breaks_off_is_an_unavailable_store",
        "deploy/test_store_in_s3.py": "a_store_that_is_down_ends_with_69_and_changes_nothing",
        "serving/test_following_a_store_in_s3.py": "a_store_that_goes_down_takes_nothing_with_it "
        "a_swap_that_meets_a_broken_download_is_made_when_it_is_whole with_a_cache_a_start_does_without_the_store",
        **_under_load("a_store"),
    }),
    Row(SLOW, "S3", {
        "objects/test_objects.py": "a_silent_store_is_unavailable",
        "serving/test_following_a_store_in_s3.py": "a_store_that_hangs_keeps_nobody",
        **_under_load("a_store"),
    }),
    Row(LYING, "S3", {
        "objects/test_objects.py": "a_listing_that_is_none_is_bad_data a_listing_cannot_write_beside_the_target",
        **_under_load("a_store"),
    }),
    Row(DOWN, "KFP API", {
        "cluster/test_submit.py": "a_lost_answer_makes_nothing_twice reads_are_asked_again "
        "a_service_that_stays_away_ends_with_69",
        "cluster/test_following.py": "waiting_outlives_faults_and_a_new_token",
        **_under_load("a_pipelines_api"),
    }),
    Row(SLOW, "KFP API", {
        "cluster/test_submit.py": "a_slow_api_is_waited_for_within_bounds",
        **_under_load("a_pipelines_api"),
    }),
    Row(LYING, "KFP API", {
        "cluster/test_access.py": "a_token_that_is_not_accepted_is_said_so",
        **_under_load("a_pipelines_api"),
    }),
    Row(DOWN, "Kubernetes API", {
        "deploy/test_cluster_faults.py": "a_passing_fault_changes_nothing_for_the_caller "
        "a_change_whose_every_answer_was_lost_is_taken_back an_api_that_stays_down_ends_with_69",
        **_under_load("a_cluster"),
    }),
    Row(SLOW, "Kubernetes API", {
        "deploy/test_cluster_faults.py": "slow_pods_are_waited_for_with_progress",
        **_under_load("a_cluster"),
    }),
    Row(LYING, "Kubernetes API", {
        "deploy/test_cluster_faults.py": "another_model_behind_the_address_is_no_proof wrong_answers_are_no_proof",
        **_under_load("a_cluster"),
    }),
    Row(LYING, "the server", {
        "deploy/test_deploy.py": "a_failed_proof_restores_the_version_before",
        "deploy/test_nothing_slips_through.py": "an_answer_that_nobody_thought_of_is_no_proof",
    }),
)  # fmt: skip


@cache
def _kinds() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in ROWS:
        for test in row.names:
            found.setdefault(test, []).append(row.kind)
    return found


def kinds_of(item: pytest.Item) -> list[str]:
    """The kinds of faults that a test tries, the first of which it counts as unless it says; none where it is none."""
    file, _, rest = item.nodeid.partition("::")
    return _kinds().get(f"{file.removeprefix('tests/')}::{rest.partition('[')[0]}", [])

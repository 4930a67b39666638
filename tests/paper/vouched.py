"""Who vouches for each block of the pages that is not made of our commands alone.

A block is known by its page and the beginning of its first line. All else in a block is held to the commands' own
parsers; a block that is in neither way is a promise that nobody keeps.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Block:
    """`by` is the test that runs or reads it (`file::function`), or why there is none."""

    page: str
    begins: str
    by: str


PICTURE = "a picture or a formula: it names no command"
CLUSTER = "only a cluster answers it"
REASONS = {PICTURE, CLUSTER}
RUN = "tests/paper/test_commands_run.py::"
PRINTED = "tests/paper/test_step_pages.py::test_what_is_shown_is_what_is_printed"
COMPOSE = "tests/compose/test_compose_up.py::test_up_ends_with_an_answering_model"
EXAMPLE = "tests/examples/test_page.py::"
IN_ITS_IMAGE = "tests/examples/test_pipeline.py::test_the_pipeline_runs_in_its_image"
COMPILED = "tests/examples/test_pipeline.py::test_the_pipeline_is_compiled_by_its_own_command"
SECRETS = "tests/manifests/test_platform_parts.py::"
KEPT = "tests/register/test_keeping.py::test_versions_outlive_the_run_that_made_them"
MONITORED = "tests/compose/test_monitoring.py::test_it_comes_up_under_either_compose"
PASSWORD = f"{SECRETS}test_a_store_makes_the_databases_password_that_a_person_would"
APPLIED = "tests/manifests/test_real_api.py::test_every_object_is_stored_as_it_was_sent"

BLOCKS = (
    Block("README.md", "scenarios ─┐", PICTURE),
    Block("README.md", "✓ synthesize 1", f"{RUN}test_what_the_readme_shows_of_a_run_is_what_is_shown"),
    Block("README.md", "curl -s http", "tests/test_readme.py::test_the_questions_by_curl_are_answered"),
    Block("README.md", "python build.py images", COMPOSE),
    Block("docs/add_a_step.md", "{", f"{EXAMPLE}test_the_table_of_the_page_is_the_examples"),
    Block("docs/add_a_step.md", "docker run", IN_ITS_IMAGE),
    Block("docs/add_a_step.md", "from pathlib", f"{EXAMPLE}test_the_step_of_the_page_keeps_the_contract"),
    Block("docs/closed_loop.md", "world ──", PICTURE),
    Block("docs/lineage.md", "(cd model", f"{RUN}test_a_folders_hash_is_found_by_hand"),
    Block("docs/lineage.md", "jq -r", f"{RUN}test_a_release_is_signed_and_read_by_hand"),
    Block("docs/lineage.md", "openssl ecparam", f"{RUN}test_a_release_is_signed_and_read_by_hand"),
    Block("docs/loop.md", "for pod in", CLUSTER),
    Block("docs/openshift/backup.md", "python -c", f"{RUN}test_the_state_of_one_machine_is_copied_while_it_is_used"),
    Block("docs/openshift/install.md", "export BRAKELINE_KFP_URL", CLUSTER),
    Block("docs/operations.md", "<keep>/", "tests/objects/test_real_store.py::test_the_real_store_keeps_the_promises"),
    Block("docs/recorded.md", "# contract: 2", f"{RUN}test_the_form_of_recorded_stops_is_read"),
    Block(
        "docs/registry.md", "<keep>/", "tests/register/test_keeping.py::test_versions_outlive_the_run_that_made_them"
    ),
    Block("docs/scenarios.md", "python build.py run", f"{RUN}test_the_scenario_of_the_page_is_driven"),
    Block("docs/scenarios.md", "name: my-valley", f"{RUN}test_the_scenario_of_the_page_is_driven"),
    Block("docs/scenarios.md", "reading =", PICTURE),
    Block(
        "docs/telemetry.md",
        "python build.py images",
        "tests/compose/test_monitoring.py::test_it_comes_up_under_either_compose",
    ),
    Block("docs/telemetry.md", "oc create token", CLUSTER),
    Block("examples/drivelog/README.md", "cd examples", f"{EXAMPLE}test_the_commands_of_the_readme_do_what_it_says"),
    Block("examples/drivelog/README.md", "image=", f"{EXAMPLE}test_the_image_of_the_readme_is_built"),
    Block("examples/drivelog/README.md", ".venv/bin/python", COMPILED),
    Block("examples/drivelog/README.md", '{"event"', f"{EXAMPLE}test_the_commands_of_the_readme_do_what_it_says"),
    Block("manifests/README.md", "oc create secret", f"{SECRETS}test_a_store_makes_the_connection_that_a_person_would"),
    Block(
        "manifests/README.md", "openssl rand", f"{SECRETS}test_a_store_makes_the_databases_password_that_a_person_would"
    ),
    Block(
        "manifests/README.md",
        "python build.py manifests  ",
        "tests/manifests/test_real_api.py::test_every_object_is_stored_as_it_was_sent",
    ),
    Block("manifests/README.md", "python build.py manifests gitops", CLUSTER),
    Block("serving/README.md", "curl -s localhost", "tests/test_readme.py::test_the_questions_by_curl_are_answered"),
    Block("steps/synthesize/README.md", '{"step"', PRINTED),
    Block("steps/train/README.md", '{"step"', PRINTED),
    Block("steps/validate/README.md", '{"step"', f"{RUN}test_the_steps_readmes_are_a_chain_that_runs"),
    Block("steps/register/README.md", '{"step"', PRINTED),
    Block("steps/deploy/README.md", '{"step"', PRINTED),
    Block("steps/base/README.md", "foundation ", PICTURE),
)

"""The security list (sections Security and SSRF of the facts, I6), and the tests of each line."""

from collections.abc import Mapping

HERE = "tests/integration/test_security_list.py"
FLOWER = "tests/integration/test_flower.py"
ACL = "tests/integration/test_acl.py"
DEPLOY = "tests/unit/test_deploy.py"
HOSTILITY = "tests/unit/recipes/test_recipe_hostility.py"
LOADING = "tests/unit/recipes/test_recipe_loading.py"
ADDRESSES = "tests/unit/models/test_addresses.py"
DIALLING = "tests/integration/test_webhook_dialling.py"
DELIVERER = "tests/integration/test_webhook_deliverer.py"
PROMISES = "tests/acceptance/test_promises.py"

PROVED: Mapping[str, tuple[str, ...]] = {
    # -- Security --
    "JSON only in Celery: pickle is remote code execution": (
        f"{HERE}::test_json_only_a_pickle_is_never_opened",
        f"{HERE}::test_a_pickle_would_have_run_where_it_is_allowed",
        "tests/integration/test_store_doorbell.py::test_only_json_is_accepted",
    ),
    "Task arguments are ids": (
        "tests/integration/test_store_doorbell.py::test_messages_carry_ids_only",
        f"{PROMISES}::test_no_key_and_no_prompt_leaks",
    ),
    "Flower: loopback, or a password; else it does not start": (
        f"{FLOWER}::test_it_listens_on_loopback_only",
        f"{FLOWER}::test_it_refuses_a_door_open_to_the_network",
        f"{FLOWER}::test_with_a_password_from_a_secrets_file_it_opens_to_who_knows_it",
        f"{FLOWER}::test_without_a_password_it_shows_and_does_nothing",
    ),
    "Redis: an ACL file, noeviction, AOF every second": (
        f"{ACL}::test_everything_else_is_refused",
        f"{ACL}::test_the_services_work_with_these_rights_and_use_no_others",
        f"{ACL}::test_nobody_enters_without_a_password",
        f"{ACL}::test_the_server_keeps_what_it_took_and_refuses_when_full",
        f"{DEPLOY}::test_the_acl_grants_nothing_that_looks_at_or_changes_the_server",
    ),
    "Secrets in SecretStr, scrubbed from exceptions and task arguments": (
        "tests/unit/models/test_settings.py::test_secrets_are_never_in_the_repr",
        "tests/unit/models/test_settings.py::test_a_bad_secret_is_not_told_either",
        "tests/integration/test_gateway_secrets.py::test_no_fault_or_log_tells_the_key_or_the_prompt",
        "tests/integration/test_gateway_secrets.py::test_the_gateway_itself_does_not_show_its_key",
        f"{FLOWER}::test_no_page_tells_a_secret",
    ),
    "Webhook secrets encrypted at rest": (
        f"{HERE}::test_a_webhooks_secret_is_in_no_file_as_it_is",
        "tests/conformance/test_submitting_webhooks.py::test_a_secret_is_sealed_with_the_key",
        "tests/unit/models/test_sealing.py::test_another_key_opens_nothing_and_says_what_to_do",
    ),
    "I6: canaries through every error path: logs, database, broker, events, webhooks, pages": (
        f"{PROMISES}::test_no_key_and_no_prompt_leaks",
        "tests/acceptance/test_batch_discretion.py::test_no_key_and_no_prompt_leaks_by_batch",
        "tests/acceptance/test_fault_slice.py::test_the_slice_of_the_fault_campaign_holds",
        f"{DELIVERER}::test_nothing_secret_is_kept",
    ),
    "Templates: sandbox, no time or memory bomb, StrictUndefined": (
        f"{HOSTILITY}::test_bombs",
        f"{HOSTILITY}::test_escapes",
        f"{HOSTILITY}::test_refused_statements",
        f"{HOSTILITY}::test_what_a_row_lacks_is_named",
        f"{HOSTILITY}::test_braces_in_data",
    ),
    "Exports: a prefix for cells that spreadsheets run": (
        "tests/unit/test_exports.py::test_cells_that_look_like_formulas_are_disarmed",
    ),
    "Paths below their root; no devices or FIFOs": (
        f"{LOADING}::test_files_outside_the_folder",
        f"{LOADING}::test_devices_and_fifos",
        "tests/unit/readers/test_input_files.py::test_what_is_not_a_file_is_refused_at_once",
        "tests/unit/cli/test_bad_files.py::test_what_is_no_file_is_named_at_once",
    ),
    "Model output is data: no shell, SQL, template, file name, URL, or HTML": (
        f"{HERE}::test_what_a_model_says_is_data",
        "tests/unit/test_security_table.py::test_nothing_of_ours_runs_text",
        "tests/unit/dashboard/test_assets.py::"
        "test_no_template_lets_data_through_unescaped_or_breaks_the_policy",
        "tests/integration/test_dashboard.py::test_hostile_words_are_only_words",
        "tests/integration/test_dashboard_job.py::test_hostile_text_is_text",
        "tests/integration/test_dashboard_evaluation.py::test_hostile_text_is_text",
        "tests/integration/test_dashboard_evaluation.py::test_scripts_in_a_report_never_run",
        "tests/integration/test_dashboard_training.py::test_hostile_text_is_text",
    ),
    "Container: not root, read-only, no new privileges": (
        f"{DEPLOY}::test_every_service_runs_with_as_little_as_it_needs",
        f"{DEPLOY}::test_the_image_is_built_from_what_the_lock_names",
        f"{DEPLOY}::test_nothing_is_published_beyond_this_machine",
        f"{DEPLOY}::test_no_secret_stands_in_the_file",
        f"{DEPLOY}::test_what_the_image_does_not_need_stays_out",
    ),
    "A lock with hashes; an SBOM": (
        f"{HERE}::test_every_line_of_every_lock_has_its_hash",
        "tests/integration/test_sbom.py::test_the_sbom_names_every_locked_package",
    ),
    # -- SSRF --
    "The address that is dialled is checked: nineteen tricks, DNS rebinding": (
        f"{DIALLING}::test_they_are_nineteen",
        f"{DIALLING}::test_by_address",
        f"{DIALLING}::test_by_name",
        f"{DIALLING}::test_dns_rebinding",
        f"{DIALLING}::test_without_rules_they_would_arrive",
    ),
    "Addresses that hide others are on a list of our own": (
        f"{ADDRESSES}::test_it_is_forbidden",
        f"{ADDRESSES}::test_nothing_that_python_calls_private_gets_through",
    ),
    "https and some ports only, no user in a URL": (
        f"{ADDRESSES}::test_a_bad_url_is_refused_with_advice",
        f"{DIALLING}::test_a_port_that_is_not_allowed",
    ),
    "No redirects, no proxies of the environment, no cookies": (
        f"{DIALLING}::test_a_redirect",
        f"{DIALLING}::test_a_proxy_in_the_environment",
        f"{DIALLING}::test_a_cookie_of_an_endpoint_is_not_kept",
    ),
    "64 KiB of an answer, 20 s in all, some connections per host": (
        f"{DELIVERER}::test_a_hostile_endpoint_fails_by_name_and_alone",
        f"{DELIVERER}::test_hanging_endpoints_delay_nobody",
        f"{DELIVERER}::test_an_endpoint_gets_a_few_at_once",
    ),
    "Networks of an intranet by an allow list": (
        f"{ADDRESSES}::test_own_networks_are_allowed_and_nothing_beside_them",
        f"{ADDRESSES}::test_the_rules_are_the_operators",
    ),
}
"""Line -> its tests, as `file::function`."""

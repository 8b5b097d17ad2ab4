"""The contract of the nightly jobs: each guarantee with the faults that it was tried by."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

GUARANTEES: dict[str, tuple[str, ...]] = {
    "1 one partition gives one output file, named from its key; a second run changes nothing": (
        "batch/test_tables.py::test_each_file_gives_one_output_named_after_it",
        "batch/test_tables.py::test_second_run_changes_no_byte_and_adds_no_file",
        "batch/test_tables.py::test_same_input_gives_the_same_bytes_in_another_folder",
        "batch/test_images.py::test_second_run_changes_no_byte_and_adds_no_file",
    ),
    "2 a file appears whole or not at all, wherever the run is killed": (
        "faults/test_commits.py::test_killed_at_any_step_and_run_again_nothing_is_lost_or_doubled",
        "faults/test_commits.py::test_killed_at_any_step_histories_go_on_as_if_nothing_had_been",
        "faults/test_commits.py::test_file_appears_whole_or_not_at_all",
        "faults/test_kills.py::test_ten_kills_at_random_leave_what_an_undisturbed_run_leaves",
        "faults/test_commits.py::test_killed_between_masks_and_run_again_every_mask_is_whole",
    ),
    "3 the ledger holds what a result was made of; rows in = rows out + rows quarantined": (
        "batch/test_tables.py::test_ledger_holds_what_a_result_was_made_of",
        "batch/test_tables.py::test_every_row_is_in_the_output_or_in_quarantine",
        "faults/test_commits.py::test_manifest_is_trusted_only_while_its_files_are_intact",
        "batch/test_images.py::test_mask_that_was_lost_is_drawn_again",
    ),
    "4 changed input, model, threshold or options are scored again; an alias is pinned": (
        "batch/test_tables.py::test_only_what_has_changed_is_scored_again",
        "batch/test_tables.py::"
        "test_alias_is_pinned_for_a_run_and_its_move_makes_the_next_run_score_again",
        "faults/test_commits.py::test_input_that_changes_while_it_is_scored_is_not_written_down",
    ),
    "5 the manifest is written last; readers trust only it": (
        "faults/test_commits.py::test_killed_at_any_step_and_run_again_nothing_is_lost_or_doubled",
        "faults/test_commits.py::test_killed_while_replacing_a_changed_day_readers_are_refused",
        "batch/test_hostile_folders.py::"
        "test_a_malformed_manifest_is_one_error_of_ours_for_every_reader",
    ),
    "6 one run holds an output folder; the next has it when that one is killed": (
        "faults/test_commits.py::test_two_runs_in_one_folder_the_second_is_refused",
        "faults/test_commits.py::test_lock_of_a_killed_run_is_free_again",
        "faults/test_workers.py::test_workers_of_a_killed_run_end_with_it_and_write_nothing_more",
        "faults/test_workers.py::test_a_run_that_lost_its_folder_writes_and_removes_nothing",
    ),
    "7 what cannot be read goes to quarantine and the job goes on; too much of it is exit 4": (
        "batch/test_images.py::"
        "test_images_that_cannot_be_decoded_go_to_quarantine_and_the_rest_is_scored",
        "batch/test_images.py::test_unusual_but_sound_images_are_scored",
        "batch/test_tables.py::test_bad_cells_of_a_csv_go_to_quarantine_by_row",
        "batch/test_tables.py::test_a_ragged_line_costs_its_row_and_no_other",
        "batch/test_tables.py::test_a_file_that_cannot_be_read_is_set_aside_and_the_others_are_scored",
        "batch/test_tables.py::test_empty_table_gives_an_empty_output",
        "batch/test_tables.py::test_too_much_in_quarantine_fails_after_everything_is_written",
        "cli/test_score.py::test_damaged_images_go_to_quarantine_and_too_many_are_exit_4",
        "data/images/decode/test_decode.py::test_a_file_cut_short_is_refused",
    ),
    "8 no score that is not finite ever counts as normal": (
        "batch/test_tables.py::test_no_score_that_is_not_finite_ever_counts_as_normal",
        "batch/test_tables.py::test_model_without_a_number_for_a_row_quarantines_it",
    ),
    "9 the columns are checked before the first row is scored": (
        "batch/test_tables.py::test_other_columns_are_refused_and_nothing_is_written",
        "cli/test_score.py::test_other_columns_are_refused_and_nothing_is_written",
    ),
    "10 a model that is not what it says is refused": (
        "test_persistence.py::test_one_flipped_bit_in_any_file_is_refused",
        "test_persistence.py::test_an_extra_file_is_refused",
        "test_persistence.py::test_a_newer_format_is_refused_with_the_remedy",
        "tracking/test_verified.py::test_one_bit_flipped_in_the_store_is_refused",
        "tracking/test_verified.py::test_added_and_missing_files_are_refused",
        "cli/test_score.py::test_a_model_of_the_wrong_kind_is_refused",
        "detectors/test_changed_models.py::test_a_value_that_its_field_does_not_have_is_refused",
    ),
    "11 a full disk is exit 74, leaves no temporary file and the earlier output": (
        "faults/test_commits.py::test_full_disk_leaves_no_temporary_and_the_earlier_output",
        "faults/test_commits.py::test_disk_that_fills_up_while_rows_are_written_ends_with_74",
        "cli/test_full_disk.py::test_it_ends_with_74_and_a_remedy_and_leaves_no_half_file",
        "cli/test_full_disk.py::test_a_full_disk_keeps_the_ledger_and_its_advice",
    ),
    "12 SIGTERM and SIGINT end a run in order": (
        "faults/test_commits.py::test_term_ends_in_order_with_143",
        "cli/test_cli_contract.py::test_an_interruption_is_exit_130",
    ),
    "13 images that would take too much memory are refused by their header": (
        "data/images/decode/test_decode.py::test_a_decompression_bomb_is_refused_by_its_header",
        "data/images/decode/test_decode.py::test_an_image_far_too_long_is_refused_by_its_header",
        "data/images/decode/test_decode.py::test_limits_on_pixels_and_bytes_hold",
        "batch/test_images.py::test_an_image_that_memory_does_not_suffice_for_is_quarantined",
    ),
    "14 paths in manifests lead nowhere else": (
        "data/images/folders/test_listing.py::test_a_manifest_cannot_name_what_is_outside",
        "data/images/folders/test_listing.py::test_a_folder_cannot_link_to_what_is_outside",
        "batch/test_images.py::test_manifest_that_leads_out_of_its_folder_is_refused",
        "batch/test_hostile_folders.py::"
        "test_a_ledger_row_that_no_run_writes_ends_the_run_before_anything_is_removed",
    ),
    "15 nothing is unpickled": (
        "test_architecture.py::test_no_module_loads_a_pickle",
        "tracking/test_verified.py::test_hostile_pickle_is_never_opened",
        "tracking/test_verified.py::test_mlmodel_that_would_run_other_code_is_refused",
    ),
    "16 every network call ends; an outage of the tracking store loses no score": (
        "tracking/test_server.py::test_port_that_says_nothing_is_given_up_within_seconds",
        "tracking/databases/test_live_server.py::test_a_model_lives_on_a_server_over_sqlite",
        "tracking/test_patience.py::test_a_server_that_drips_is_away",
        "cli/test_score.py::test_registry_away_is_exit_69_unless_the_cached_copy_is_asked_for",
    ),
    "17 logs are JSON lines where asked for, and hold no data of a row": (
        "batch/test_logs.py::test_every_line_parses_and_no_value_of_a_row_appears",
        "cli/test_score.py::test_log_json_tells_errors_as_objects_too",
        "cli/test_credentials.py::test_a_password_is_shown_nowhere",
    ),
}


@cache
def functions_of(file: str) -> dict[str, ast.FunctionDef]:
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_every_guarantee_has_tests_that_run(guarantee):
    for named in GUARANTEES[guarantee]:
        file, _, name = named.partition("::")
        assert name.startswith("test_"), named
        assert name in functions_of(file), f"there is no {named}"
        marks = " ".join(map(ast.unparse, functions_of(file)[name].decorator_list))
        assert not re.search(r"mark\.(skip|xfail)\b", marks), f"{named} does not run"


def test_the_seventeen_guarantees_are_all_there():
    assert [int(text.partition(" ")[0]) for text in GUARANTEES] == list(range(1, 18))

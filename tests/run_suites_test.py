#!/usr/bin/env python3
"""What was not seen to pass has failed."""

import json
import pathlib
import tempfile
import unittest

import run_suites
from run_suites import Outcome, Suite

PASSED = '<TestCase name="a good case"><OverallResult success="true"/></TestCase>'
FAILED = """
<TestCase name="a bad case">
  <Info> lease := 3 </Info>
  <Expression success="false" type="CHECK" filename="../x.cc" line="7">
    <Original> lease == 4 </Original> <Expanded> 3 == 4 </Expanded>
  </Expression>
  <OverallResult success="false"/>
</TestCase>"""
CRASHED = """
<TestCase name="a deadly case">
  <Expression success="false" filename="x.cc" line="9">
    <Original> unknown </Original> <Expanded> unknown </Expanded>
    <FatalErrorCondition filename="x.cc" line="9"> SIGSEGV </FatalErrorCondition>
  </Expression>
  <OverallResult success="false"/>
</TestCase>"""


class OutcomeOfCatch2Suite(unittest.TestCase):
    def outcome(self, text, result="OK"):
        with tempfile.TemporaryDirectory() as folder:
            results = pathlib.Path(folder) / "unit.xml"
            if text is not None:
                results.write_text(text)
            suite = Suite("unit", set(), 1, results)
            entry = {"result": result, "returncode": 1, "duration": 2.5}
            return run_suites.outcome_of(suite, entry)

    def test_cases_are_counted_in_the_files_of_both_versions(self):
        for text in (
            f"<Catch><Group>{PASSED}{PASSED}</Group></Catch>",
            f"<Catch2TestRun>{PASSED}{PASSED}</Catch2TestRun>",
        ):
            self.assertEqual(self.outcome(text), Outcome(2, [], 2.5))

    def test_a_failed_case_is_told_with_place_and_values(self):
        outcome = self.outcome(f"<Catch>{PASSED}{FAILED}</Catch>", "FAIL")
        self.assertEqual(outcome.passed, 1)
        self.assertEqual(
            outcome.failures,
            ["a bad case\n    with lease := 3\n    x.cc:7: CHECK( lease == 4 ) is 3 == 4"],
        )

    def test_a_case_without_assertions_is_a_failure(self):
        empty = PASSED.replace("true", "false")
        outcome = self.outcome(f"<Catch>{empty}</Catch>", "FAIL")
        self.assertEqual(outcome.failures, ["a good case\n    asserts nothing"])

    def test_a_crash_that_catch2_saw_is_one_failure(self):
        outcome = self.outcome(f"<Catch>{PASSED}{CRASHED}</Catch>", "FAIL")
        self.assertEqual((outcome.passed, len(outcome.failures)), (1, 1))
        self.assertIn("SIGSEGV", outcome.failures[0])

    def test_a_file_that_ends_within_a_case_fails_that_case_even_with_status_0(self):
        outcome = self.outcome(f'<Catch>{PASSED}<TestCase name="the end">')
        self.assertEqual((outcome.passed, len(outcome.failures)), (1, 1))
        self.assertIn("the end", outcome.failures[0])

    def test_a_file_that_ends_between_cases_or_is_garbled_is_a_failure(self):
        for text in (f"<Catch>{PASSED}", "", f"<Catch>{PASSED}<<<"):
            self.assertEqual(len(self.outcome(text).failures), 1, text)

    def test_no_result_file_is_a_failure(self):
        self.assertEqual(self.outcome(None).failures, ["left no result file"])

    def test_a_suite_without_cases_is_a_failure(self):
        self.assertEqual(self.outcome("<Catch></Catch>").failures, ["holds no test case"])

    def test_a_bad_status_after_cases_that_all_passed_is_a_failure(self):
        outcome = self.outcome(f"<Catch>{PASSED}</Catch>", "FAIL")
        self.assertEqual(outcome.failures, ["ended with FAIL, status 1"])


class OutcomeOfOtherSuite(unittest.TestCase):
    def test_only_ok_is_a_pass(self):
        suite = Suite("install", set(), 1, None)
        for result, passed in (("OK", 1), ("FAIL", 0), ("TIMEOUT", 0), ("SKIP", 0)):
            outcome = run_suites.outcome_of(suite, {"result": result, "duration": 1.0})
            self.assertEqual((outcome.passed, len(outcome.failures)), (passed, 1 - passed), result)

    def test_a_suite_that_is_not_in_the_log_is_a_failure(self):
        outcome = run_suites.outcome_of(Suite("install", set(), 1, None), None)
        self.assertEqual(outcome.failures, ["did not run"])


class Selection(unittest.TestCase):
    suites = [
        Suite("unit", {"quick"}, 1, None),
        Suite("wraps", {"unit", "quick", "release"}, 1, None),
        Suite("crash", {"release", "threads"}, 60, None),
    ]

    def names(self, names=(), wanted=None, unwanted=None):
        return [suite.name for suite in run_suites.selected(self.suites, names, wanted, unwanted)]

    def test_all_without_names(self):
        self.assertEqual(self.names(), ["unit", "wraps", "crash"])

    def test_by_name_or_label(self):
        self.assertEqual(self.names(["unit"]), ["unit", "wraps"])
        self.assertEqual(self.names(["crash"]), ["crash"])

    def test_by_what_a_build_runs(self):
        self.assertEqual(self.names(wanted="quick"), ["unit", "wraps"])
        self.assertEqual(self.names(unwanted="release"), ["unit"])
        self.assertEqual(self.names(["crash"], unwanted="release"), [])


class WhatMesonSays(unittest.TestCase):
    def test_suites_of_subprojects_are_left_out(self):
        environment = {"JACK_SUITE_SECONDS": "4"}
        tests = [
            {
                "name": "unit",
                "suite": ["jack:quick"],
                "cmd": ["test_unit", "--out", "unit.xml"],
                "env": environment,
            },
            {"name": "other", "suite": ["catch2:all"], "cmd": ["other"], "env": {}},
        ]
        self.assertEqual(
            run_suites.suites_of(tests), [Suite("unit", {"quick"}, 4, pathlib.Path("unit.xml"))]
        )

    def test_the_log_is_read_by_name(self):
        lines = [json.dumps({"name": "jack:quick+unit / wraps", "result": "OK"})]
        self.assertEqual(run_suites.log_of(lines)["wraps"]["result"], "OK")


if __name__ == "__main__":
    unittest.main()

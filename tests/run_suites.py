#!/usr/bin/env python3
"""Runs suites of one build directory and counts what passed and what failed.

A TEST_CASE of a Catch2 suite counts as one, and so does a suite of any other kind. What was not
seen to pass has failed: a suite that crashed, ran out of time, left no whole result file, held no
test case, was skipped, or never started. Catch2 writes its result file as it goes, so the cases
before a crash still count.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree

PROJECT = "jack"
UNKNOWN_SUITE = 64


@dataclasses.dataclass
class Suite:
    name: str
    labels: set[str]
    seconds: int  # expected, on the release build
    results: pathlib.Path | None  # where Catch2 writes; None for any other program


@dataclasses.dataclass
class Outcome:
    passed: int = 0
    failures: list[str] = dataclasses.field(default_factory=list)
    seconds: float = 0.0


def suites_of(tests):
    """The project's suites, from what `meson introspect --tests` says."""
    suites = []
    for test in tests:
        labels = {label.partition(":")[2] for label in test["suite"]}
        if not any(label.partition(":")[0] == PROJECT for label in test["suite"]):
            continue  # of a subproject
        command = test["cmd"]
        results = pathlib.Path(command[command.index("--out") + 1]) if "--out" in command else None
        seconds = int(test["env"]["JACK_SUITE_SECONDS"])
        suites.append(Suite(test["name"], labels, seconds, results))
    return suites


def names_of(suite):
    return suite.labels | {suite.name}


def selected(suites, names, wanted, unwanted):
    """Those called by a name or label of `names` (all, if it is empty), by their labels."""
    return [
        suite
        for suite in suites
        if (not names or names_of(suite) & set(names))
        and (not wanted or wanted in suite.labels)
        and unwanted not in suite.labels
    ]


def log_of(lines):
    """The last word on each suite, by its name, from the lines of Meson's testlog.json."""
    entries = (json.loads(line) for line in lines)
    return {entry["name"].rpartition(" / ")[2]: entry for entry in entries}


def outcome_of(suite, entry):
    """What became of a suite, from its result file and its entry in Meson's log, if it has one."""
    if entry is None:
        return Outcome(failures=["did not run"])
    outcome = Outcome(seconds=entry["duration"])
    if suite.results is None:
        outcome.passed = int(entry["result"] == "OK")
    elif suite.results.exists():
        read_cases(suite.results.read_text(errors="replace"), outcome)
    else:
        outcome.failures.append("left no result file")

    if not outcome.failures and entry["result"] != "OK":
        outcome.failures.append(f"ended with {entry['result']}, status {entry.get('returncode')}")
    if not outcome.failures and outcome.passed == 0:
        outcome.failures.append("holds no test case")
    return outcome


def read_cases(text, outcome):
    """Adds the cases of a Catch2 result file, which ends early if the suite did."""
    parser = xml.etree.ElementTree.XMLPullParser(["start", "end"])
    parser.feed(text)
    started = None
    whole = False
    try:
        for event, element in parser.read_events():
            if event == "end" and element.tag in ("Catch", "Catch2TestRun"):
                whole = True
            if element.tag != "TestCase":
                continue
            started = element.get("name") if event == "start" else None
            if event == "start":
                continue
            if element.find("OverallResult").get("success") == "true":
                outcome.passed += 1
            else:
                outcome.failures.append(describe(element))
    except xml.etree.ElementTree.ParseError:
        whole = False
    if started is not None:
        outcome.failures.append(f"{started}\n    the suite ended within this case")
    elif not whole:
        outcome.failures.append("the suite ended between two cases")


def describe(case):
    """The name of a failed case, and a line for each thing that went wrong in it."""
    lines = [case.get("name")]
    for element in case.iter():
        text = " ".join((element.text or "").split())
        place = f"    {element.get('filename', '').removeprefix('../')}:{element.get('line')}: "
        if element.tag == "Expression" and element.find("FatalErrorCondition") is not None:
            continue  # which has a line of its own
        if element.tag == "Expression" and element.get("success") == "false":
            original, expanded = (
                " ".join(element.findtext(part, "").split()) for part in ("Original", "Expanded")
            )
            lines.append(f"{place}{element.get('type', '')}( {original} ) is {expanded}")
        elif element.tag in ("Failure", "Exception", "FatalErrorCondition"):
            lines.append(f"{place}{text}")
        elif element.tag in ("Info", "Warning"):
            lines.append(f"    with {text}")
    if len(lines) == 1:
        lines.append("    asserts nothing")
    return "\n".join(lines)


def print_report(title, suites, outcomes, slower):
    print(f"\n{title}:")
    print(f"  {'suite':<20} {'passed':>7} {'failed':>7} {'time':>9} {'expected':>9}")
    for suite in suites:
        outcome = outcomes[suite.name]
        print(
            f"  {suite.name:<20} {outcome.passed:>7} {len(outcome.failures):>7}"
            f" {outcome.seconds:>7.1f} s {suite.seconds * slower:>7} s"
        )
    for suite in suites:
        for failure in outcomes[suite.name].failures:
            print(f"  FAILED {suite.name}: {failure}")
    print(flush=True)


def run(build, suites, slower):
    """Lets Meson build and run the suites, and returns what became of each, by its name."""
    log = build / "meson-logs" / "testlog.json"
    for stale in [log, *(suite.results for suite in suites if suite.results)]:
        stale.unlink(missing_ok=True)
    names = [f"{PROJECT}:{suite.name}" for suite in suites]
    # Most suites wait for some of their time, for leases to end and the like; where everything is
    # slower, they compute.
    processes = ["--num-processes", str((os.cpu_count() or 1) + (1 if slower == 1 else 0))]
    subprocess.run(
        ["meson", "test", "-C", build, "--print-errorlogs", "-t", str(slower), *processes, *names],
        check=False,
    )
    entries = log_of(log.read_text().splitlines()) if log.exists() else {}
    return {suite.name: outcome_of(suite, entries.get(suite.name)) for suite in suites}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("build", type=pathlib.Path, help="the build directory")
    parser.add_argument("tally", type=pathlib.Path, help="file that gets a line `PASSED FAILED`")
    parser.add_argument("names", nargs="*", help="names or labels of suites; all, if none is given")
    parser.add_argument("--title", required=True, help="what to call this build")
    parser.add_argument("--with", dest="wanted", help="only suites with this label")
    parser.add_argument("--without", dest="unwanted", help="no suites with this label")
    parser.add_argument("--slower", type=int, default=1, help="factor to the expected seconds")
    options = parser.parse_args()

    # The list is made when the build is configured, which may be due again.
    subprocess.run(["ninja", "-C", options.build, "--quiet", "build.ninja"], check=True)
    introspection = subprocess.run(
        ["meson", "introspect", "--tests", options.build], check=True, stdout=subprocess.PIPE
    )
    suites = suites_of(json.loads(introspection.stdout))
    known = set().union(*(names_of(suite) for suite in suites))
    if unknown := sorted(set(options.names) - known):
        print(f"no suite {', '.join(unknown)}; known: {', '.join(sorted(known))}", file=sys.stderr)
        return UNKNOWN_SUITE

    chosen = selected(suites, options.names, options.wanted, options.unwanted)
    if not chosen:
        print(f"{options.title}: none of these suites runs on this build", flush=True)
        return 0
    expected = sum(suite.seconds for suite in chosen) * options.slower
    print(f"{options.title}: {len(chosen)} of {len(suites)} suites, about {expected} s", flush=True)
    outcomes = run(options.build, chosen, options.slower)
    print_report(options.title, chosen, outcomes, options.slower)
    passed = sum(outcome.passed for outcome in outcomes.values())
    failed = sum(len(outcome.failures) for outcome in outcomes.values())
    with options.tally.open("a") as tally:
        tally.write(f"{passed} {failed}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Plants bugs, one after the other, and sees whether the tests notice.

    run.py [--by SUITE,...] [NUMBER...]

In a checkout whose build/ is up to date and which nobody else uses: `./dev sabotage` makes one. Each
patch is applied, what it touches is built, and suites run, the quickest first, until one fails; then
it is taken back, and that suite has to pass. What was not noticed, what does not apply and what does
not build has failed.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))
import run_suites  # noqa: E402

BUILD = "build"


def patches(numbers):
    """Paths by number, of all or of those wanted."""
    found = {int(path.name.split("-")[0]): path for path in sorted(FOLDER.glob("*.patch"))}
    unknown = set(numbers) - set(found)
    if unknown:
        sys.exit(f"no planted bug {', '.join(map(str, sorted(unknown)))}; there are {min(found)} to {max(found)}")
    return {number: path for number, path in found.items() if not numbers or number in numbers}


def quiet(*command):
    """The output of a command that failed, or nothing."""
    done = subprocess.run(command, capture_output=True, text=True)
    return "" if done.returncode == 0 else (done.stdout + done.stderr)[-4000:] or "failed"


def suites_to_run(only):
    tests = json.loads(subprocess.check_output(["meson", "introspect", "--tests", BUILD]))
    suites = run_suites.suites_of(tests)
    if unknown := set(only) - {suite.name for suite in suites}:
        sys.exit(f"no suite {', '.join(sorted(unknown))}")
    if only:
        return [suite for name in only for suite in suites if suite.name == name]
    return sorted(
        (suite for suite in suites if "sanitizer" not in suite.labels),
        key=lambda suite: suite.seconds,
    )


def fails(suite):
    return bool(quiet("meson", "test", "-C", BUILD, "--no-rebuild", f"jack:{suite.name}"))


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--by", type=lambda text: text.split(","), default=[])
    arguments.add_argument("numbers", nargs="*", type=int)
    options = arguments.parse_args()
    suites = suites_to_run(options.by)
    missed = 0
    for number, path in patches(options.numbers).items():
        began = time.monotonic()
        fault = quiet("patch", "--strip=1", "--forward", "--input", str(path))
        if fault:
            sys.exit(f"{path.name} does not apply:\n{fault}")
        fault = quiet("ninja", "-C", BUILD)
        noticed = None if fault else next(filter(fails, suites), None)
        left = quiet("patch", "--strip=1", "--reverse", "--input", str(path))
        left = left or quiet("ninja", "-C", BUILD)
        if left:
            sys.exit(f"{path.name} cannot be taken back:\n{left}")
        if noticed and fails(noticed):
            sys.exit(f"{noticed.name} fails without {path.name} too")
        missed += noticed is None
        said = (
            f"noticed by {noticed.name}"
            if noticed
            else "does not build" if fault else "NOT NOTICED"
        )
        print(f"{path.stem}: {said} ({time.monotonic() - began:.0f} s)", flush=True)
        if fault:
            print(fault)
    print(f"{len(patches(options.numbers)) - missed} noticed, {missed} not")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Replays a target's corpus and, where libFuzzer is built in, looks for more for a few seconds.

    fuzz.py PROGRAM CORPUS [OPTION...]

Further options go to libFuzzer. What makes the target fail is printed, in base64 too: it becomes a
file of the corpus, with a sentence of history in the commit.
"""

import pathlib
import subprocess
import sys
import tempfile


def main():
    program, corpus, *options = sys.argv[1:]
    if not any(pathlib.Path(corpus).iterdir()):
        sys.exit(f"{corpus} is empty")
    # What is found goes to the first folder, and must not go into the checkout.
    with tempfile.TemporaryDirectory() as found:
        command = [program, "-max_total_time=5", "-timeout=10", "-rss_limit_mb=1024", "-verbosity=0",
                   f"-artifact_prefix={found}/", *options, found, corpus]
        sys.exit(subprocess.run(command).returncode)


if __name__ == "__main__":
    main()

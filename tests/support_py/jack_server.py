"""A `jack serve` as tests start and end it, and what else waits for it.

Nothing here waits by sleeping. A test waits for an answer, for the ready line or for the end of a
process, each with a deadline.
"""

import json
import os
import pathlib
import select
import signal
import subprocess
import threading

import pytest

# Longer than anything takes on a machine that is busy with other things. Only a test that fails
# waits as long.
PATIENCE = 60


def environment_for(folder, **variables):
    """An environment that knows of no other server, with its state in this folder."""
    inherited = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith("JACK_") and name not in ("PORT", "A2A_JULES_PORT")
    }
    return inherited | {"XDG_STATE_HOME": str(folder)} | variables


class Server:
    """A `jack serve` of one data directory, whose log outlives restarts."""

    def __init__(self, jack, folder):
        self.jack = pathlib.Path(jack).absolute()
        self.folder = folder
        self.data_dir = folder / "data"
        self.log = folder / "serve.log"
        self.process = None
        self.flags = ()
        self.urls = []

    @property
    def url(self):
        return self.urls[0]

    def run(self, *arguments):
        """A command to its end: its status, and its outputs as text."""
        return subprocess.run(
            [str(self.jack), *map(str, arguments)],
            cwd=self.folder,
            env=environment_for(self.folder),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE,
            check=False,
        )

    def keys(self, *arguments):
        """What `jack keys` prints, which has to go well."""
        ran = self.run("keys", *arguments, "--data-dir", self.data_dir)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    def new_key(self, *arguments):
        return self.keys("new", *arguments)

    # --- From start to end ---

    def start(self, *flags, http=("--http", "127.0.0.1:0"), **variables):
        """Returns once it answers."""
        self.flags = flags
        arguments = ["serve", "--json", "--data-dir", str(self.data_dir), *http, *flags]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(self.jack), *arguments],
                cwd=self.folder,
                env=environment_for(self.folder, **variables),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        can_be_read, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        ready = self.process.stdout.readline() if can_be_read else b""
        if not ready.endswith(b"\n"):
            self.kill()
            pytest.fail(f"no server: {self.log.read_text(errors='replace')}")
        self.urls = json.loads(ready)["http"]

    def stop(self):
        """Ends it in order."""
        self.process.send_signal(signal.SIGTERM)
        status = self.end()
        assert status == 0, self.log.read_text(errors="replace")

    def kill(self):
        """Ends it without a warning."""
        self.process.kill()
        self.end()

    def restart(self):
        self.stop()
        self.start(*self.flags)

    def end(self):
        status = self.process.wait(PATIENCE)
        self.process.stdout.close()
        self.process = None
        return status

    def close(self):
        """Stops it, should it run. If it has ended by itself or does not end, the test fails."""
        if self.process is None:
            return
        try:
            self.stop()
        finally:
            if self.process is not None:
                self.kill()


def at_once(*acts):
    """Calls all acts at the same time, each in its own thread, and returns what they returned."""
    results = [None] * len(acts)
    failures = []
    start = threading.Barrier(len(acts))

    def call(number, act):
        try:
            start.wait(PATIENCE)
            results[number] = act()
        except BaseException as failure:  # raised again below, where the test hears of it
            failures.append(failure)

    threads = [threading.Thread(target=call, args=each) for each in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return results

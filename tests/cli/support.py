"""What the tests of the program share: a folder with an engine in it, commands, and gates.

Nothing here waits by sleeping. A test waits for a process to end, for a line to be printed, or at a
Gate: a named pipe that a command of the test opens when it has got somewhere.
"""

import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

# Longer than anything takes on a machine that is busy with other things. Only a test that fails
# waits as long.
PATIENCE = 60

JACK = pathlib.Path(os.environ["JACK_BINARY"] if "JACK_BINARY" in os.environ else sys.argv[1]).absolute()


def main():
    """To be called by each file of tests; the first argument is the program."""
    unittest.main(argv=sys.argv[:1] + sys.argv[2:], verbosity=2)


class Gate:
    """A named pipe: commands write to it with `echo x > PATH`, tests wait until they do."""

    def __init__(self, path):
        self.path = str(path)
        os.mkfifo(path)
        # Open both ways, so that nobody blocks in opening it and the end never closes.
        self.descriptor = os.open(path, os.O_RDWR)

    def wait(self, lines=1):
        """The next lines that were written."""
        signal.alarm(PATIENCE)  # ends the test, should nobody come
        text = b""
        while text.count(b"\n") < lines:
            text += os.read(self.descriptor, 1)
        signal.alarm(0)
        return text.decode().splitlines()

    def open(self, times=1):
        """Lets commands go on that wait with `read line < PATH`."""
        os.write(self.descriptor, b"go\n" * times)

    def close(self):
        os.close(self.descriptor)


class JackTest(unittest.TestCase):
    """A test with a folder of its own, from which every command runs."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="jack-cli-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.data_dir = self.folder / "data"
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("JACK_")
        }
        self.environment["JACK_DATA_DIR"] = str(self.data_dir)
        self.environment["JACK_HTTP_LISTEN"] = "off"  # its usual port may be somebody else's
        # Commands within `jack work` call the program by its name.
        self.environment["PATH"] = f"{JACK.parent}:{self.environment['PATH']}"
        self.processes = []
        self.addCleanup(self.end_processes)

    def end_processes(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()

    # --- Commands ---

    def start(self, *arguments, **options):
        """A command in the background. Its outputs are pipes."""
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        process = subprocess.Popen(
            [str(JACK), *map(str, arguments)],
            cwd=self.folder,
            env=options.pop("env", self.environment),
            **options,
        )
        self.processes.append(process)
        return process

    def run_jack(self, *arguments, stdin=b"", **variables):
        """A command to its end: its status, standard output and standard error, as bytes."""
        return subprocess.run(
            [str(JACK), *map(str, arguments)],
            cwd=self.folder,
            env=self.environment | variables,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=PATIENCE,
            check=False,
        )

    def jack(self, *arguments, status=0, stdin=b"", **variables):
        """The standard output of a command that ends with this status."""
        ended = self.run_jack(*arguments, stdin=stdin, **variables)
        self.assertEqual(ended.returncode, status, f"{arguments}: {ended.stderr.decode()}")
        return ended.stdout.decode()

    def refused(self, *arguments, status, stdin=b"", **variables):
        """The complaint of a command that ends with this status: one line, and no output."""
        ended = self.run_jack(*arguments, stdin=stdin, **variables)
        complaint = ended.stderr.decode()
        self.assertEqual(ended.returncode, status, f"{arguments}: {complaint}")
        self.assertEqual(ended.stdout, b"")
        self.assertEqual(complaint.count("\n"), 1, complaint)
        self.assertTrue(complaint.startswith("jack"), complaint)
        return complaint

    def json(self, *arguments, **options):
        return json.loads(self.jack(*arguments, "--json", **options))

    # --- The engine ---

    def serve(self, *arguments, **options):
        """An engine that accepts work."""
        engine = self.start("serve", *arguments, **options)
        ready = engine.stdout.readline().decode()
        if "ready" not in ready:
            self.fail(f"no engine: {engine.stderr.read().decode()}")
        engine.ready = ready
        return engine

    def stop(self, process, number=signal.SIGTERM, status=0):
        """Sends a signal, waits for the end, and gives what was written to standard error."""
        process.send_signal(number)
        return self.end(process, status)

    def end(self, process, status=0):
        output, errors = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, status, errors.decode())
        process.output = output
        return errors.decode()

    # --- Tasks ---

    def submit(self, *arguments, **options):
        return self.jack("submit", *arguments, **options).strip()

    def state(self, task):
        return self.json("show", task)["state"]

    def wait(self, task):
        """The state of a task once it has ended."""
        self.run_jack("result", task, "--wait-timeout", f"{PATIENCE}s")
        return self.state(task)

    def watch_until(self, target, event, after="0"):
        """Returns at the first event of this kind; the events until then."""
        watch = self.start("watch", target, "--after", after, "--json")
        seen = []
        for line in watch.stdout:
            seen.append(json.loads(line))
            if seen[-1]["event"] == event:
                watch.kill()
                watch.communicate()
                return seen
        self.fail(f"watch ended: {watch.stderr.read().decode()}")

    def work(self, queue, *arguments, **options):
        """A worker to its end, which --until-empty or --max brings about. The command is a script."""
        *flags, script = arguments
        if not {"--max", "--until-empty"} & set(flags):
            flags.append("--until-empty")
        return self.jack("work", queue, *flags, "--", "sh", "-c", script, **options)

    def start_work(self, queue, *arguments, **options):
        *flags, script = arguments
        return self.start("work", queue, *flags, "--", "sh", "-c", script, **options)

    def hold(self, process):
        """A process by its id, for wait_for_end(), even if nobody here has started it."""
        descriptor = os.pidfd_open(int(process))
        self.addCleanup(os.close, descriptor)
        return descriptor

    def wait_for_end(self, *held):
        for descriptor in held:  # readable once its process has ended
            self.assertTrue(select.select([descriptor], [], [], PATIENCE)[0], "it goes on")

    def gate(self, name):
        gate = Gate(self.folder / name)
        self.addCleanup(gate.close)
        return gate

#!/usr/bin/python3
"""A task that ends whoever works on it is handed out as often as it asked for, and then has failed.

    poison_test.py JACK ABORTING_PROGRAM
"""

import signal
import subprocess

import rig

ATTEMPTS = 3


class Poison(rig.CrashTest):
    def begin_worker(self):
        return self.begin(
            "work", "poison", "--lease", "1s", "--",
            "sh", "-c", f'echo "$JACK_ATTEMPT $JACK_TOKEN" >> {self.folder}/runs; kill -9 $PPID; '
                        f'read line < {self.stay.path}',
        )  # fmt: skip

    def submit(self):
        self.stay = self.gate("stay")
        return self.jack(
            "submit", "poison", "--attempts", ATTEMPTS, "--backoff", "1ms", "--backoff-jitter", "0"
        ).strip()  # fmt: skip

    def supervise(self, task, after_each):
        """Starts the worker anew whenever it has ended, as a supervisor does, until the task ends."""
        deaths = 0
        while deaths < ATTEMPTS:
            worker = self.begin_worker()
            self.assertEqual(worker.wait(rig.PATIENCE), -signal.SIGKILL)
            deaths += 1
            after_each()
        last = self.begin_worker()
        self.assertEqual(self.wait(task), "failed")
        self.assertIsNone(last.poll(), "it was handed out once more")
        last.terminate()
        self.assertEqual(last.wait(rig.PATIENCE), 0)

    def check(self, task):
        shown = self.show(task)
        self.assertEqual((shown["state"], shown["attempt"]), ("failed", ATTEMPTS))
        self.assertEqual([each["outcome"] for each in shown["attempts"]], ["lost"] * ATTEMPTS)
        self.assertNotEqual(shown["error"], "")
        runs = [line.split() for line in (self.folder / "runs").read_text().splitlines()]
        self.assertEqual([int(attempt) for attempt, _ in runs], [1, 2, 3])
        tokens = [int(token) for _, token in runs]
        self.assertEqual(tokens, sorted(set(tokens)))

    def test_a_command_that_kills_its_worker_fails_once_its_attempts_are_used_up(self):
        self.serve()
        task = self.submit()
        self.supervise(task, lambda: None)
        self.check(task)

    def test_restarts_of_the_engine_in_between_change_nothing(self):
        engine = self.serve()
        task = self.submit()

        def restart():
            engine.kill()
            self.restart(engine)

        self.supervise(task, restart)
        self.check(task)
        engine.stop()
        self.restart(engine)
        self.check(task)

    def run_program(self, *arguments):
        return subprocess.run(
            [str(rig.EXTRAS[0]), str(self.data_dir), *map(str, arguments)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            timeout=rig.PATIENCE, check=False,
        )  # fmt: skip

    def test_a_handler_that_aborts_its_program_fails_once_its_attempts_are_used_up(self):
        ended = self.run_program(ATTEMPTS)
        self.assertEqual(ended.returncode, -signal.SIGABRT, ended.stderr)
        task = ended.stdout.decode().strip()
        for _ in range(ATTEMPTS - 1):
            ended = self.run_program()
            self.assertEqual((ended.returncode, ended.stdout), (-signal.SIGABRT, b""), ended.stderr)
        ended = self.run_program()
        self.assertEqual(ended.returncode, 0, ended.stderr)
        told = ended.stdout.decode().splitlines()
        self.assertEqual(told, [f"failed after {ATTEMPTS}"] + ["lost"] * ATTEMPTS)
        self.serve()
        self.assertEqual(self.show(task)["state"], "failed")


if __name__ == "__main__":
    rig.main()

#!/usr/bin/python3
"""Two workers never hold one lease: what comes under the one that has ended changes nothing.

    fencing_test.py JACK
"""

import pathlib
import signal
import subprocess
import sys

import rig

WORKER = pathlib.Path(__file__).parent.parent / "python" / "jack_worker.py"

LEASE_MS = 1000


class Fencing(rig.CrashTest):
    def setUp(self):
        super().setUp()
        self.serving = self.serve()

    def submit(self):
        return self.jack("submit", "q", "payload", "--backoff", "1ms", "--backoff-jitter", "0").strip()

    def test_a_worker_that_was_stopped_past_its_lease_does_not_overwrite_the_result(self):
        begun, finish = self.gate("begun"), self.gate("finish")
        task = self.submit()
        first = self.begin(
            "work", "q", "--lease", "1s", "--name", "first", "--",
            "sh", "-c", f"echo $JACK_TOKEN > {begun.path}; read line < {finish.path}; echo first",
        )  # fmt: skip
        token = int(begun.wait())
        first.send_signal(signal.SIGSTOP)
        # Its command goes on, and has its result ready for when the worker goes on too.
        second = self.begin(
            "work", "q", "--max", "1", "--name", "second", "--", "sh", "-c", "echo second $JACK_TOKEN",
        )  # fmt: skip
        self.assertEqual(second.wait(rig.PATIENCE), 0)
        words = self.jack("result", task).split()
        self.assertEqual(words[0], "second")
        self.assertGreater(int(words[1]), token)
        before = self.show(task)

        finish.open()
        first.send_signal(signal.SIGCONT)
        # It has understood, and works on: the next task is its own.
        other = self.submit()
        begun.wait()
        finish.open()
        self.assertEqual(self.wait(other), "succeeded")
        self.assertEqual(self.jack("result", other), "first\n")
        first.terminate()
        self.assertEqual(first.wait(rig.PATIENCE), 0)

        after = self.show(task)
        for what in ("state", "attempt", "serial"):
            self.assertEqual(after[what], before[what])
        self.assertEqual(self.jack("result", task).split(), words)
        self.assertEqual([each["outcome"] for each in before["attempts"]], ["lost", "succeeded"])
        self.assertEqual(before["attempts"][1]["worker"], "second")

    def test_a_stopped_worker_is_told_that_its_lease_is_lost(self):
        task = self.jack("submit", "q", "sleep 0.3", "--backoff", "1ms").strip()
        first = subprocess.Popen(
            [sys.executable, str(WORKER), "--data-dir", str(self.data_dir), "--queue", "q",
             "--lease", str(LEASE_MS)],
            stdout=subprocess.PIPE,
        )  # fmt: skip
        self.processes.append(first)
        self.assertEqual(self.line_of(first, "attempt"), ["1", "sleep", "0.3"])
        token = int(self.show(task)["token"])
        first.send_signal(signal.SIGSTOP)
        second = self.begin("work", "q", "--max", "1", "--", "echo", "second")
        self.assertEqual(second.wait(rig.PATIENCE), 0)
        first.send_signal(signal.SIGCONT)
        # It resumes the lease if the task is not done yet, settles it otherwise; both are refused.
        self.assertIn(self.line_of(first, "lost", "settled"), (["1", str(rig.LEASE_LOST)], [str(token)]))
        self.assertEqual(self.jack("result", task), "second\n")

    def line_of(self, worker, *wanted):
        """The rest of the next line that begins with a wanted word."""
        end = rig.deadline()
        while line := rig.read_line(worker.stdout, end).decode():
            word, *rest = line.split()
            if word in wanted:
                return rest
        self.fail(f"the worker does not say {wanted}")

    def test_nothing_that_is_said_under_an_ended_lease_changes_the_task(self):
        task = rig.id_of(self.submit())
        first = self.peer(self.serving, "first")
        [[claimed, old, attempt]] = first.claim("q", lease_ms=LEASE_MS)
        self.assertEqual((claimed, attempt), (task, 1))
        # Silence ends the lease.
        second = self.peer(self.serving, "second")
        [[claimed, new, attempt]] = second.claim("q", lease_ms=60_000)
        self.assertEqual((claimed, attempt), (task, 2))
        self.assertGreater(new, old)

        def read():
            return second.call(rig.GET, task, True)[:2]

        def try_all(token):
            first.items(rig.WORK, 1, 0, LEASE_MS, ["elsewhere"])
            return [first.items(rig.SETTLE, [[task, token, rig.OUTCOME_SUCCEEDED, False, b"first", "", []]]),
                    first.items(rig.SETTLE, [[task, token, rig.OUTCOME_FAILED, False, "no", False, None]]),
                    first.items(rig.SETTLE, [[task, token, rig.OUTCOME_RELEASED, False, None]]),
                    first.items(rig.EXTEND, [[task, token, 60_000]]),
                    first.items(rig.OUTPUT, [[task, token, b"words"]]),
                    first.items(rig.PROGRESS, [[task, token, 500, "half"]]),
                    first.items(rig.RESUME, 1, [[task, token]])]  # fmt: skip

        running = read()
        self.assertEqual(try_all(old), [[rig.LEASE_LOST]] * 7)
        self.assertEqual(read(), running)
        self.assertEqual(second.succeed(task, new, b"second"), rig.OK)
        ended = read()
        self.assertEqual(try_all(old), [[rig.LEASE_LOST]] * 7)
        self.assertEqual(read(), ended)
        self.assertEqual(second.result(task), (rig.SUCCEEDED, b"second", ""))
        # The same settle again gets the same answer again.
        self.assertIn(second.succeed(task, new, b"second"), (rig.OK, rig.KNOWN))

        self.serving.kill()
        self.restart(self.serving)
        first, second = self.peer(self.serving, "first"), self.peer(self.serving, "second")
        self.assertEqual(first.succeed(task, old, b"first"), rig.LEASE_LOST)
        self.assertIn(second.succeed(task, new, b"second"), (rig.OK, rig.KNOWN))
        self.assertEqual(second.result(task), (rig.SUCCEEDED, b"second", ""))

    def test_tokens_grow_over_restarts_of_the_engine(self):
        task = rig.id_of(self.submit())
        tokens = []
        for _ in range(4):
            worker = self.peer(self.serving, "worker")
            [[claimed, token, attempt]] = worker.claim("q", lease_ms=LEASE_MS)
            self.assertEqual((claimed, attempt), (task, 1))
            tokens.append(token)
            self.assertEqual(
                worker.items(rig.SETTLE, [[task, token, rig.OUTCOME_RELEASED, False, None]]), [rig.OK])
            worker.close()
            self.serving.kill()
            self.restart(self.serving)
        self.assertEqual(tokens, sorted(set(tokens)))

    def test_a_connection_that_ends_gives_its_leases_back(self):
        task = rig.id_of(self.submit())
        gone = self.peer(self.serving, "gone")
        [[_, old, _]] = gone.claim("q", lease_ms=60_000)
        gone.close()
        # Within the five seconds in which it might have come back, not after a minute.
        stays = self.peer(self.serving, "stays")
        [[claimed, new, attempt]] = stays.claim("q", lease_ms=60_000)
        self.assertEqual((claimed, attempt), (task, 2))
        self.assertEqual(stays.succeed(task, old, b"gone"), rig.LEASE_LOST)
        self.assertEqual(stays.succeed(task, new, b"stays"), rig.OK)


if __name__ == "__main__":
    rig.main()

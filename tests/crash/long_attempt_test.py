#!/usr/bin/python3
"""A command that takes longer than its engine lives goes on over restarts, in one attempt.

    long_attempt_test.py JACK

JACK_ATTEMPT_SECONDS=120 makes it a command of two minutes.
"""

import json
import os
import signal

import rig

RESTARTS = [signal.SIGTERM, signal.SIGKILL, signal.SIGKILL]
LEASE_SECONDS = 3
# More than a lease goes by before each restart and after the last one: what keeps the attempt is
# that its worker extends the lease at each engine. (It used to take less than one lease in all.)
SECONDS = int(os.environ.get("JACK_ATTEMPT_SECONDS", (LEASE_SECONDS + 1) * (len(RESTARTS) + 1)))
PART_SECONDS = SECONDS / (len(RESTARTS) + 1)


class LongAttempt(rig.CrashTest):
    def restart_by(self, engine, number):
        engine.process.send_signal(number)
        self.assertEqual(engine.gone(), 0 if number == signal.SIGTERM else -number, engine.said())
        self.restart(engine)

    def resumed(self, task):
        """The task, once the worker has come back to this engine."""
        # Of the engine's facts this one says that a session holds a lease again.
        end = rig.deadline()
        reader = self.peer(self.running)
        while rig.left(end):
            facts = reader.call(rig.INFO)[0]
            if facts["leases"] == "1" and int(facts["sessions"]) >= 2:
                return self.show(task)
            reader.receive(0.05)
        self.fail(f"the worker does not come back: {facts}")

    def test_three_restarts_of_the_engine_cost_no_attempt(self):
        self.assertGreater(PART_SECONDS, LEASE_SECONDS)
        self.running = self.serve()
        part = self.gate("part")
        task = self.jack("submit", "long", "payload", "--attempts", "1").strip()
        script = (
            f"echo $JACK_TOKEN > {part.path}; for restart in 1 2 3; do sleep {PART_SECONDS}; "
            f"echo > {part.path}; done; sleep {PART_SECONDS}; cat"
        )
        worker = self.begin(
            "work", "long", "--max", "1", "--lease", f"{LEASE_SECONDS}s", "--", "sh", "-c", script)
        token = int(part.wait())
        for number in RESTARTS:
            part.wait()
            self.restart_by(self.running, number)
            shown = self.resumed(task)
            self.assertEqual((shown["state"], shown["attempt"], int(shown["token"])), ("running", 1, token))
            self.assertEqual(shown["attempts"], [])
        self.assertEqual(worker.wait(rig.PATIENCE), 0)
        shown = self.show(task)
        self.assertEqual((shown["state"], shown["attempt"]), ("succeeded", 1), json.dumps(shown))
        self.assertEqual([each["outcome"] for each in shown["attempts"]], ["succeeded"])
        self.assertEqual(self.jack("result", task), "payload")

    def test_a_command_that_ends_while_there_is_no_engine_is_settled_by_the_next(self):
        self.running = self.serve()
        begun, finish = self.gate("begun"), self.gate("finish")
        task = self.jack("submit", "long", "payload", "--attempts", "1").strip()
        worker = self.begin(
            "work", "long", "--max", "1", "--lease", "20s", "--",
            "sh", "-c", f"echo > {begun.path}; read line < {finish.path}; cat; echo > {begun.path}",
        )  # fmt: skip
        begun.wait()
        self.running.kill()
        finish.open()
        begun.wait()
        self.restart(self.running)
        self.assertEqual(worker.wait(rig.PATIENCE), 0)
        self.assertEqual(self.outcomes(task), ["succeeded"])
        self.assertEqual(self.jack("result", task), "payload")


if __name__ == "__main__":
    rig.main()

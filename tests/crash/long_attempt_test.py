#!/usr/bin/python3
"""A command that takes longer than its engine lives goes on over restarts, in one attempt.

    long_attempt_test.py JACK
"""

import json
import signal

import rig

RESTARTS = [signal.SIGTERM, signal.SIGKILL, signal.SIGKILL]


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
        self.running = self.serve()
        begun, finish = self.gate("begun"), self.gate("finish")
        task = self.jack("submit", "long", "payload", "--attempts", "1").strip()
        worker = self.begin(
            "work", "long", "--max", "1", "--lease", "20s", "--",
            "sh", "-c", f"echo $JACK_TOKEN > {begun.path}; read line < {finish.path}; cat",
        )  # fmt: skip
        token = int(begun.wait())
        for number in RESTARTS:
            self.restart_by(self.running, number)
            shown = self.resumed(task)
            self.assertEqual((shown["state"], shown["attempt"], shown["token"]), ("running", 1, token))
            self.assertEqual(shown["attempts"], [])
        finish.open()
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

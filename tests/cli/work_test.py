"""`jack work`: commands that behave and commands that do not, workers and engines that go away."""

import json
import os
import pathlib
import signal

from support import PATIENCE, JackTest, main


class Worker(JackTest):
    def setUp(self):
        super().setUp()
        self.engine = self.serve()

    def outcome(self, task):
        """State and error of a task that has ended, from where people read them."""
        shown = self.json("show", task)
        return shown["state"], shown.get("error", "")

    def attempts(self, task):
        return [each["outcome"] for each in self.json("show", task)["attempts"]]

    def kill_engine(self):
        self.engine.kill()
        self.engine.wait()


class Outcomes(Worker):
    def test_the_exit_status_says_how_it_went(self):
        for status, expected, tries in ((0, "succeeded", 1), (65, "failed", 1), (75, "failed", 2),
                                        (1, "failed", 2), (127, "failed", 2)):
            queue = f"q{status}"
            task = self.submit(queue, "--attempts", "2", "--backoff", "1ms")
            self.jack("work", queue, "--max", tries, "--", "sh", "-c",
                      f"echo first >&2; echo last >&2; exit {status}")
            state, error = self.outcome(task)
            self.assertEqual((state, len(self.attempts(task))), (expected, tries), status)
            if status != 0:
                self.assertEqual(error, "first\nlast")

    def test_a_failure_without_a_word_tells_the_status(self):
        task = self.submit("q", "--attempts", "1")
        self.work("q", "exit 9")
        self.assertIn("status 9", self.outcome(task)[1])

    def test_errors_are_passed_through_and_their_end_is_kept(self):
        task = self.submit("q", "--attempts", "1")
        worker = self.start_work("q", "--max", "1", "seq 10000 >&2; exit 1")
        self.assertEqual(self.end(worker), "".join(f"{n}\n" for n in range(1, 10001)))
        error = self.outcome(task)[1].splitlines()
        self.assertEqual(error[-1], "10000")
        self.assertEqual(error, [str(n) for n in range(10001 - len(error), 10001)])

    # It wrote to a full pipe and looked after nothing any more: no time-out, no cancel, no end.
    def test_a_standard_error_that_nobody_reads_keeps_nothing_up(self):
        task = self.submit("q", "--attempts", "1")
        worker = self.start_work("q", "--max", "1", "--timeout", "1s", "--verbose",
                                 "head -c 3000000 /dev/zero >&2; exec sleep 1000")
        self.assertEqual(self.wait(task), "failed")
        self.assertIn("longer than 1s", self.outcome(task)[1])
        self.assertEqual(worker.wait(PATIENCE), 0)

    def test_what_is_left_out_of_a_standard_error_that_nobody_reads_is_told(self):
        written, go = self.gate("written"), self.gate("go")
        self.submit("q")
        worker = self.start_work(
            "q", "--max", "1",
            "head -c 3000000 /dev/zero >&2; echo x > written; read line < go; echo last >&2")
        written.wait()
        go.open()
        errors = self.end(worker)
        self.assertEqual(errors.count("bytes that commands wrote to theirs are left out"), 1)

    def test_a_signal_is_named(self):
        task = self.submit("q", "--attempts", "1")
        self.work("q", "kill -SEGV $$")
        self.assertEqual(self.outcome(task), ("failed", "the command was ended by SIGSEGV"))

    def test_input_may_stay_unread_and_outputs_be_closed(self):
        for script in ("printf done", "exec <&-; printf done", "exec 2>&-; printf done"):
            task = self.submit("q", "-", stdin=b"x" * (1 << 20))
            self.work("q", script)
            self.assertEqual(self.jack("result", task), "done")
        task = self.submit("q", "-", stdin=b"x" * (1 << 20))
        self.work("q", "exec >&-; exit 0")
        self.assertEqual(self.jack("result", task), "")

    def test_payload_and_result_are_bytes(self):
        payload = os.urandom(1 << 20)
        task = self.submit("q", "-", stdin=payload)
        self.jack("work", "q", "--max", "1", "--", "cat")
        self.assertEqual(self.run_jack("result", task).stdout, payload)

    def test_a_result_beyond_the_limit_fails_for_good_by_name(self):
        for size in ((1 << 20) + 1, 6 << 20):
            task = self.submit("q")
            self.work("q", f"head -c {size} /dev/zero")
            state, error = self.outcome(task)
            self.assertEqual(state, "failed")
            self.assertIn("payload_too_large", error)
            # Of much too large a result it named the most that any engine could take.
            self.assertIn("the limit is 1048576", error)
            self.assertEqual(len(self.attempts(task)), 1)

    def test_output_without_end_is_cut_off(self):
        task = self.submit("q")
        self.work("q", "yes")
        self.assertIn("payload_too_large", self.outcome(task)[1])

    def test_grandchildren_that_hold_the_pipes_keep_nothing_up(self):
        task = self.submit("q")
        self.work("q", "sleep 1000 & echo $! > pid; printf done")
        self.assertEqual(self.jack("result", task), "done")
        os.kill(int((self.folder / "pid").read_text()), signal.SIGKILL)

    def test_a_command_that_takes_too_long_is_stopped(self):
        task = self.submit("q", "--attempts", "1")
        self.work("q", "--timeout", "50ms", "echo begun >&2; sleep 1000 & wait")
        state, error = self.outcome(task)
        self.assertEqual(state, "failed")
        self.assertIn("longer than 50ms", error)

    def test_a_task_that_takes_too_long_has_its_command_stopped(self):
        ended = self.gate("ended")
        task = self.submit("q", "--attempts", "1", "--timeout", "200ms")
        worker = self.start_work(
            "q", "trap 'echo x > ended; exit' TERM; while :; do sleep 0.01; done")
        self.assertEqual(self.wait(task), "failed")
        self.assertEqual(ended.wait(), ["x"])
        self.stop(worker)
        self.assertEqual(self.attempts(task), ["timed_out"])

    def test_cancel_stops_the_whole_group(self):
        begun = self.gate("begun")
        task = self.submit("q")
        worker = self.start_work("q", "sleep 1000 & echo $! > begun; wait")
        child = self.hold(begun.wait()[0])
        self.jack("cancel", task)
        self.wait_for_end(child)
        self.stop(worker, signal.SIGINT)
        self.assertEqual(self.state(task), "cancelled")

    def test_a_command_that_ignores_sigterm_is_killed(self):
        begun = self.gate("begun")
        self.submit("q")
        worker = self.start_work("q", "--grace", "50ms",
                                 "trap '' TERM; echo $$ > begun; while :; do sleep 1; done")
        command = self.hold(begun.wait()[0])
        self.jack("cancel", self.json("ls", "q")["tasks"][0]["id"])
        self.wait_for_end(command)
        self.stop(worker, signal.SIGINT)


class Environment(Worker):
    def test_the_command_knows_its_task(self):
        parent = self.submit("p")
        task = self.submit("q", "--type", "letter", "--from", "ada", "--parent", parent,
                           "--reply-to", "answers", "--content-type", "text/plain",
                           "--header", "traceparent=00-1-2-01", "--header", "k=v")
        self.work("q", "env -0")
        result = self.run_jack("result", task).stdout.decode()
        variables = dict(line.split("=", 1) for line in result.split("\0") if line)
        token = variables.pop("JACK_TOKEN")
        self.assertGreater(int(token), 0)
        self.assertEqual(json.loads(variables.pop("JACK_HEADERS")),
                         {"traceparent": "00-1-2-01", "k": "v"})
        expected = {
            "JACK_TASK_ID": task, "JACK_QUEUE": "q", "JACK_TYPE": "letter", "JACK_ATTEMPT": "1",
            "JACK_FROM": "ada", "JACK_PARENT": parent, "JACK_REPLY_TO": "answers",
            "JACK_CONTENT_TYPE": "text/plain", "TRACEPARENT": "00-1-2-01",
            "JACK_DATA_DIR": str(self.data_dir),
        }
        self.assertEqual({name: variables.get(name) for name in expected}, expected)

    def test_a_command_hands_on_to_another_agent(self):
        first = self.submit("writer", "a text", "--header", "traceparent=00-1-2-01")
        self.work("writer", "jack submit editor - --header own=1")
        second = self.jack("result", first).strip()
        shown = self.json("show", second)
        self.assertEqual((shown["parent"], shown["from"], shown["payload"]),
                         (first, "writer", "a text"))
        self.assertEqual(shown["headers"], {"traceparent": "00-1-2-01", "own": "1"})

        first = self.submit("writer", "a text")
        self.work("writer", "jack submit editor - --alone")
        self.assertNotIn("parent", self.json("show", self.jack("result", first).strip()))

    def test_a_command_reaches_the_engine_that_was_named_by_its_address(self):
        task = self.submit("q")
        address = f"ipc://{self.data_dir}/jack.sock"
        self.jack("work", "q", "--engine", address, "--max", "1", "--", "jack", "submit", "other",
                  JACK_DATA_DIR="/nowhere")
        self.assertEqual(self.state(self.jack("result", task).strip()), "queued")

    def test_streamed_output_is_seen_while_the_command_runs(self):
        go = self.gate("go")
        task = self.submit("q")
        worker = self.start_work("q", "--stream", "--max", "1",
                                 "echo first; read line < go; printf second")
        events = self.watch_until(task, "output")
        self.assertEqual(events[-1]["text"], "first\n")
        self.assertEqual(self.jack("show", task, "--output"), "first\n")
        go.open()
        self.end(worker)
        self.assertEqual(self.jack("show", task, "--output"), "first\nsecond")
        self.assertEqual(self.jack("result", task), "first\nsecond")


class Ends(Worker):
    def test_a_command_that_cannot_be_found_claims_nothing(self):
        task = self.submit("q")
        self.refused("work", "q", "--", "nowhere", status=2)
        shown = self.json("show", task)
        self.assertEqual((shown["state"], shown["attempt"]), ("queued", 0))

    def test_a_command_that_vanishes_gives_its_task_back_and_ends_the_worker(self):
        agent = self.folder / "agent"
        agent.write_text("#!/bin/sh\nrm agent; printf done\n")
        agent.chmod(0o700)
        first, second = self.submit("q", "1"), self.submit("q", "2")
        worker = self.start("work", "q", "--", "./agent")
        self.assertIn("cannot run ./agent", self.end(worker, status=4))
        self.assertEqual(self.jack("result", first), "done")
        shown = self.json("show", second)
        self.assertEqual((shown["state"], shown["attempt"]), ("queued", 0))

    def test_what_the_engine_refuses_is_4(self):
        self.refused("work", "no name", "--", "true", status=4)

    # Such names were passed over, as if a variable in a script could never be empty.
    def test_an_empty_name_of_a_queue_is_2(self):
        for queues in ("", ",", "q,", ",q", "a,,b"):
            self.assertIn("empty name", self.refused("work", queues, "--", "true", status=2))

    def test_max_is_a_number_of_tasks(self):
        tasks = [self.submit("q") for _ in range(3)]
        self.work("q", "--max", "2", "true")
        self.assertEqual([self.state(task) for task in tasks],
                         ["succeeded", "succeeded", "queued"])

    def test_until_empty_does_all_queues_and_leaves_what_is_scheduled(self):
        for number in range(20):
            self.submit(f"q{number % 2}")
        later = self.submit("q0", "--delay", "1h")
        self.work("q0,q1", "-j", "4", "true")
        self.assertEqual(self.json("ls", "--unfinished")["tasks"][0]["id"], later)
        self.assertEqual(len(self.json("ls", "--state", "succeeded")["tasks"]), 20)
        self.work("empty", "true")

    def test_until_empty_leaves_a_retry_that_is_scheduled(self):
        task = self.submit("q", "--backoff", "1h")
        self.work("q", "exit 1")
        self.assertEqual(self.state(task), "scheduled")

    def test_until_empty_waits_for_what_other_workers_run(self):
        begun, go = self.gate("begun"), self.gate("go")
        self.submit("q")
        other = self.start_work("q", "--max", "1", "echo x > begun; read line < go")
        begun.wait()
        waiting = self.start_work("q", "--until-empty", "true")
        # A worker is there once it takes another task.
        self.assertEqual(self.wait(self.submit("q", "second")), "succeeded")
        self.assertIsNone(waiting.poll())
        go.open()
        self.end(other)
        self.end(waiting)

    def test_jobs_run_at_the_same_time(self):
        begun, go = self.gate("begun"), self.gate("go")
        for _ in range(3):
            self.submit("q")
        worker = self.start_work("q", "-j", "3", "--until-empty", "echo x > begun; read line < go")
        begun.wait(3)
        go.open(3)
        self.end(worker)

    def test_sigterm_lets_a_command_finish(self):
        begun, go = self.gate("begun"), self.gate("go")
        first, second = self.submit("q"), self.submit("q")
        worker = self.start_work("q", "echo x > begun; read line < go; printf done")
        begun.wait()
        worker.send_signal(signal.SIGTERM)
        go.open()
        self.end(worker)
        self.assertEqual(self.jack("result", first), "done")
        self.assertEqual(self.state(second), "queued")

    def test_sigterm_gives_back_what_does_not_finish_without_counting_it(self):
        begun = self.gate("begun")
        task = self.submit("q")
        worker = self.start_work("q", "--finish", "50ms", "sleep 1000 & echo $! > begun; wait")
        child = self.hold(begun.wait()[0])
        self.stop(worker)
        shown = self.json("show", task)
        self.assertEqual((shown["state"], shown["attempt"]), ("queued", 0))
        self.watch_until(task, "released")
        self.wait_for_end(child)

    def test_a_second_sigterm_ends_it_at_once(self):
        begun = self.gate("begun")
        self.submit("q")
        worker = self.start_work("q", "--grace", "1h", "--finish", "1h",
                                 "trap '' TERM; echo $$ > begun; while :; do sleep 1; done")
        begun.wait()
        while worker.poll() is None:
            worker.send_signal(signal.SIGTERM)
            os.sched_yield()
        self.end(worker, status=-signal.SIGTERM)


class Deaths(Worker):
    def test_a_worker_that_is_killed_takes_its_command_along_and_the_task_runs_again(self):
        begun = self.gate("begun")
        task = self.submit("q", "--backoff", "1ms")
        worker = self.start_work("q", "sleep 1000 & echo $! $$ > begun; wait")
        held = [self.hold(process) for process in begun.wait()[0].split()]
        worker.kill()
        worker.wait()
        self.wait_for_end(*held)
        self.work("q", "--max", "1", "printf done")
        self.assertEqual(self.jack("result", task), "done")
        self.assertEqual(self.attempts(task), ["lost", "succeeded"])

    def test_a_command_that_kills_its_worker_fails_after_its_attempts(self):
        task = self.submit("q", "--attempts", "2", "--backoff", "1ms")
        for _ in range(2):
            worker = self.start_work("q", "kill -9 $PPID; sleep 1000")
            self.end(worker, status=-signal.SIGKILL)
        self.assertEqual(self.wait(task), "failed")
        self.assertEqual(self.attempts(task), ["lost", "lost"])

    def test_a_command_survives_restarts_of_its_engine_in_one_attempt(self):
        begun, go = self.gate("begun"), self.gate("go")
        task = self.submit("q")
        worker = self.start_work("q", "--max", "1", "echo x > begun; read line < go; printf done")
        begun.wait()
        for _ in range(3):
            self.kill_engine()
            self.engine = self.serve()
            self.assertEqual(self.state(task), "running")
        go.open()
        self.end(worker)
        self.assertEqual(self.jack("result", task), "done")
        self.assertEqual(self.attempts(task), ["succeeded"])

    def test_a_result_that_is_ready_while_there_is_no_engine_gets_there(self):
        begun, go = self.gate("begun"), self.gate("go")
        done = self.gate("done")
        task = self.submit("q")
        worker = self.start_work(
            "q", "--max", "1", "echo x > begun; read line < go; printf done; echo x > done")
        begun.wait()
        self.kill_engine()
        go.open()
        done.wait()
        self.engine = self.serve()
        self.end(worker)
        self.assertEqual(self.jack("result", task), "done")
        self.assertEqual(self.attempts(task), ["succeeded"])

    def test_a_worker_may_be_there_before_its_engine(self):
        self.kill_engine()
        worker = self.start_work("q", "--max", "1", "printf done")
        self.engine = self.serve()
        task = self.submit("q")
        self.end(worker)
        self.assertEqual(self.jack("result", task), "done")

    # It waited for ever, without a word.
    def test_a_worker_that_finds_no_engine_says_so(self):
        self.kill_engine()
        for flags in ([], ["--until-empty"], ["--max", "1"]):
            complaint = self.refused("work", "q", *flags, "--", "true", status=5,
                                     JACK_CLIENT_PATIENCE="100ms")
            self.assertIn("no engine answers", complaint)
            self.assertIn("jack serve", complaint)

    def test_a_worker_goes_on_without_an_engine_that_has_answered_once(self):
        self.environment["JACK_CLIENT_PATIENCE"] = "1s"
        begun, go = self.gate("begun"), self.gate("go")
        first = self.submit("q")
        worker = self.start_work("q", "--max", "2", "echo x > begun; read line < go; printf done")
        begun.wait()
        self.kill_engine()
        # By then the worker would have given up, as this command does.
        self.refused("ls", status=5)
        go.open()
        self.environment["JACK_CLIENT_PATIENCE"] = "5s"
        self.engine = self.serve()
        second = self.submit("q")
        go.open()
        self.end(worker)
        self.assertEqual([self.jack("result", task) for task in (first, second)], ["done"] * 2)

    def test_a_worker_without_an_engine_ends_when_told(self):
        self.kill_engine()
        worker = self.start_work("q", "--until-empty", "--verbose", "true")
        self.stop_when_ready(worker)

    # It told that the task was given back.
    def test_verbose_tells_of_a_cancelled_task_that_its_command_was_stopped(self):
        begun = self.gate("begun")
        task = self.submit("q")
        worker = self.start_work("q", "--max", "1", "--verbose",
                                 "[ -e last ] || { echo > begun; sleep 1000; }")
        begun.wait()
        self.jack("cancel", task)
        (self.folder / "last").touch()
        self.submit("q")
        self.assertRegex(self.end(worker), rf"task {task} of q, attempt 1, was stopped after")

    def stop_when_ready(self, worker):
        # It takes signals in order once it has blocked them; before that they end it as usual.
        status = f"/proc/{worker.pid}/status"
        while "SigBlk:\t0000000000000000" in pathlib.Path(status).read_text():
            os.sched_yield()
        self.stop(worker)

    def test_a_worker_that_fell_silent_cannot_settle_any_more(self):
        begun, go = self.gate("begun"), self.gate("go")
        task = self.submit("q", "--backoff", "1ms")
        first = self.start_work("q", "--lease", "1s", "--max", "1", "--verbose",
                                "echo $PPID > begun; read line < go; printf first")
        begun.wait()
        first.send_signal(signal.SIGSTOP)
        second = self.start_work("q", "--max", "1", "printf second")
        self.assertEqual(self.wait(task), "succeeded")
        self.end(second)
        first.send_signal(signal.SIGCONT)
        go.open()
        # It said "succeeded" before the engine had answered. Where it hears first that its lease has
        # ended, it stops the command instead.
        self.assertRegex(self.stop(first), f"task {task} of q, attempt 1, "
                                           "(.*; not kept: lease_lost|was stopped)")
        self.assertEqual(self.jack("result", task), "second")
        self.assertEqual(self.attempts(task), ["lost", "succeeded"])


if __name__ == "__main__":
    main()

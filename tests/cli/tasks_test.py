"""Tasks from the command line: submit, result, show, ls, queues, watch, cancel, retry, pause."""

import datetime
import json
import os
import time

from support import PATIENCE, JackTest, main

NO_TASK = "0190d4c2-7b1e-7c3a-9f00-1234567890ab"


class Tasks(JackTest):
    def setUp(self):
        super().setUp()
        self.engine = self.serve()


class Submit(Tasks):
    def test_it_prints_the_id_alone(self):
        self.assertRegex(self.jack("submit", "q", "x"), r"\A[0-9a-f-]{36}\n\Z")
        self.assertRegex(self.json("submit", "q", "x")["id"], r"\A[0-9a-f-]{36}\Z")

    def test_a_payload_comes_from_anywhere_and_stays_as_it_is(self):
        payload = bytes(range(256)) * 100
        (self.folder / "payload").write_bytes(payload)
        for task in (
            self.submit("q", "--file", "payload"),
            self.submit("q", "-", stdin=payload),
            self.submit("q", "--file", "/dev/stdin", stdin=payload),
        ):
            shown = self.run_jack("show", task, "--payload")
            self.assertEqual(shown.stdout, payload)
        self.assertEqual(self.jack("show", self.submit("q"), "--payload"), "")
        self.assertEqual(self.jack("show", self.submit("q", "[1, 2]"), "--payload"), "[1, 2]")

    # The last one counted, without a word.
    def test_a_header_that_is_given_twice_is_2(self):
        complaint = self.refused("submit", "q", "--header", "a=1", "--header", "a=2", status=2)
        self.assertIn("'a' is given twice", complaint)

    def test_every_field_of_the_spec_gets_there(self):
        parent = self.submit("q")
        day = (datetime.date.today() + datetime.timedelta(days=100)).isoformat()
        task = self.submit(
            "q", "x", "--type", "letter", "--content-type", "text/plain", "--priority", "high",
            "--not-before", f"{day}T12:00:00+01:00", "--expires-at", f"{day}T23:00:00Z",
            "--timeout", "10s", "--attempts", "5", "--backoff", "2s", "--backoff-factor", "1.5",
            "--backoff-max", "1m", "--backoff-jitter", "0.1", "--reply-to", "answers", "--parent",
            parent, "--from", "ada", "--header", "a=b", "--header", "c=d=e")
        shown = self.json("show", task)
        expected = {
            "id": task, "state": "scheduled", "queue": "q", "payload": "x", "type": "letter",
            "content_type": "text/plain", "priority": "high",
            "not_before": f"{day}T11:00:00.000Z", "expires_at": f"{day}T23:00:00.000Z",
            "timeout_ms": 10000, "max_attempts": 5, "reply_to": "answers", "parent": parent,
            "from": "ada", "headers": {"a": "b", "c": "d=e"}, "attempt": 0,
            "backoff": {"initial_ms": 2000, "factor": 1.5, "max_ms": 60000, "jitter": 0.1},
        }
        self.assertEqual({name: shown[name] for name in expected}, expected)
        self.assertEqual(shown["due"][:19], f"{day}T11:00:00")

    def test_the_same_id_is_the_same_task(self):
        task = self.submit("q", "x")
        other = task[:-2] + ("00" if task[-2:] != "00" else "01")
        self.assertEqual(self.submit("q", "x", "--id", other), other)
        self.assertEqual(self.submit("q", "x", "--id", other), other)
        self.refused("submit", "q", "another", "--id", other, status=4)
        self.assertEqual(len(self.json("ls", "q")["tasks"]), 2)

    def test_what_the_engine_refuses_is_4(self):
        self.refused("submit", "no name", "x", status=4)
        self.refused("submit", "q" * 129, "x", status=4)
        self.refused("submit", "q", "x", "--attempts", "1001", status=4)
        # It said 31536000000 ms.
        self.assertIn("365d", self.refused("submit", "q", "x", "--delay", "400d", status=4))
        for size in ((1 << 20) + 1, (4 << 20) + 1):
            self.refused("submit", "q", "-", stdin=b"x" * size, status=4)
        self.submit("q", "-", stdin=b"x" * (1 << 20))

    def test_wait_prints_the_result_as_it_is(self):
        result = os.urandom(1 << 20)
        (self.folder / "result").write_bytes(result)
        submit = self.start("submit", "q", "--wait")
        self.work("q", "--max", "1", "cat result")
        self.end(submit)
        self.assertEqual(submit.output, result)

    def test_wait_for_a_task_that_fails_is_1_and_the_error_is_on_standard_error(self):
        submit = self.start("submit", "q", "--wait", "--attempts", "1")
        self.work("q", "--max", "1", "echo boom >&2; exit 1")
        self.assertIn("boom", self.end(submit, status=1))
        self.assertEqual(submit.output, b"")

        submit = self.start("submit", "q", "--wait", "--json", "--attempts", "1")
        self.work("q", "--max", "1", "echo boom >&2; exit 1")
        self.end(submit, status=1)
        outcome = json.loads(submit.output)
        self.assertEqual((outcome["state"], outcome["error"]), ("failed", "boom"))

    def test_wait_no_longer_than_asked_is_6(self):
        for timeout, words in (("20ms", "within 20ms"), ("0s", "not ended yet")):
            complaint = self.refused("submit", "q", "--wait-timeout", timeout, status=6)
            self.assertIn("jack result", complaint)
            self.assertIn(words, complaint)

    # A script that wanted JSON lost the id of the task that it had just made.
    def test_wait_that_ends_too_early_tells_the_id_and_state_as_json(self):
        outcome = self.json("submit", "q", "--wait-timeout", "20ms", status=6)
        self.assertEqual(outcome, {"id": outcome["id"], "state": "queued"})
        self.assertEqual(self.json("result", outcome["id"], status=6), outcome)


class Result(Tasks):
    def test_each_outcome_has_its_status(self):
        queued = self.submit("q")
        self.refused("result", queued, status=6)
        self.refused("result", queued, "--wait-timeout", "20ms", status=6)
        self.refused("result", NO_TASK, status=3)
        self.jack("cancel", queued, "--reason", "no longer needed")
        complaint = self.refused("result", queued, status=1)
        self.assertIn("was cancelled: no longer needed", complaint)
        # A script that had no time left got a task that never expires.
        self.assertIn("--expires-in", self.refused("submit", "q", "--expires-in", "0s", status=2))
        expired = self.submit("q", "--expires-in", "1ms", "--delay", "1h")
        self.assertIn("expired", self.refused("result", expired, "--wait", status=1))

    def test_it_waits_over_a_restart_of_the_engine(self):
        task = self.submit("q")
        result = self.start("result", task, "--wait")
        self.watch_until(task, "submitted")
        self.engine.kill()
        self.engine.wait()
        self.serve()
        self.work("q", "printf done")
        self.end(result)
        self.assertEqual(result.output, b"done")

    def test_who_waits_outlives_an_engine_that_is_gone_for_longer(self):
        """They gave up after five seconds, whatever --wait-timeout said."""
        task = self.submit("q")
        waiting = [self.start("result", task, "--wait"),
                   self.start("submit", "q", "--wait-timeout", "1h")]
        self.until_waits(len(waiting))
        self.engine.kill()
        self.engine.wait()
        for command in waiting:
            line = command.stderr.readline().decode()
            self.assertIn("the engine is gone; waiting for it, and for task", line)
        self.serve()
        self.work("q", "printf done")
        for command in waiting:
            self.end(command)
            self.assertEqual(command.output, b"done")

    def until_waits(self, count):
        """Until the engine knows of so many who wait for a result."""
        end = time.monotonic() + PATIENCE
        while True:
            findings = self.json("doctor")["findings"]
            if [one["text"] for one in findings if one["name"] == "waits"] == [str(count)]:
                return
            self.assertLess(time.monotonic(), end)


class Reading(Tasks):
    def test_ls_filters_and_pages(self):
        tasks = [self.submit("q", str(number)) for number in range(5)]
        other = self.submit("other")
        self.jack("cancel", tasks[0])
        ids = lambda *arguments: [task["id"] for task in self.json("ls", *arguments)["tasks"]]

        self.assertEqual(ids(), [other, *reversed(tasks)])
        self.assertEqual(ids("q", "--unfinished"), tasks[:0:-1])
        self.assertEqual(ids("--state", "cancelled"), tasks[:1])
        page = self.json("ls", "q", "--limit", "2")
        self.assertEqual([task["id"] for task in page["tasks"]], tasks[:2:-1])
        self.assertEqual(page["next"], tasks[3])
        self.assertEqual(ids("q", "--before", tasks[3]), tasks[2::-1])
        self.assertIsNone(self.json("ls", "q", "--before", tasks[3])["next"])
        self.assertEqual(ids("empty"), [])

        lines = self.jack("ls", "q").splitlines()
        self.assertTrue(lines[0].startswith("ID "))
        self.assertEqual([line.split()[0] for line in lines[1:]], tasks[::-1])

    def test_ls_goes_beyond_one_page_of_the_protocol(self):
        """A task behind many others that do not fit: `ls` took an empty page for the end."""
        oldest = self.submit("q")
        self.jack("bench", "--data-dir", self.data_dir, "--tasks", "6000", "--batch", "500",
                  "--workers", "0", "--clients", "1")
        tasks = self.json("ls", "--limit", "7000")
        self.assertEqual(len({task["id"] for task in tasks["tasks"]}), 6001)
        self.assertIsNone(tasks["next"])
        self.assertEqual(self.json("ls", "--limit", "2400")["next"], tasks["tasks"][2399]["id"])
        self.assertEqual([task["id"] for task in self.json("ls", "q")["tasks"]], [oldest])

    def test_show_tells_the_history_of_attempts(self):
        task = self.submit("q", "the payload\x1b[2J", "--backoff", "1ms")
        self.work("q", "--max", "1", "echo boom >&2; exit 1")
        self.watch_until(task, "queued")
        self.work("q", "--max", "1", "--name", "ada", "printf 'the result'")

        shown = self.jack("show", task)
        for text in ("succeeded", "boom", "ada", "the payload\\x1b[2J", "the result"):
            self.assertIn(text, shown)
        shown = self.jack("show", task, "--json")
        self.assertTrue(shown.startswith('{"id":"' + task + '","state":"succeeded"'))
        # People were shown it, scripts were not.
        self.assertEqual(json.loads(shown)["result"], "the result")
        attempts = [(each["attempt"], each["outcome"]) for each in json.loads(shown)["attempts"]]
        self.assertEqual(attempts, [(1, "failed"), (2, "succeeded")])
        self.refused("show", NO_TASK, status=3)

    def test_queues_count_what_is_where(self):
        self.submit("q")
        self.submit("q", "--delay", "1h")
        self.jack("cancel", self.submit("q"))
        self.jack("pause", "q")
        queue = self.json("queues")["queues"][0]
        self.assertEqual(
            [queue[name] for name in ("queue", "paused", "queued", "scheduled", "cancelled")],
            ["q", True, 1, 1, 1])
        self.assertIn("paused", self.jack("queues"))

    # It printed an empty table.
    def test_a_name_that_no_queue_can_have_is_refused(self):
        self.assertIn("queue name", self.refused("ls", "a b", status=4))
        self.assertIn("queue name", self.refused("watch", "a b", status=4))


class Changes(Tasks):
    def test_cancel_takes_several_and_says_what_became_of_each(self):
        first, second = self.submit("q"), self.submit("q")
        self.assertEqual(self.jack("cancel", first, second), "")
        self.assertEqual([self.state(first), self.state(second)], ["cancelled", "cancelled"])
        self.jack("cancel", first)
        ended = self.submit("done")
        self.work("done", "true")
        third = self.submit("q")
        result = json.loads(self.jack("cancel", ended, NO_TASK, third, "--json", status=4))
        self.assertEqual([each["ok"] for each in result["results"]], [False, False, True])
        self.assertEqual([each.get("error", {}).get("code") for each in result["results"]],
                         ["failed_precondition", "not_found", None])
        self.assertEqual(self.refused("cancel", NO_TASK, status=3).partition(": ")[2],
                         self.refused("show", NO_TASK, status=3).partition(": ")[2])

    def test_retry_begins_a_new_cycle(self):
        task = self.submit("q", "--attempts", "1")
        self.refused("retry", task, status=4)
        self.work("q", "exit 1")
        self.assertEqual(self.state(task), "failed")
        self.jack("retry", task)
        self.work("q", "true")
        shown = self.json("show", task)
        self.assertEqual((shown["state"], shown["cycle"]), ("succeeded", 2))
        self.assertEqual(len(shown["attempts"]), 2)
        self.refused("retry", NO_TASK, status=3)

    def test_a_paused_queue_hands_nothing_out(self):
        self.jack("pause", "q")
        task = self.submit("q")
        worker = self.start_work("q", "--max", "1", "true")
        marker = self.submit("other")
        self.work("other", "true")
        self.assertEqual(self.state(marker), "succeeded")
        self.assertEqual(self.state(task), "queued")
        self.jack("resume", "q")
        self.end(worker)
        self.assertEqual(self.state(task), "succeeded")
        self.refused("pause", "no name", status=4)

    def test_a_reply_is_a_task_with_the_result(self):
        task = self.submit("q", "--reply-to", "answers")
        self.work("q", "printf 42")
        reply = self.json("ls", "answers")["tasks"][0]
        self.assertEqual(reply["parent"], task)
        self.assertIn("42", self.jack("show", reply["id"], "--payload"))


class Watch(Tasks):
    def test_a_task_is_followed_to_its_end(self):
        task = self.submit("q")
        watch = self.start("watch", task, "--after", "0", "--json")
        self.assertEqual(json.loads(watch.stdout.readline())["event"], "submitted")
        self.work("q", "true")
        self.end(watch)
        events = [json.loads(line) for line in watch.output.splitlines()]
        self.assertEqual([event["event"] for event in events][-1], "succeeded")
        self.assertEqual({event["id"] for event in events}, {task})
        self.assertIn("succeeded", self.jack("watch", task, "--after", "0"))
        self.assertEqual(self.jack("watch", task), "")
        self.refused("watch", NO_TASK, status=3)

    # It stopped at the first terminal event, that of an older cycle; and behind the last event of
    # all it waited for ever.
    def test_a_task_that_was_retried_is_followed_to_its_last_end(self):
        task = self.submit("q")
        for _ in range(2):
            self.jack("cancel", task)
            self.jack("retry", task)
        self.work("q", "true")
        events = [json.loads(line) for line in
                  self.jack("watch", task, "--after", "0", "--json").splitlines()]
        kinds = [event["event"] for event in events]
        self.assertEqual(kinds.count("cancelled"), 2)
        self.assertEqual(kinds[-1], "succeeded")
        self.assertEqual([event["cycle"] for event in events if event["event"] == "retried"], [2, 3])
        self.assertEqual(events[-1]["cycle"], 3)

        first_end = kinds.index("cancelled")
        for after, rest in ((first_end - 1, kinds[first_end:]), (first_end, kinds[first_end + 1:]),
                            (len(events) - 2, kinds[-1:]), (len(events) - 1, [])):
            again = self.jack("watch", task, "--after", events[after]["position"], "--json")
            self.assertEqual([json.loads(line)["event"] for line in again.splitlines()], rest)

    def test_what_is_over_is_told_in_good_english(self):
        task = self.submit("q")
        self.jack("cancel", task)
        self.assertIn("was cancelled already", self.run_jack("watch", task).stderr.decode())

    def test_it_goes_on_over_restarts_without_gap_or_repeat(self):
        watch = self.start("watch", "q", "--after", "0", "--json", "--max", "4")
        tasks = [self.submit("q")]
        first = json.loads(watch.stdout.readline())
        for restart in range(3):
            self.engine.kill()
            self.engine.wait()
            self.engine = self.serve()
            tasks.append(self.submit("q"))
        self.end(watch)
        events = [first, *map(json.loads, watch.output.splitlines())]
        self.assertEqual([event["id"] for event in events], tasks)

        position = events[1]["position"]
        again = self.jack("watch", "q", "--after", position, "--json", "--max", "2")
        self.assertEqual([json.loads(line)["id"] for line in again.splitlines()], tasks[2:])

    def test_without_a_position_it_begins_now(self):
        self.submit("q")
        watch = self.start("watch", "--json", "--max", "1")
        # The watcher is there once the engine has it.
        while True:
            task = self.submit("q")
            if watch.poll() is not None:
                break
        event = json.loads(watch.communicate()[0])
        self.assertEqual(event["event"], "submitted")
        self.assertEqual(watch.returncode, 0)


if __name__ == "__main__":
    main()

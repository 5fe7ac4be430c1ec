"""The examples of the README's section "Over HTTP", as they stand there.

    readme_http_test.py JACK

Each is run as a file of the name that its first line gives, with the address of the server in
JACK_URL and nothing else changed.
"""

import json
import pathlib
import re
import select
import subprocess
import sys
import time
import urllib.parse

import requests

from support import PATIENCE, JackTest, main

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"
RUNNERS = {".sh": "sh", ".py": sys.executable}


def examples():
    """The blocks of the section, by the names of their files."""
    flags = re.DOTALL | re.MULTILINE
    (section,) = re.findall(r"^## Over HTTP\n(.*?)^## ", README.read_text(), flags)
    blocks = re.findall(r"^```\w+\n(.*?)^```$", section, flags)
    return {re.match(r"# ([\w.]+)", block).group(1): block for block in blocks}


class ReadmeOverHttp(JackTest):
    def setUp(self):
        super().setUp()
        self.environment["NO_PROXY"] = "localhost,127.0.0.1"
        for name, text in examples().items():
            (self.folder / name).write_text(text)
        self.serve_http("127.0.0.1:0")

    def serve_http(self, address):
        self.server = self.serve("--http", address, "--json")
        self.url = json.loads(self.server.ready)["http"][0]
        # As the examples have it by default, but for the port.
        self.environment["JACK_URL"] = f"http://localhost:{urllib.parse.urlsplit(self.url).port}"

    def restart(self):
        self.stop(self.server)
        self.serve_http(urllib.parse.urlsplit(self.url).netloc)

    # --- Examples ---

    def example(self, name, *arguments):
        """One that goes on until the test ends."""
        command = [RUNNERS[pathlib.Path(name).suffix], name, *arguments]
        process = subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def output_of(self, name, *arguments):
        """What an example says that comes to its end."""
        process = self.example(name, *arguments)
        output, errors = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, errors.decode()), (0, ""), name)
        return output.decode()

    def lines_until(self, process, last):
        """The next lines that it prints, up to this one."""
        until, lines, line = time.monotonic() + PATIENCE, [], b""
        while last not in lines:
            can_be_read, _, _ = select.select([process.stdout], [], [], until - time.monotonic())
            byte = process.stdout.raw.read(1) if can_be_read else b""
            if not byte:
                process.kill()
                self.fail(f"no '{last}' after {lines}: {process.stderr.read().decode()}")
            line += byte
            if byte == b"\n":
                lines.append(line.decode().rstrip("\n"))
                line = b""
        return lines

    # --- Requests ---

    def answer(self, method, path, status=200, **options):
        answer = requests.request(method, self.url + path, timeout=PATIENCE, **options)
        self.assertEqual(answer.status_code, status, answer.text)
        return answer.json() if answer.content else None

    def submit_over_http(self, queue, **payload):
        path = f"/v1/queues/{queue}/tasks"
        return self.answer("POST", path, 201, json={"payload": payload})["id"]

    def ended(self, task):
        return self.answer("GET", f"/v1/tasks/{task}?wait=60s")

    # --- Tests ---

    def test_each_is_a_file_of_its_own(self):
        names = ["greet.sh", "submit.py", "worker.py", "events.py", "old_agent.py"]
        self.assertEqual(list(examples()), names)
        for name, text in examples().items():
            self.assertEqual(text.count("localhost:5000"), 1, name)
            self.assertLessEqual(len(text.splitlines()), 34, name)

    def test_a_task_is_handed_in_done_and_its_result_read(self):
        self.example("worker.py")

        self.assertEqual(self.output_of("greet.sh"), "Hello, Ada")
        self.assertEqual(self.output_of("submit.py", "Grace"), "succeeded Hello, Grace\n")

        tasks = self.answer("GET", "/v1/tasks?queue=greet")["tasks"]
        self.assertEqual([task["state"] for task in tasks], ["succeeded"] * 2)

    def test_a_task_that_takes_longer_than_its_lease_is_done_once(self):
        lease_seconds = int(re.search(r"LEASE_SECONDS = (\d+)", examples()["worker.py"]).group(1))
        self.example("worker.py")

        task = self.submit_over_http("greet", name="Ada", seconds=lease_seconds + 2)

        ended = self.ended(task)
        self.assertEqual((ended["state"], ended["attempt"]), ("succeeded", 1))
        self.assertEqual(ended["result_text"], "Hello, Ada")

    def test_a_worker_that_fails_says_why_and_one_that_loses_the_server_goes_on(self):
        self.example("worker.py")
        broken = self.submit_over_http("greet")
        while not (attempts := self.answer("GET", f"/v1/tasks/{broken}/history")["attempts"]):
            self.answer("GET", f"/v1/tasks/{broken}?wait=200ms")
        self.assertEqual(attempts[0]["error"], "KeyError('name')")

        self.restart()
        task = self.submit_over_http("greet", name="Ada")

        self.assertEqual(self.ended(task)["result_text"], "Hello, Ada")

    def test_a_reader_of_events_sees_each_once_also_over_a_restart(self):
        reader = self.example("events.py")
        first = self.submit_over_http("greet", name="Ada")
        lines = self.lines_until(reader, f"submitted greet {first}")
        self.restart()
        second = self.submit_over_http("greet", name="Grace")
        self.example("worker.py")
        self.ended(second)

        lines += self.lines_until(reader, f"succeeded greet {second}")

        self.assertEqual(
            sorted(lines),
            sorted(
                f"{event} greet {task}"
                for task in (first, second)
                for event in ("submitted", "started", "succeeded")
            ),
        )

    def test_an_agent_of_the_earlier_server_does_its_tasks(self):
        body = {"task": "write it down", "assigned_to": "scribe"}
        number = self.answer("POST", "/add_task", 201, json=body)["id"]
        self.example("old_agent.py")

        (task,) = self.answer("GET", "/v1/tasks?queue=scribe")["tasks"]
        self.assertEqual(self.ended(task["id"])["result_text"], "WRITE IT DOWN")
        data = self.answer("GET", f"/tasks/{number}")["data"]
        self.assertEqual((data["status"], data["result"]), ("completed", "WRITE IT DOWN"))


if __name__ == "__main__":
    main()

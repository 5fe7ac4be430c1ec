#!/usr/bin/python3
"""A claim that does not wait gets what is queued.

    claim_test.py JACK [--tasks N]
"""

import argparse
import asyncio
import pathlib
import shutil
import tempfile
import unittest

from http_client import Connection
from server import Server

ARGUMENTS = argparse.ArgumentParser()
ARGUMENTS.add_argument("jack")
ARGUMENTS.add_argument("--tasks", type=int, default=1000)
OPTIONS = ARGUMENTS.parse_args()


class Claims(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="jack-http-claim-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.server = Server(pathlib.Path(OPTIONS.jack), self.folder)
        self.server.start()
        self.addCleanup(self.server.close)

    def test_a_claim_that_does_not_wait_gets_the_task_that_was_acknowledged_before(self):
        empty = asyncio.run(self.claim_one_by_one(OPTIONS.tasks))

        self.assertEqual(empty, 0, f"of {OPTIONS.tasks} claims got nothing")

    async def claim_one_by_one(self, tasks):
        """How many claims came back empty."""
        connection = await Connection(self.server).open()
        empty = 0
        for _ in range(tasks):
            await connection.ask("POST", "/v1/queues/q/tasks", {"payload_text": ""}, 201)
            claimed = (await connection.ask("POST", "/v1/queues/q/claim"))["tasks"]
            empty += not claimed
            if not claimed:
                claimed = (await connection.ask("POST", "/v1/queues/q/claim?wait=30s"))["tasks"]
            path = f"/v1/tasks/{claimed[0]['id']}/succeed"
            await connection.ask("POST", path, {"token": claimed[0]["token"]}, 204)
        connection.close()
        return empty


if __name__ == "__main__":
    unittest.main(argv=["claim_test.py"], verbosity=2)

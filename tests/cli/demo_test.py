"""The demo, and what it leaves behind.

    demo_test.py JACK
"""

import os
import pathlib
import subprocess

from support import JACK, PATIENCE, JackTest, main

DEMO = pathlib.Path(__file__).parents[2] / "apps/demo/run.sh"


class Demo(JackTest):
    # One of its agents left a folder behind for each run.
    def test_all_is_answered_and_nothing_is_left_behind(self):
        place = self.folder / "tmp"
        place.mkdir()
        ended = subprocess.run(
            [str(DEMO), str(JACK)], env=self.environment | {"TMPDIR": str(place)},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=2 * PATIENCE, check=False,
        )  # fmt: skip
        said = ended.stdout.decode()
        self.assertEqual(ended.returncode, 0, said)
        self.assertIn("nothing lost and nothing done twice", said)
        self.assertEqual(os.listdir(place), [])


if __name__ == "__main__":
    main()

"""The old API, as those see it who call it: `jack serve` in the place of the earlier server.

    python3 -m pytest -p no:cacheprovider tests/jules --jack build/jack
"""

import shutil

import pytest

pytest.register_assert_rewrite("jules_server")  # so that its failures show values too

from jules_server import Server  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--jack", required=True, metavar="PATH", help="the program under test")


@pytest.fixture
def idle_server(request, tmp_path):
    """A server that a test starts by itself, and that has ended in order when the test has."""
    server = Server(request.config.getoption("--jack"), tmp_path)
    yield server
    server.close()
    shutil.rmtree(tmp_path)  # pytest would keep the reserve of each, 64 MiB, over three runs


@pytest.fixture
def server(idle_server):
    """A server with an empty data directory and without keys."""
    idle_server.start()
    return idle_server


@pytest.fixture
def jules(server):
    """Somebody who calls the server."""
    return server.client()

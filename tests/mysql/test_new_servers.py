# SPDX-License-Identifier: LGPL-2.1-or-later
"""The newer destinations, MySQL 9.7 and MariaDB 11.8: the whole way there and back, and every column type both ways.

They take a gigabyte of another Debian release, so only `tests/setup --for=servers` fetches them, and only a machine that
has them, or POLARSHIFT_TEST_ALL=1 (where their absence is a failure), runs this."""

import os

import pytest

import servers
from test_life_cycle import whole_life
from test_types import there_and_back


@pytest.fixture(params=[servers.MySQL97, servers.MariaDB118], ids=['mysql97', 'mariadb118'])
def destination(request, server):
        missing = request.param.missing()
        if missing and os.environ.get('POLARSHIFT_TEST_ALL') != '1':
                pytest.skip(missing)
        return server(request.param)


def test_whole_life(agent, link, server, destination):
        whole_life(agent, link, server(servers.MySQL56), destination, customers=3000, run=0.7)


def test_all_types(link, server, destination):
        source = server(servers.MySQL56)
        there_and_back(source, destination, link(source, destination))

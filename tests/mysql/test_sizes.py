# SPDX-License-Identifier: LGPL-2.1-or-later
"""Large rows and large transactions, in small; `tests/bench/sizes` is the same in full."""

import equal
import servers
import sizes
import steps

ROW = 20 << 20
MEMORY = 64 << 20       # of the agent, and for large rows:
COPIES = 12             # so many times the largest one


def make(server, kind, row):
        return server(kind, config=sizes.config(row), durable=False)


def test_large_row(agent, server, link):
        source, destination = make(server, servers.MySQL56, ROW), make(server, servers.MariaDB, ROW)
        whole = source.variable('max_allowed_packet')
        # A value that fits the source, and whose every byte has to be escaped on its way into the destination
        for side in (source, destination):
                side.admin(f'SET GLOBAL max_allowed_packet = {ROW + (4 << 20)}')
        source.script(['CREATE DATABASE packet', 'CREATE TABLE packet.t (id INT PRIMARY KEY, body LONGBLOB)'])
        shop = link(source, destination)
        steps.start(shop)
        source.admin(f"INSERT INTO packet.t VALUES (1, REPEAT('\\'', {ROW}))")
        shop.wait(lambda: shop.get('ReplicationState') == 'failed', 60, 'the stop')
        name, message = shop.get('LastError')
        assert name.endswith('.LimitsExceeded') and 'max_allowed_packet' in message
        for side in (source, destination):
                side.admin(f'SET GLOBAL max_allowed_packet = {whole}')
        shop.call('Resume', '(a{sv}t)', {}, 0)
        equal.wait_equal(source, destination, ['packet'])
        shop.operate('Cancel')
        shop.call('Remove', '(a{sv}t)', {}, 0)
        for side in (source, destination):
                side.admin('DROP DATABASE packet')
        assert sizes.large_rows(agent, link, source, destination, ROW) < MEMORY + COPIES * ROW


def test_large_transaction(agent, server, link):
        source, destination = make(server, servers.MySQL56, 1 << 20), make(server, servers.MariaDB, 1 << 20)
        assert sizes.large_transaction(agent, link, source, destination, 300000) < 256 << 20

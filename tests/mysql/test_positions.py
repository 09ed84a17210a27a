# SPDX-License-Identifier: LGPL-2.1-or-later
"""Places in binary logs: files that end, servers that crash, logs that are not what they were."""

import os
import struct
import time
import zlib

import pytest

import equal
import schemas
import servers
import steps
from workload import Workload

HEADER = struct.Struct('<IBIIIH')       # timestamp, type, server, size, end, flags
FIRST_OF_TRANSACTION = {33, 34, 162}    # GTID, ANONYMOUS_GTID, MariaDB's GTID


def pause(shop):
        shop.call('Pause', '(a{sv}t)', {}, 0)
        shop.wait_property('ReplicationState', 'stopped', 20)


def resume(shop):
        shop.call('Resume', '(a{sv}t)', {}, 0)


def link_failed(shop, name, timeout=40):
        shop.wait_property('ReplicationState', 'failed', timeout)
        error, message = shop.get('LastError')
        assert error.rsplit('.', 1)[-1] == name, (error, message)
        print(message)
        return message


def small(link, source, destination, customers=300, **options):
        schemas.create_shop(source, customers)
        shop = link(source, destination, **options)
        steps.start(shop)
        shop.wait(lambda: shop.get('VerificationState') in ('equal', 'different'), 60, 'a verification')
        return shop


def log_file(server):
        """The path of the file that is written now."""
        return os.path.join(server.datadir, server.admin('SHOW MASTER STATUS')[0][0])


def transactions(path):
        """Where the transactions of a binary log begin."""
        with open(path, 'rb') as f:
                data = f.read()
        at, starts = 4, []
        while at + HEADER.size <= len(data):
                _, kind, _, size, _, _ = HEADER.unpack_from(data, at)
                if size < HEADER.size or at + size > len(data):
                        break
                if kind in FIRST_OF_TRANSACTION:
                        starts.append(at)
                at += size
        return starts


def lose_tail(server, lost):
        """A crash without sync_binlog=1: the last transactions are not in the log any more, and their GTIDs are given
        out again to others."""
        path = log_file(server)
        executed = server.scalar('SELECT @@global.gtid_executed')
        server.kill9()
        os.truncate(path, transactions(path)[-lost])
        server.start()
        print(f'{executed} before, {server.scalar("SELECT @@global.gtid_executed")} now')


def write_others(server, n):
        for i in range(n):
                server.admin(f'UPDATE shop.products SET price = price + {i + 1} WHERE id = {i % 5 + 1}')


# ---- the same server, and not the same log

@pytest.mark.parametrize('moment', ['synchronizing', 'copying'])
def test_lost_tail(agent, link, server, moment):
        """Transactions that are applied are not on the source any more, others have their numbers and places."""
        source = server(servers.MySQL56, durable=False, config=['innodb_flush_log_at_trx_commit=0'])
        destination = server(servers.MariaDB)
        if moment == 'copying':
                schemas.create_shop(source, 6000)
                shop = link(source, destination, max_copy_rate=1 << 15)
                shop.operate('Start', flags=1)
                shop.wait(lambda: shop.get('RowsCopied') > 1000, 30, 'the first rows')
        else:
                shop = small(link, source, destination)
        with Workload([source], writers=2, rate=100) as load:
                time.sleep(2)
                load.pause()
                shop.wait_caught_up()
                lose_tail(source, 12)
        write_others(source, 40)
        message = link_failed(shop, 'BinlogUnavailable')
        assert 'binlog.0' in message and 'new migration' in message, message
        assert shop.get('Phase') == moment
        agent.restart()                         # it is not forgotten, nor got over by itself
        link_failed(shop, 'BinlogUnavailable')
        resume(shop)
        time.sleep(1)
        link_failed(shop, 'BinlogUnavailable')
        shop.operate('Cancel')
        assert not steps.write_refused(source)


def places(server):
        """Where the workers are."""
        name = server.scalar("SELECT table_name FROM information_schema.tables WHERE table_schema = 'polarshift' AND table_name LIKE 'ckpt%'")
        return server.admin(f'SELECT seq, part, file, start, pos, gtid, gtids FROM polarshift.{name} WHERE w < 1000 ORDER BY leg DESC, seq')


def rewrite(path, start, end):
        """Another transaction at the same place: its statements began a second later, and its checksums are right."""
        with open(path, 'r+b') as f:
                data = bytearray(f.read())
                at = start
                while at < end:
                        time_, _, _, size, _, _ = HEADER.unpack_from(data, at)
                        struct.pack_into('<I', data, at, time_ + 1)
                        struct.pack_into('<I', data, at + size - 4, zlib.crc32(data[at:at + size - 4]))
                        at += size
                assert at == end
                f.seek(0)
                f.write(data)


def test_another_log(link, pair):
        """Another transaction where the last one was, between two of the same bytes; then RESET MASTER under us."""
        source, destination = pair
        shop = small(link, source, destination)
        for _ in range(2):
                source.admin('UPDATE shop.stock SET quantity = quantity + 1 WHERE product_id = 1')
        shop.wait_caught_up()
        pause(shop)
        _, _, file, start, end, gtid, gtids = places(destination)[0]
        assert 0 < start < end and gtid and gtids
        path = os.path.join(source.datadir, file.decode())
        with open(path, 'rb') as f:
                before = f.read()
        source.stop()
        rewrite(path, start, end)
        source.start()
        resume(shop)
        message = link_failed(shop, 'BinlogUnavailable')
        assert 'another one is there' in message and gtid.decode() in message, message
        source.stop()
        with open(path, 'r+b') as f:            # as it was: nothing is wrong any more
                f.write(before)
        source.start()
        resume(shop)
        shop.wait_caught_up()
        equal.wait_equal(source, destination, ['shop'])
        source.admin('RESET MASTER')
        link_failed(shop, 'BinlogUnavailable')
        shop.operate('Cancel')


def test_crash_and_purge(agent, link, pair):
        """A crash that loses nothing is got over, and asks for another comparison. A log that was purged during a
        pause is missed."""
        source, destination = pair
        shop = small(link, source, destination)
        with Workload([source], writers=2, rate=100) as load:
                before = shop.get('VerifiedAt')
                source.restart()                # an orderly stop says nothing against the rows
                shop.wait_caught_up()
                time.sleep(1)
                assert shop.get('VerificationState') == 'equal' and shop.get('VerifiedAt') == before
                source.kill9()
                source.start()
                shop.wait(lambda: 'the upstream crashed' in agent.log(), 30, 'a note of the crash')
                shop.wait(lambda: shop.get('VerificationState') == 'equal' and shop.get('VerifiedAt') > before, 60,
                          'another verification')
                for _ in range(20):             # new files under load
                        source.admin('FLUSH BINARY LOGS')
                        time.sleep(0.05)
                source.admin('SET GLOBAL max_binlog_size = 4096')
                time.sleep(1.5)
                source.admin('SET GLOBAL max_binlog_size = 1073741824')
                agent.restart()
                shop.wait_caught_up()
                load.pause()
                equal.wait_equal(source, destination, ['shop'])
                load.go_on()
                pause(shop)
                time.sleep(0.5)
                load.pause()
        load.check(source)
        source.admin('FLUSH BINARY LOGS')
        source.admin(f"PURGE BINARY LOGS TO '{source.admin('SHOW MASTER STATUS')[0][0]}'")
        resume(shop)
        message = link_failed(shop, 'BinlogUnavailable')
        assert 'purged' in message, message


@pytest.mark.skipif(not os.environ.get('POLARSHIFT_TEST_LARGE'), reason='30 GB and minutes: set POLARSHIFT_TEST_LARGE=1')
def test_beyond_4_gib(agent, link, server):
        """A transaction is never split over files: one of more than 4 GiB, and what follows it in the same file."""
        source = server(servers.MySQL56, durable=False, config=['max_binlog_cache_size=18446744073709547520'])
        destination = server(servers.MariaDB, durable=False)
        shop = small(link, source, destination)
        source.admin('CREATE TABLE shop.big (id INT PRIMARY KEY, n INT, body LONGBLOB)')
        source.admin("INSERT INTO shop.big VALUES (1, 0, REPEAT('a', 8000000))")
        shop.wait_caught_up()
        with Workload([source], writers=2, rate=200) as load:
                began = time.monotonic()
                with source.connect(read_timeout=600, autocommit=False) as c, c.cursor() as cursor:
                        for _ in range(290):    # whole rows are logged, before and after
                                cursor.execute('UPDATE shop.big SET n = n + 1')
                        file = os.path.basename(log_file(source))
                        print(f'executed in {time.monotonic() - began:.0f} s')
                        c.commit()
                time.sleep(1)
                size = dict(source.admin('SHOW BINARY LOGS'))[file] if len(source.admin('SHOW BINARY LOGS')[0]) == 2 else 0
                print(f'committed after {time.monotonic() - began:.0f} s; {file} has {size} bytes')
                assert size > 1 << 32
                for n in range(4):              # in the middle of it, and behind it
                        time.sleep(6)
                        agent.kill9()
                        agent.start()
                        print(f'{time.monotonic() - began:.0f} s: {places(destination)[0]}')
                shop.wait_caught_up(600)
                print(f'caught up after {time.monotonic() - began:.0f} s: {places(destination)[0]}')
                load.pause()
                equal.wait_equal(source, destination, ['shop'], 120)
                print(f'high water: {agent.memory_high_water() >> 20} MiB')
        load.check(source)



# ---- what a crash leaves open

def test_prepared_transaction_outlives_a_crash(agent, link, pair):
        """MySQL 5.6 keeps a prepared XA transaction over a crash, and logs nothing of its COMMIT: what was compared before that
        does not let a switch through."""
        source, destination = pair
        shop = small(link, source, destination)
        with source.connect() as c, c.cursor() as cursor:
                for sql in ("XA START 'late'", 'INSERT INTO shop.stock VALUES (900001, 1, 7, NULL)', "XA END 'late'", "XA PREPARE 'late'"):
                        cursor.execute(sql)
                source.kill9()
        source.start()
        shop.wait(lambda: 'outlived the crash' in shop.call('GetHistory', '(t)', 0), 60, 'the note of the prepared transaction')
        shop.operate('Verify')
        assert shop.get('VerificationState') == 'equal'         # it is: nobody sees the row
        agent.restart()
        shop.wait_property('ReplicationState', 'running', 30)
        shop.wait_caught_up()
        result, error, message = shop.operate('Switch', check=False)
        assert (result, error) == ('failed', 'VerificationFailed') and 'XA' in message, (result, error, message)

        source.admin("XA COMMIT 'late'")
        shop.wait_property('VerificationState', 'different', 60)
        shop.operate('Repair')
        shop.operate('Verify')
        steps.change_side(shop, 'Switch')
        assert equal.compare(source, destination, ['shop']) == []

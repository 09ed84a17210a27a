# SPDX-License-Identifier: LGPL-2.1-or-later
"""Steps that several real-server tests take with a migration."""

import contextlib
import threading
import time

import pymysql

import servers
from agent import BusError

# What a side that must not be written answers an application with: read-only, or the account's grants are gone.
ENDED = {2006, 2013, 1927}              # a fence ended the session: the next one tells
REFUSALS = {1290, 1836, 1044, 1045, 1142, 1143, 1227, 1524, 3118, 4151}


def write_refused(server, db='shop', user='app', password=servers.APP_PASSWORD):
        """True when an ordinary account cannot write here; else a row of the stock was counted up and down again."""
        while True:
                try:
                        with server.connect(user, password) as c, c.cursor() as cursor:
                                cursor.execute(f'UPDATE `{db}`.stock SET quantity = quantity + 1 WHERE product_id = 1')
                                cursor.execute(f'UPDATE `{db}`.stock SET quantity = quantity - 1 WHERE product_id = 1')
                        return False
                except pymysql.err.MySQLError as e:
                        if e.args[0] in REFUSALS:
                                return True
                        if e.args[0] not in ENDED:
                                raise


def create(agent, source, destination, name='shop', **options):
        """A migration with its credentials, phase created; both sides as servers or URIs. The accounts of the tests are on both sides, and
        differ on some, hence unfit=skip."""
        options.setdefault('unfit', 'skip')
        for side in ('source', 'destination'):
                agent.set_credential(f'{name}.{side}', servers.AGENT_PASSWORD)
        return agent.create(name, *(side if isinstance(side, str) else side.uri('agent') for side in (source, destination)), **options)


def start(migration, timeout=180):
        """Start, warnings accepted, until both sides are in step."""
        migration.operate('Start', flags=1)
        migration.wait_phase('synchronizing', timeout)
        migration.wait_caught_up(timeout)


def make_ready(migration, timeout=120):
        """What the guard of a switch asks for: a known small delay, a proven way back, a verification."""
        migration.wait_caught_up(timeout)
        migration.wait(lambda: migration.get('ReverseProven'), timeout, 'ReverseProven')
        if migration.get('VerificationState') != 'equal':
                try:
                        migration.operate('Verify', timeout=timeout)
                except BusError as e:
                        if e.short != 'NotSupported':
                                raise


def begin(migration, method, opts=None):
        """Begins an operation that is refused while the delay is unknown, which it is for a moment whenever a heartbeat is late."""
        def known():
                try:
                        return migration.begin(method, opts)
                except BusError as e:
                        if e.short != 'DelayUnknown':
                                raise
                        return None
        return migration.wait(known, 60, 'a known delay')


def change_side(migration, method, timeout=120, **opts):
        """Switch or Rollback; returns the reported write interruption in seconds."""
        make_ready(migration, timeout)
        migration.finish(begin(migration, method, opts), timeout)
        phase = 'switched' if method == 'Switch' else 'synchronizing'
        assert migration.get('Phase') == phase
        return migration.get('WriteInterruption')


@contextlib.contextmanager
def busy_with_bytes(server, *before):
        """A session, which is given, runs a statement whose text is not text: whoever lists the sessions must not stumble over it."""
        c = server.connect()

        def run():
                with contextlib.suppress(pymysql.err.MySQLError), c.cursor() as cursor:
                        for statement in before:
                                cursor.execute(statement)
                        cursor.execute(b"SELECT GET_LOCK('busy', 0), SLEEP(600), _binary'\xaczA]s8\xf0\x9f\x98\x80 \xff\xfe'")

        thread = threading.Thread(target=run)
        thread.start()
        try:
                while server.scalar("SELECT IS_USED_LOCK('busy')") is None:
                        time.sleep(0.05)
                yield c
        finally:
                with contextlib.suppress(pymysql.err.OperationalError):         # a fence may have ended it
                        server.admin(f'KILL {c.thread_id()}')
                thread.join()

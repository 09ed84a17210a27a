#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Throw-away MySQL and MariaDB servers, real ones, for tests, benchmarks and the try-out command.

A server lives in a fresh folder under $POLARSHIFT_TEST_DIR (default /tmp; short, since socket paths are limited to
107 bytes), listens on a free port of 127.0.0.1 and on a socket, and is gone when it is closed. Its root account has
no password over the socket and cannot log in over TCP.

    from servers import MySQL56, MariaDB, create_agent_account, create_app_account

    with MySQL56() as source, MariaDB() as destination:      # created and started
        create_agent_account(source, 'agent', 'secret')
        create_app_account(source, 'app', 'secret')
        source.admin('CREATE DATABASE shop')                 # as root over the socket; returns the rows
        source.connect('app', 'secret', db='shop')           # a pymysql connection (TCP for anybody but root)
        source.uri('agent')                                  # mysql://agent@127.0.0.1:PORT/?ssl-mode=disabled
        source.kill9(); source.start()                       # a crash and the restart after it
        source.restart(); source.stop()

    MySQL56(config=['log-bin=OFF'], durable=False)           # more lines for [mysqld]; 'skip:NAME' drops a default one

By hand, or from a benchmark written in shell: keeps the server until a signal or the end of standard input's
terminal, prints its socket, port and folder first.

    tests/lib/servers.py start mysql56|mariadb|mariadb118|mysql97 [--relaxed] [--port=N] [--user=NAME --password=SECRET] [NAME=VALUE ...]

MySQL97 and MariaDB118 come from newer releases of Debian (`tests/setup --for=servers`). Their programs run with the
libraries of their own release, by its dynamic loader: no chroot, no mounts, nothing that could be left behind.

Each server is killed when the thread that started it ends, however it ends; start servers in the main thread.
"""

import argparse
import ctypes
import glob
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import pymysql

CACHE = os.environ.get('POLARSHIFT_TEST_CACHE', '/var/cache/polarshift-test')
_server_ids = itertools.count(random.randrange(1000, 4_000_000_000))
PR_SET_PDEATHSIG = 1

# What the agent's account may do; the same lists stand in the README. The binary log, read_only, killing sessions that
# hold a transaction and creating the tables are what they are for.
AGENT_PRIVILEGES = {
    'mysql56': ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'CREATE', 'DROP', 'REFERENCES', 'ALTER', 'INDEX',
                'LOCK TABLES', 'RELOAD', 'PROCESS', 'SUPER', 'REPLICATION SLAVE', 'REPLICATION CLIENT', 'SHOW VIEW',
                'TRIGGER', 'EVENT', 'SHOW DATABASES', 'CREATE VIEW', 'CREATE ROUTINE', 'ALTER ROUTINE', 'EXECUTE',
                'CREATE TEMPORARY TABLES', 'CREATE USER'],
    'mariadb': ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'CREATE', 'DROP', 'REFERENCES', 'ALTER', 'INDEX',
                'LOCK TABLES', 'RELOAD', 'PROCESS', 'SUPER', 'REPLICATION SLAVE', 'BINLOG MONITOR', 'BINLOG ADMIN',
                'REPLICATION SLAVE ADMIN', 'REPLICATION MASTER ADMIN', 'SLAVE MONITOR', 'READ_ONLY ADMIN',
                'CONNECTION ADMIN', 'SHOW VIEW', 'TRIGGER', 'EVENT', 'SHOW DATABASES', 'CREATE VIEW', 'CREATE ROUTINE',
                'ALTER ROUTINE', 'EXECUTE', 'SET USER', 'CREATE TEMPORARY TABLES', 'CREATE USER'],
    'mysql97': ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'CREATE', 'DROP', 'REFERENCES', 'ALTER', 'INDEX',
                'LOCK TABLES', 'RELOAD', 'PROCESS', 'REPLICATION SLAVE', 'REPLICATION CLIENT', 'SHOW VIEW', 'TRIGGER',
                'EVENT', 'SHOW DATABASES', 'SYSTEM_VARIABLES_ADMIN', 'CONNECTION_ADMIN', 'XA_RECOVER_ADMIN', 'CREATE VIEW',
                'CREATE ROUTINE', 'ALTER ROUTINE', 'EXECUTE', 'SET_ANY_DEFINER', 'ALLOW_NONEXISTENT_DEFINER',
                'CREATE TEMPORARY TABLES', 'CREATE USER'],
}
APP_PRIVILEGES = ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'CREATE', 'DROP', 'ALTER', 'INDEX', 'LOCK TABLES',
                  'CREATE TEMPORARY TABLES']


def free_port():
        """A port nobody listens on. Below the range that outgoing connections take theirs from, so that it is still
        free when a stopped server wants it back."""
        for _ in range(200):
                port = random.randrange(12000, 32000)
                with socket.socket() as s:
                        try:
                                s.bind(('127.0.0.1', port))
                        except OSError:
                                continue
                        return port
        raise RuntimeError('no free port')


def scratch_folder(prefix='ps-', parent='/tmp'):
        folder = tempfile.mkdtemp(prefix=prefix, dir=os.environ.get('POLARSHIFT_TEST_DIR', parent))
        os.chmod(folder, 0o755)
        return folder


def die_with_parent():
        """For preexec_fn: the kernel kills the child when the starting thread is gone."""
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Server:
        """One server. `flavor` is 'mysql56', 'mariadb' or 'mysql97'."""

        flavor = None
        reset_log = 'RESET MASTER'
        redo_log = 'innodb_log_file_size=64M'

        def __init__(self, *, config=(), durable=True, buffer_pool='256M', folder=None, datadir=None, port=None,
                     server_id=None, start=True):
                self.folder = folder or scratch_folder()
                os.makedirs(f'{self.folder}/tmp', exist_ok=True)
                self.datadir = datadir or os.path.join(self.folder, 'data')
                self.socket = os.path.join(self.folder, 's.sock')
                self.log_path = os.path.join(self.folder, 'error.log')
                self._fixed_port = port
                self.port = port or free_port()
                self.server_id = server_id or next(_server_ids) % 4_294_967_295 or 1
                self.config = list(config)
                self.durable = durable
                self.buffer_pool = buffer_pool
                self.process = None
                self._first = True
                try:
                        self._create_data()
                        if start:
                                self.start()
                except BaseException:
                        self.close()
                        raise

        # ---- to be said by each flavor

        def _create_data(self):
                raise NotImplementedError

        def _program(self):
                raise NotImplementedError

        def _environment(self):
                return dict(os.environ)

        def _flavor_lines(self):
                return []

        # ---- life

        def _write_config(self):
                lines = ['user=root' if os.geteuid() == 0 else '', f'datadir={self.datadir}',
                         f'socket={self.socket}', f'port={self.port}', 'bind-address=127.0.0.1',
                         f'pid-file={self.folder}/pid', f'log-error={self.log_path}', f'tmpdir={self.folder}/tmp',
                         f'server-id={self.server_id}', 'log-bin=binlog', 'binlog_format=ROW',
                         'binlog_row_image=FULL', 'log-slave-updates', 'skip-name-resolve', 'performance_schema=OFF',
                         f'innodb_buffer_pool_size={self.buffer_pool}', self.redo_log,
                         'max_allowed_packet=64M', 'max_connections=300', 'innodb_lock_wait_timeout=10',
                         f'innodb_flush_log_at_trx_commit={1 if self.durable else 2}',
                         f'sync_binlog={1 if self.durable else 0}', *self._flavor_lines()]
                dropped = {c[5:] for c in self.config if c.startswith('skip:')}
                lines = [line for line in lines if line and line.split('=')[0] not in dropped]
                lines += [c for c in self.config if not c.startswith('skip:')]
                with open(f'{self.folder}/my.cnf', 'w', encoding='utf-8') as f:
                        f.write('[mysqld]\n' + '\n'.join(lines) + '\n')

        def start(self, wait=True):
                """Starts the server; with wait=False, call wait_ready() later (two servers start side by side)."""
                assert self.process is None, 'already running'
                self._write_config()
                for leftover in (self.socket, f'{self.folder}/pid'):
                        if os.path.exists(leftover):
                                os.unlink(leftover)
                with open(f'{self.folder}/output.log', 'ab') as out:
                        self.process = subprocess.Popen(
                                [*self._program(), *self._extra_arguments()], stdin=subprocess.DEVNULL, stdout=out,
                                stderr=out, cwd=self.folder, env=self._environment(), preexec_fn=die_with_parent,
                                start_new_session=True)
                if wait:
                        self.wait_ready()

        def _extra_arguments(self):
                if not self._first:
                        return []
                # The anonymous accounts of the initial data would be taken for every account that logs in from
                # localhost; root is kept for the socket alone. None of that may reach the binary log.
                path = f'{self.folder}/init.sql'
                with open(path, 'w', encoding='utf-8') as f:
                        f.write('\n'.join(self._first_statements()) + '\n')
                return [f'--init-file={path}']

        def _first_statements(self):
                raise NotImplementedError

        def wait_ready(self, timeout=90):
                deadline = time.monotonic() + timeout
                while True:
                        if self.process.poll() is not None:
                                code = self.process.returncode
                                self.process = None
                                if self._first and not self._fixed_port and 'in use' in self.log():
                                        self.port = free_port()
                                        os.unlink(self.log_path)
                                        self.start(wait=False)
                                        continue
                                raise RuntimeError(f'{self.flavor} ended with {code}:\n{self.log()[-3000:]}')
                        try:
                                with self.connect() as c, c.cursor() as cursor:
                                        cursor.execute('SELECT 1')
                                break
                        except pymysql.err.MySQLError:
                                if time.monotonic() > deadline:
                                        raise RuntimeError(
                                                f'{self.flavor} did not start:\n{self.log()[-3000:]}') from None
                                time.sleep(0.05)
                if self._first:
                        self._first = False
                        if self.variable('log_bin'):
                                self.admin(self.reset_log)

        @property
        def pid(self):
                return self.process.pid

        @property
        def running(self):
                return self.process is not None and self.process.poll() is None

        def stop(self, timeout=90):
                """The orderly way down."""
                if self.process is None:
                        return
                self.process.terminate()
                try:
                        self.process.wait(timeout)
                except subprocess.TimeoutExpired:
                        self.process.kill()
                        self.process.wait()
                self.process = None

        def kill9(self):
                """A crash."""
                if self.process is not None:
                        self.process.kill()
                        self.process.wait()
                        self.process = None

        def restart(self):
                self.stop()
                self.start()

        def suspend(self):
                """Unreachable, but its connections stay open."""
                os.kill(self.pid, signal.SIGSTOP)

        def proceed(self):
                os.kill(self.pid, signal.SIGCONT)

        def close(self):
                """Stops the server without ceremony and removes its folder."""
                self.kill9()
                shutil.rmtree(self.datadir, ignore_errors=True)
                shutil.rmtree(self.folder, ignore_errors=True)

        def __enter__(self):
                return self

        def __exit__(self, *exc):
                self.close()

        def log(self):
                try:
                        with open(self.log_path, encoding='utf-8', errors='replace') as f:
                                return f.read()
                except FileNotFoundError:
                        return ''

        # ---- talking to it

        def connect(self, user='root', password='', db=None, **options):
                """A pymysql connection in autocommit mode: root by socket, everybody else over TCP."""
                if user == 'root':
                        options.setdefault('unix_socket', self.socket)
                else:
                        options.setdefault('host', '127.0.0.1')
                        options.setdefault('port', self.port)
                options.setdefault('charset', 'utf8mb4')
                options.setdefault('autocommit', True)
                options.setdefault('connect_timeout', 10)
                return pymysql.connect(user=user, password=password, database=db, **options)

        def admin(self, sql, args=None, db=None):
                """Runs one statement as root and returns its rows."""
                with self.connect(db=db) as c, c.cursor() as cursor:
                        cursor.execute(sql, args)
                        return cursor.fetchall()

        def script(self, statements, db=None):
                """Runs several statements as root in one session."""
                with self.connect(db=db) as c, c.cursor() as cursor:
                        for sql in statements:
                                cursor.execute(sql)

        def scalar(self, sql, args=None, db=None):
                rows = self.admin(sql, args, db)
                return rows[0][0] if rows else None

        def variable(self, name):
                return self.scalar(f'SELECT @@global.{name}')

        def uri(self, user, parameters='ssl-mode=disabled'):
                return f'mysql://{user}@127.0.0.1:{self.port}/?{parameters}'


class MySQL56(Server):
        flavor = 'mysql56'
        home = os.path.join(CACHE, 'mysql-5.6')

        def _create_data(self):
                if os.path.exists(os.path.join(self.datadir, 'mysql')):
                        self._first = False
                        return
                if not os.path.exists(f'{self.home}/.complete'):
                        raise RuntimeError(f'no MySQL 5.6 in {self.home}: run tests/setup first')
                shutil.copytree(f'{self.home}/data/mysql', self.datadir, dirs_exist_ok=True)
                auto = f'{self.datadir}/auto.cnf'       # holds the server_uuid: each server makes up its own
                if os.path.exists(auto):
                        os.unlink(auto)

        def _program(self):
                return [f'{self.home}/mysqld', f'--defaults-file={self.folder}/my.cnf']

        def _environment(self):
                return {**os.environ, 'LD_LIBRARY_PATH': self.home}

        def _flavor_lines(self):
                return [f'basedir={self.home}', f'lc-messages-dir={self.home}/share',
                        f'character-sets-dir={self.home}/share/charsets', 'gtid_mode=ON', 'enforce-gtid-consistency']

        def _first_statements(self):
                return ['SET sql_log_bin=0;',
                        "DELETE FROM mysql.user WHERE user='' OR (user='root' AND host<>'localhost');",
                        "DELETE FROM mysql.db WHERE user='';",
                        'FLUSH PRIVILEGES;']


class MariaDB(Server):
        flavor = 'mariadb'

        def _create_data(self):
                if os.path.exists(os.path.join(self.datadir, 'mysql')):
                        self._first = False
                        return
                # A shell script with children: a group of its own, so that all of them can be ended.
                installing = subprocess.Popen(
                        ['mariadb-install-db', '--no-defaults', '--auth-root-authentication-method=normal',
                         '--skip-test-db', '--force', f'--datadir={self.datadir}',
                         '--innodb-log-file-size=8M',
                         *(['--user=root'] if os.geteuid() == 0 else []),
                         # A server that starts removes temporary tables of others from the folder that it shares with them.
                         f'--tmpdir={self.folder}/tmp'],
                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                        start_new_session=True,
                        env={**os.environ, 'PATH': os.environ.get('PATH', '') + ':/usr/bin:/usr/sbin:/sbin'})
                try:
                        output, _ = installing.communicate()
                except BaseException:
                        os.killpg(installing.pid, signal.SIGKILL)
                        installing.wait()
                        time.sleep(0.2)
                        raise
                if installing.returncode:
                        raise RuntimeError('mariadb-install-db: ' + output.decode(errors='replace')[-2000:])

        def _program(self):
                program = next((p for p in ('/usr/sbin/mariadbd', '/usr/bin/mariadbd') if os.path.exists(p)), None)
                if program is None:
                        raise RuntimeError('no mariadbd: run tests/setup first')
                return [program, f'--defaults-file={self.folder}/my.cnf']

        def _first_statements(self):
                return ['SET sql_log_bin=0;',
                        "DELETE FROM mysql.global_priv WHERE user='' OR (user='root' AND host<>'localhost');",
                        'FLUSH PRIVILEGES;']


class OtherRelease:
        """What runs a program of another Debian release from its folder in the cache, as any user."""

        release = None

        @property
        def root(self):
                return os.path.join(CACHE, f'debian-{self.release}')

        @classmethod
        def missing(cls):
                """Why it cannot be started here, or None."""
                root = os.path.join(CACHE, f'debian-{cls.release}')
                return None if os.path.exists(f'{root}/.complete') else f'no {root}: run tests/setup --for=servers first'

        def _of_release(self, program):
                if self.missing():
                        raise RuntimeError(self.missing())
                libraries = glob.glob(f'{self.root}/usr/lib/*-linux-gnu*')
                loader = next(iter(glob.glob(f'{self.root}/usr/lib*/ld-linux-*.so.*')
                                   + glob.glob(f'{self.root}/usr/lib/*/ld-linux-*.so.*')))
                return [loader, '--library-path', ':'.join(libraries), f'{self.root}/usr/{program}']


class MySQL97(OtherRelease, Server):
        """MySQL 9.7, the long-term release, as Debian's sid has it."""

        flavor = 'mysql97'
        release = 'sid'
        reset_log = 'RESET BINARY LOGS AND GTIDS'
        redo_log = 'innodb_redo_log_capacity=128M'

        def _create_data(self):
                if os.path.exists(os.path.join(self.datadir, 'mysql')):
                        self._first = False
                        return
                done = subprocess.run([*self._of_release('sbin/mysqld'), '--no-defaults', '--initialize-insecure',
                                       *self._places(), f'--datadir={self.datadir}', '--log-bin=OFF', f'--tmpdir={self.folder}/tmp',
                                       *(['--user=root'] if os.geteuid() == 0 else [])],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                      preexec_fn=die_with_parent, check=False)
                if done.returncode:
                        raise RuntimeError('mysqld --initialize: ' + done.stdout.decode(errors='replace')[-2000:])

        def _places(self):
                share = f'{self.root}/usr/share/mysql'
                return [f'--basedir={self.root}/usr', f'--lc-messages-dir={share}', f'--character-sets-dir={share}/charsets',
                        f'--plugin-dir={self.root}/usr/lib/mysql/plugin']

        def _program(self):
                return [*self._of_release('sbin/mysqld'), f'--defaults-file={self.folder}/my.cnf']

        def _flavor_lines(self):
                return [*(p[2:] for p in self._places()), 'gtid_mode=ON', 'enforce-gtid-consistency', 'mysqlx=OFF',
                        'secure-file-priv=']

        def _first_statements(self):
                return []


class MariaDB118(OtherRelease, MariaDB):
        """MariaDB 11.8 (long-term), as Debian 13 has it."""

        release = 'trixie'

        def _create_data(self):
                if os.path.exists(os.path.join(self.datadir, 'mysql')):
                        self._first = False
                        return
                share = f'{self.root}/usr/share/mariadb'
                os.makedirs(os.path.join(self.datadir, 'mysql'))
                script = ['CREATE DATABASE IF NOT EXISTS sys;', 'USE mysql;', 'SET @auth_root_socket=NULL;']
                for name in ('mariadb_system_tables', 'mariadb_performance_tables', 'mariadb_system_tables_data',
                             'maria_add_gis_sp_bootstrap', 'mariadb_sys_schema'):
                        with open(f'{share}/{name}.sql', encoding='utf-8') as f:
                                script.append(f.read())
                done = subprocess.run([*self._of_release('sbin/mariadbd'), '--no-defaults', '--bootstrap', *self._places(),
                                       f'--datadir={self.datadir}', '--enforce-storage-engine=', '--innodb-log-file-size=8M', f'--tmpdir={self.folder}/tmp',
                                       *(['--user=root'] if os.geteuid() == 0 else [])],
                                      input='\n'.join(script).encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                      preexec_fn=die_with_parent, check=False)
                if done.returncode:
                        raise RuntimeError('mariadbd --bootstrap: ' + done.stdout.decode(errors='replace')[-2000:])

        def _places(self):
                share = f'{self.root}/usr/share/mariadb'
                return [f'--basedir={self.root}/usr', f'--lc-messages-dir={share}', f'--character-sets-dir={share}/charsets',
                        f'--plugin-dir={self.root}/usr/lib/mysql/plugin']

        def _program(self):
                return [*self._of_release('sbin/mariadbd'), f'--defaults-file={self.folder}/my.cnf']

        def _flavor_lines(self):
                return [p[2:] for p in self._places()]


FLAVORS = {'mysql56': MySQL56, 'mariadb': MariaDB, 'mariadb118': MariaDB118, 'mysql97': MySQL97}


def quote(text):
        return "'" + text.replace('\\', '\\\\').replace("'", "''") + "'"


def create_account(server, user, password, privileges, option=False):
        """An account from anywhere, not written to the binary log."""
        grants = [f"GRANT {', '.join(privileges)} ON *.* TO {quote(user)}@'%'{' WITH GRANT OPTION' if option else ''}"] if privileges else []
        server.script(['SET sql_log_bin=0',
                       f"CREATE USER {quote(user)}@'%' IDENTIFIED BY {quote(password)}", *grants])


def create_agent_account(server, user='agent', password='secret', without=()):
        """The agent's account with the privileges that docs/privileges.md names, and no other one."""
        create_account(server, user, password,
                       [p for p in AGENT_PRIVILEGES[server.flavor] if p not in without], option='GRANT OPTION' not in without)


def create_app_account(server, user='app', password='app'):
        """An application's account: nothing in it gets past read_only."""
        create_account(server, user, password, APP_PRIVILEGES)


def restore_accounts(server):
        """The accounts agent and app as they were, whatever a test or a fence did to them."""
        for user in ('agent', 'app'):
                if server.scalar('SELECT COUNT(*) FROM mysql.user WHERE user = %s', (user,)):
                        server.script(['SET sql_log_bin=0', f"DROP USER '{user}'@'%'"])
        create_agent_account(server, 'agent', AGENT_PASSWORD)
        create_app_account(server, 'app', APP_PASSWORD)


def start_pair(source=MySQL56, destination=MariaDB, source_options=None, destination_options=None):
        """Two servers that start side by side, each with the accounts 'agent' and 'app' (passwords in
        AGENT_PASSWORD and APP_PASSWORD)."""
        pair = []
        try:
                pair.append(source(start=False, **(source_options or {})))
                pair[0].start(wait=False)
                pair.append(destination(start=False, **(destination_options or {})))
                pair[1].start(wait=False)
                for server in pair:
                        server.wait_ready()
                        create_agent_account(server, 'agent', AGENT_PASSWORD)
                        create_app_account(server, 'app', APP_PASSWORD)
        except BaseException:
                for server in pair:
                        server.close()
                raise
        return pair


def replicate(primary, standby, gtid=True):
        """Makes STANDBY follow PRIMARY by the server's own replication; both have the accounts, and the same data."""
        if primary.flavor == 'mysql97':
                standby.script([f"CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT={primary.port}, SOURCE_USER='agent', "
                                f"SOURCE_PASSWORD={quote(AGENT_PASSWORD)}, SOURCE_CONNECT_RETRY=1, SOURCE_AUTO_POSITION=1, "
                                'GET_SOURCE_PUBLIC_KEY=1', 'START REPLICA', 'SET GLOBAL read_only=1'])
                return
        if primary.flavor == 'mariadb':
                place = ', MASTER_USE_GTID=slave_pos' if gtid else ''
        else:
                place = f', MASTER_AUTO_POSITION={int(gtid)}'
        if not gtid:
                place += ", MASTER_LOG_FILE='{}', MASTER_LOG_POS={}".format(*primary.admin('SHOW MASTER STATUS')[0][:2])
        standby.script([f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={primary.port}, MASTER_USER='agent', "
                        f"MASTER_PASSWORD={quote(AGENT_PASSWORD)}, MASTER_CONNECT_RETRY=1{place}",
                        'START SLAVE', 'SET GLOBAL read_only=1'])


def wait_standby(primary, standby, timeout=60):
        """Until the standby has everything that the primary logged."""
        if primary.flavor == 'mariadb':
                sql = f"SELECT MASTER_GTID_WAIT('{primary.scalar('SELECT @@gtid_binlog_pos')}', {timeout})"
        elif primary.flavor == 'mysql97':
                sql = f"SELECT -WAIT_FOR_EXECUTED_GTID_SET('{primary.scalar('SELECT @@gtid_executed')}', {timeout})"
        else:
                sql = 'SELECT MASTER_POS_WAIT("{}", {}, {})'.format(*primary.admin('SHOW MASTER STATUS')[0][:2], timeout)
        answer = standby.scalar(sql)
        assert answer is not None and answer >= 0, f'the standby does not follow: {answer}'


def promote(standby):
        word = 'REPLICA' if standby.flavor == 'mysql97' else 'SLAVE'
        standby.script([f'STOP {word}', f'RESET {word} ALL', 'SET GLOBAL read_only=0'])


AGENT_PASSWORD = "agent's pass word"
APP_PASSWORD = 'app-pass'


def main():
        parser = argparse.ArgumentParser(description='Runs a throw-away server until a signal.')
        commands = parser.add_subparsers(dest='command', required=True)
        start = commands.add_parser('start')
        start.add_argument('flavor', choices=sorted(FLAVORS))
        start.add_argument('--relaxed', action='store_true', help='flush at commit 2, sync_binlog 0')
        start.add_argument('--port', type=int)
        start.add_argument('--user', help="an application's account to create")
        start.add_argument('--agent', help='an account for the agent to create')
        start.add_argument('--password', default='')
        start.add_argument('--buffer-pool', default='256M')
        start.add_argument('config', nargs='*', help='lines for [mysqld]')
        args = parser.parse_args()
        signals = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        with FLAVORS[args.flavor](config=args.config, durable=not args.relaxed, port=args.port,
                                  buffer_pool=args.buffer_pool, start=False) as server:
                # The child inherits the mask; servers unblock nothing by themselves.
                signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
                for s in signals:
                        signal.signal(s, _leave)
                try:
                        server.start()
                        if args.agent:
                                create_agent_account(server, args.agent, args.password)
                        if args.user:
                                create_app_account(server, args.user, args.password)
                        print(f'socket={server.socket}\nport={server.port}\nfolder={server.folder}\n'
                              f'pid={server.pid}\nready', flush=True)
                        server.process.wait()
                        sys.exit(f'{args.flavor} ended:\n{server.log()[-2000:]}')
                except KeyboardInterrupt:
                        pass


def _leave(*_):
        raise KeyboardInterrupt


if __name__ == '__main__':
        main()

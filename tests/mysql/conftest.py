# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real servers for the tests of this folder. Servers that tests share are emptied between them, not restarted."""

import contextlib
import functools
import os
import shutil
import warnings

import pymysql
import pytest

import agent as agent_module
import faults
import servers
import steps

CANNOT_REMOVE_FOLDER = 1010             # ER_DB_DROP_RMDIR


class FolderLeft(Exception):
        """A server dropped a database, and files that belong to no table of it stay in its folder."""


@pytest.fixture
def agent():
        with agent_module.Agent() as a:
                yield a


class Shared:
        """A running pair, and what brings it back to empty."""

        def __init__(self, source, destination):
                self.kinds = source, destination
                self.source, self.destination = servers.start_pair(source, destination)
                self.variables = [self._variables(server) for server in (self.source, self.destination)]

        @staticmethod
        def _variables(server):
                return {name.lower(): value for name, value in server.admin('SHOW GLOBAL VARIABLES')
                        if not any(part in name.lower() for part in ('gtid', 'pos', 'timestamp', 'last_', 'pseudo', 'rand_seed'))}

        def restore_variables(self):
                """The agent carries some at Start, and they stay."""
                for server, before in zip((self.source, self.destination), self.variables):
                        for name, value in self._variables(server).items():
                                if name in before and value != before[name]:
                                        with contextlib.suppress(pymysql.err.MySQLError):       # some are counters
                                                server.admin(f'SET GLOBAL {name} = '
                                                             + (before[name] if before[name].isdigit() else servers.quote(before[name])))

        def empty(self):
                for server in (self.source, self.destination):
                        if not server.running:
                                server.start()
                        server.admin('SET GLOBAL read_only = 0')
                try:
                        for server in (self.source, self.destination):
                                self._drop_databases(server)
                except FolderLeft as left:
                        warnings.warn(f'a new pair of servers: {left}', stacklevel=1)
                        self.close()
                        self.__init__(*self.kinds)
                for server in (self.source, self.destination):
                        servers.restore_accounts(server)
                self.restore_variables()

        @staticmethod
        def _drop_databases(server):
                system = {'mysql', 'information_schema', 'performance_schema', 'sys'}
                script = ['SET foreign_key_checks = 0']
                script += ['DROP DATABASE `' + name.replace('`', '``') + '`'
                           for (name,) in server.admin('SHOW DATABASES') if name not in system]
                try:
                        server.script(script)
                except pymysql.err.OperationalError as e:
                        if e.args[0] != CANNOT_REMOVE_FOLDER:
                                raise
                        files = [os.path.relpath(os.path.join(folder, file), server.datadir) for folder, _, found in os.walk(server.datadir)
                                 for file in found if os.path.dirname(folder) == server.datadir and os.path.basename(folder) not in system]
                        raise FolderLeft(f'{server.flavor} left {sorted(files)} behind: {e}') from e

        def close(self):
                for server in (self.source, self.destination):
                        server.close()


@pytest.fixture(scope='session')
def _mariadb_pair():
        pair = Shared(servers.MySQL56, servers.MariaDB)
        yield pair
        pair.close()


@pytest.fixture
def pair(_mariadb_pair):
        """(MySQL 5.6, MariaDB), both empty, with the accounts agent and app."""
        _mariadb_pair.empty()
        return _mariadb_pair.source, _mariadb_pair.destination


@pytest.fixture
def server():
        """server(MySQL56, config=[...]): a server of this test's own, with the accounts, gone at its end."""
        with contextlib.ExitStack() as stack:
                def make(kind, **options):
                        made = stack.enter_context(kind(**options))
                        servers.create_agent_account(made, 'agent', servers.AGENT_PASSWORD)
                        servers.create_app_account(made, 'app', servers.APP_PASSWORD)
                        return made
                yield make


@pytest.fixture
def link(agent):
        """link(source, destination, **options): steps.create() with the agent."""
        return functools.partial(steps.create, agent)


@pytest.fixture
def held():
        """(an agent that can be held at its steps, its failpoints)."""
        folder = servers.scratch_folder('pf-')
        with agent_module.Agent(environment={'POLARSHIFT_FAILPOINTS': folder}, program='tests/faults/polarshiftd-faults') as a:
                yield a, faults.Failpoints(folder)
        shutil.rmtree(folder, ignore_errors=True)

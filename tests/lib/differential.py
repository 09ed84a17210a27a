# SPDX-License-Identifier: LGPL-2.1-or-later
"""The differential test of the whole: random schemas and statements (generate.py) on a pair of real servers while a migration
copies, follows, switches, rolls back, switches again and completes; after each part every table of both sides is read by
equal.py, which shares no code with the agent.

    runner = differential.Runner('mariadb')                     # starts the servers
    outcome = runner.run([1, 2, 3], statements=2000)            # one migration with three databases
    outcome.equal, outcome.refused, outcome.failure             # text

What the agent refuses by a name that the features of the schema allow (REFUSED) is an outcome, too; all else is a failure.
"""

import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import time

import pymysql

import borrowed
import equal
import generate
import generate_statements
import servers
import steps
from agent import Agent, BusError, OperationFailed

# What the agent does not carry, and the names of errors that it may stop with.
REFUSED = {
        'ddl': {'UnsupportedObject'}, 'create-select': {'UnsupportedObject'},
        'partial-images': {'UnsupportedObject'}, 'statement-format': {'UnsupportedObject'},
        'empty-geometry': {'DataMismatch'}, 'loose-reals': {'DataMismatch'}, 'ill-formed': {'DataMismatch'},
}
# Part of the statements, and where they run.
PARTS = (('sync', 0.5), ('below', 0.3), ('back', 0.2))
SESSIONS = 2
SETTINGS = {'mysql56': {'innodb_file_format': 'Barracuda', 'innodb_large_prefix': 'ON', 'local_infile': 'ON'},
            'mariadb': {'local_infile': 'ON'}, 'mysql97': {'local_infile': 'ON'}}
# MySQL 9.7 otherwise refuses some cascades that MySQL 5.6 follows (the check says so), and logs DDL with a collation that 5.6 does not know.
CONFIG = {'mysql97': ['innodb_native_foreign_keys=ON', 'collation-server=utf8mb4_general_ci'],
          'mariadb118': ['collation-server=utf8mb4_general_ci', 'character_set_collations=']}
# The defaults of a TIMESTAMP column are the server's on MySQL 5.6: a statement with one is carried where both sides say the same.
SOURCE_CONFIG = {'mysql97': ['explicit_defaults_for_timestamp=ON']}


class Stopped(Exception):
        """The link has failed, or an operation was refused: .name, .message"""

        def __init__(self, name, message):
                super().__init__(f'{name}: {message}')
                self.name, self.message = name, message


class Outcome:
        def __init__(self, seeds, destination):
                self.seeds, self.destination = seeds, destination
                self.refused = self.failure = None
                self.tables = self.rows = self.statements = self.errors = 0
                self.seconds = 0.0
                self.at = 'the preparation'
                self.culprit = None     # the seed of the schema that was refused

        @property
        def equal(self):
                return not self.refused and not self.failure

        def __str__(self):
                first, last = self.seeds[0], self.seeds[-1]
                what = 'equal' if self.equal else f'refused: {self.refused}' if self.refused else f'FAILED at {self.at}: {self.failure}'
                return (f'{self.destination}, seeds {first}-{last}: {len(self.seeds)} schemas, {self.tables} tables, {self.statements:,} statements '
                        f'({self.errors:,} refused by the server), {self.rows:,} rows compared, {self.seconds:.0f} s: {what}')


class Runner:
        """A pair of servers that migrations of random schemas use one after the other."""

        def __init__(self, destination='mariadb', pair=None, clients=4):
                self.kind = destination
                self.clients = clients
                self.own = pair is None
                self.source, self.destination = pair or servers.start_pair(
                        servers.MySQL56, servers.FLAVORS[destination], {'durable': False, 'config': SOURCE_CONFIG.get(destination, [])},
                        {'durable': False, 'config': CONFIG.get(destination, [])})
                self.settings = []
                for server in (self.source, self.destination):
                        for name, value in SETTINGS[server.flavor].items():
                                self.settings.append((server, name, server.variable(name)))
                                server.admin(f'SET GLOBAL {name} = {value}')

        def close(self):
                if self.own:
                        self.source.close()
                        self.destination.close()
                        return
                for server, name, value in self.settings:
                        server.admin(f'SET GLOBAL {name} = %s', (value,))

        def __enter__(self):
                return self

        def __exit__(self, *exc):
                self.close()

        def run(self, seeds, statements=1000, features=generate.CARRIED, keep=None):
                """One migration. The scripts are left in a folder below KEEP when it fails."""
                outcome = Outcome(list(seeds), self.kind)
                began = time.monotonic()
                self.empty()
                folder = servers.scratch_folder('pd-')
                agent = Agent(environment={'SYSTEMD_LOG_LEVEL': 'info'})
                try:
                        case = Case(self, agent, folder, outcome, statements, features)
                        try:
                                case.whole_way()
                        except (Stopped, OperationFailed, BusError) as e:
                                name = e.name if isinstance(e, Stopped) else e.short
                                allowed = set().union(*(REFUSED[f] for f in features if f in REFUSED))
                                if name in allowed:
                                        outcome.refused = f'{name}: {e.message}'
                                        outcome.culprit = next((s.seed for s in case.schemas if generate.quote_name(s.db) + '.' in e.message), None)
                                else:
                                        outcome.failure = f'{type(e).__name__}: {e}'
                        except (AssertionError, TimeoutError, pymysql.err.MySQLError) as e:
                                outcome.failure = f'{type(e).__name__}: {e}'
                        if outcome.failure and keep:
                                path = pathlib.Path(keep) / f'{self.kind}-{outcome.seeds[0]}-{outcome.seeds[-1]}'
                                shutil.rmtree(path, ignore_errors=True)
                                shutil.copytree(folder, path)
                                (path / 'agent.log').write_text(agent.log(), encoding='utf-8')
                                for server in (self.source, self.destination):
                                        (path / f'{server.flavor}-{server.port}.log').write_text(server.log(), encoding='utf-8')
                                        if not server.running:
                                                outcome.failure += f'\n    {server.flavor} has ended:\n' + server.log()[-1500:]
                                                server.process = None
                                                server.start()
                                outcome.failure += f'\n    scripts and log: {path}'
                finally:
                        agent.close()
                        shutil.rmtree(folder, ignore_errors=True)
                outcome.seconds = time.monotonic() - began
                return outcome

        def empty(self):
                for server in (self.source, self.destination):
                        server.admin('SET GLOBAL read_only = 0')
                        system = {'mysql', 'information_schema', 'performance_schema', 'sys'}
                        server.script(['SET foreign_key_checks = 0'] + ['DROP DATABASE ' + generate.quote_name(name)
                                      for (name,) in server.admin('SHOW DATABASES') if name not in system])
                        servers.restore_accounts(server)
                        server.admin(server.reset_log)


class Case:
        """One migration on its way."""

        def __init__(self, runner, agent, folder, outcome, statements, features):
                self.source, self.destination, self.agent, self.folder, self.outcome = \
                        runner.source, runner.destination, agent, folder, outcome
                self.clients = runner.clients
                self.features = features
                self.patience = max(180, statements * len(outcome.seeds) // 50)         # s, for what was written to come through
                self.schemas = [generate.Schema(seed, features) for seed in outcome.seeds]
                self.databases = [s.db for s in self.schemas]
                self.scripts = {}
                for schema in self.schemas:
                        self._write(schema, 'make', [*schema.create(), *schema.fill()])
                        for part, share in PARTS:
                                for session in range(SESSIONS):
                                        script = generate_statements.Script(schema, part, session, folder)
                                        self._write(schema, part, script.statements(int(statements * share / SESSIONS)), session)
                self.link = None

        def _write(self, schema, part, statements, session=0):
                path = os.path.join(self.folder, f'{schema.seed:05d}-{part}-{session}.sql')
                with open(path, 'w', encoding='utf-8') as f:
                        for sql in statements:
                                f.write(sql + ';\n')
                                self.outcome.statements += part != 'make'
                self.scripts.setdefault(part, []).append(path)

        # ---- the way

        def whole_way(self):
                with concurrent.futures.ThreadPoolExecutor(self.clients) as pool:
                        self._at('the making of the schemas')
                        self._wait(self._begin(pool, 'make', self.source))
                        self.outcome.errors = 0
                        for side in ('source', 'destination'):
                                self.agent.set_credential(f'd.{side}', servers.AGENT_PASSWORD)
                        self.link = self.agent.create('d', self.source.uri('agent'), self.destination.uri('agent'), unfit='skip')
                        self._at('the copy')
                        # A table that is altered while Start makes it on the other side undoes Start, loudly.
                        early = self._begin(pool, 'sync', self.source) if 'ddl' not in self.features else None
                        self.link.operate('Start', flags=1)
                        running = early or self._begin(pool, 'sync', self.source)
                        self._until(lambda: self.link.get('Phase') == 'synchronizing', self.patience, 'synchronizing')
                        self._wait(running)
                        self._compare('the copy and what was written meanwhile')
                        self._change_side('Switch')
                        self._wait(self._begin(pool, 'below', self.destination))
                        self._compare('what was written after the switch')
                        self._change_side('Rollback')
                        self._wait(self._begin(pool, 'back', self.source))
                        self._compare('what was written after the rollback')
                        self._change_side('Switch')
                        self.link.operate('Complete')
                        self._compare('the end')

        def _at(self, what):
                self.outcome.at = what

        def _begin(self, pool, part, server):
                """The scripts of a part: as many at a time as there are clients, those of one schema side by side."""
                return [pool.submit(self._client, path, server) for path in self.scripts[part]]

        def _client(self, path, server, syntax=False):
                with open(path, 'rb') as script, open(path + '.errors', 'wb') as errors:
                        done = subprocess.run(['mariadb', '--no-defaults', '--force', '--binary-mode', '--local-infile=1', '--user=root',
                                               f'--socket={server.socket}', '--default-character-set=utf8mb4', '--max-allowed-packet=64M'],
                                              stdin=script, stdout=subprocess.DEVNULL, stderr=errors, check=False, preexec_fn=servers.die_with_parent)
                with open(path + '.errors', 'rb') as f:
                        text = f.read().decode(errors='replace')
                found = re.findall(r'^ERROR (\d+) .*', text, re.M)
                assert done.returncode in (0, 1) and not {'2006', '2013', *([] if syntax else ['1064'])} & set(found), f'{path} on {server.flavor}: {re.findall(r"^ERROR.*", text, re.M)[-3:]}'
                return len(found)

        def _wait(self, running):
                for future in running:
                        while True:
                                try:
                                        self.outcome.errors += future.result(timeout=1)
                                        break
                                except concurrent.futures.TimeoutError:
                                        self._look()

        def _look(self):
                if self.link and self.link.get('ReplicationState') == 'failed':
                        name, message = self.link.get('LastError')
                        raise Stopped(name.rsplit('.', 1)[-1], message)

        def _until(self, condition, timeout, what):
                def reached():
                        self._look()
                        return condition()
                self.link.wait(reached, timeout, what)

        def _change_side(self, method):
                self._at(method)
                self._until(lambda: 0 <= self.link.get('ReplicationDelay') < 2, self.patience, 'a small delay')
                steps.change_side(self.link, method, self.patience)

        def _compare(self, what, patience=90):
                self._at(what)
                deadline = time.monotonic() + patience
                while True:
                        if self.link.get('Phase') != 'completed':
                                self._until(lambda: 0 <= self.link.get('ReplicationDelay') < 2, self.patience, 'a small delay')
                        checked = {}
                        try:
                                differences = equal.compare(self.source, self.destination, self.databases, checked)
                        except pymysql.err.MySQLError as e:     # a statement that is carried right now has the table away
                                differences = [str(e)]
                        if not differences:
                                break
                        self._look()
                        assert time.monotonic() < deadline, f'{len(differences)} differences:\n    ' + '\n    '.join(differences[:12])
                        time.sleep(0.5)
                assert checked
                self.outcome.tables = len(checked)
                self.outcome.rows += sum(checked.values())


class Borrowed(Case):
        """SQL of others (borrowed.py), one file after the other in one migration, as long as nothing is refused."""

        def __init__(self, runner, agent, folder, outcome):     # pylint: disable=super-init-not-called
                self.source, self.destination, self.agent, self.folder, self.outcome = runner.source, runner.destination, agent, folder, outcome
                self.databases, self.scripts, self.link, self.patience = [], {}, None, 120

        def start(self):
                self.source.script(['CREATE DATABASE base', 'CREATE TABLE base.t (id INT PRIMARY KEY)'])
                self.databases.append('base')
                for side in ('source', 'destination'):
                        self.agent.set_credential(f'd.{side}', servers.AGENT_PASSWORD)
                self.link = self.agent.create('d', self.source.uri('agent'), self.destination.uri('agent'), unfit='skip')
                steps.start(self.link)

        def file(self, path):
                """Raises Stopped, or AssertionError with the differences."""
                db = 'b_' + re.sub(r'\W', '_', path.stem)
                script = os.path.join(self.folder, f'{db}.sql')
                with open(script, 'w', encoding='utf-8') as f:
                        f.writelines(borrowed.script(path, db))
                self._client(script, self.source, syntax=True)
                self.databases.append(db)
                self._compare(path.stem, 60)


def borrow(kind, paths, pair=None):
        """{file: 'equal' or what happened}: a migration for as many files as get through."""
        results, left = {}, list(paths)
        with Runner(kind, pair) as runner:
                while left:
                        runner.empty()
                        folder = servers.scratch_folder('pb-')
                        with Agent(environment={'SYSTEMD_LOG_LEVEL': 'info'}) as agent:
                                case = Borrowed(runner, agent, folder, Outcome([0], kind))
                                case.start()
                                while left:
                                        path = left.pop(0)
                                        try:
                                                case.file(path)
                                                results[path] = f'equal ({case.outcome.tables} tables so far)'
                                        except Stopped as e:
                                                results[path] = f'refused: {e}'
                                                break
                                        except AssertionError as e:
                                                results[path] = f'FAILED: {e}'
                                                break
                        shutil.rmtree(folder, ignore_errors=True)
        return results

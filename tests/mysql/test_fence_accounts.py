# SPDX-License-Identifier: LGPL-2.1-or-later
"""fence=accounts: sides are closed by locking accounts, and opened with every account exactly as it was."""

import json
import os
import re
import shutil

import pytest

import accounts
import equal
import schemas
import servers
import steps
from accounts import snapshot
from agent import Agent
from faults import Failpoints
from workload import Workload

# What a provider keeps to itself, and the fence does without.
KEPT = {'mysql56': ['SUPER'], 'mariadb': ['SUPER', 'READ_ONLY ADMIN', 'BINLOG ADMIN']}
# As AWS has it: whom the procedure ends its definer may end.
KILL = 'CREATE DEFINER=root@localhost PROCEDURE mysql.rds_kill(IN thread BIGINT) KILL thread'


def events(server):
        return dict(server.admin("SELECT EVENT_NAME, STATUS FROM information_schema.EVENTS"))


def agent_without(server, names):
        server.script(['SET sql_log_bin=0', "DROP USER 'agent'@'%'"])
        servers.create_agent_account(server, 'agent', servers.AGENT_PASSWORD, without=names)


def can_write(server, user, password):
        return not steps.write_refused(server, user=user, password=password)


def prepare(source, destination):
        schemas.create_shop(source, 500)
        source.script(["GRANT SELECT ON *.* TO 'reader'@'%' IDENTIFIED BY 'reader'", "GRANT REPLICATION SLAVE ON *.* TO 'standby'@'%' IDENTIFIED BY 'standby'",
                       "GRANT SELECT, INSERT, UPDATE ON shop.* TO 'clerk'@'%' IDENTIFIED BY 'clerk'", "GRANT UPDATE (quantity), SELECT ON shop.stock TO 'cells'@'%' IDENTIFIED BY 'cells'",
                       "CREATE USER 'nobody'@'%' IDENTIFIED BY 'nobody'", "CREATE USER 'admin'@'%' IDENTIFIED BY 'admin'", "GRANT ALL ON *.* TO 'admin'@'%' WITH GRANT OPTION"])
        destination.script(["CREATE USER 'local'@'%' IDENTIFIED BY 'local'", "GRANT ALL ON *.* TO 'admin'@'%' IDENTIFIED BY 'admin'" if destination.flavor != 'mysql97' else
                            "CREATE USER 'admin'@'%' IDENTIFIED BY 'admin'", "GRANT SELECT, INSERT ON *.* TO 'local'@'%'", "GRANT SUPER ON *.* TO 'admin'@'%'"])


def test_whole_life(agent, link, server):
        """MySQL 5.6 and MariaDB, an agent that may set no global variable on either, clients at full speed."""
        source, destination = server(servers.MySQL56), server(servers.MariaDB)
        prepare(source, destination)
        source.script(['SET sql_log_bin=0', KILL])
        for each in (source, destination):
                agent_without(each, KEPT[each.flavor])
        source.script(['SET sql_log_bin=0', "GRANT EXECUTE ON PROCEDURE mysql.rds_kill TO 'agent'@'%'"])
        before, there = snapshot(source), snapshot(destination)
        shop = link(source, destination, fence='accounts')
        local = destination.connect('local', 'local', autocommit=True)
        with Workload([source, destination], writers=4, rate=300) as load:
                steps.start(shop)
                assert steps.write_refused(destination) and not steps.write_refused(source)
                assert not accounts.can_log_in(destination, 'local', 'local')
                with pytest.raises(Exception):          # it was connected, and could write
                        local.cursor().execute('CREATE DATABASE mine')
                assert snapshot(source) == before, 'a side that takes writes is nothing to be touched'
                steps.make_ready(shop)

                with source.connect('clerk', 'clerk', 'shop') as clerk:
                        shop.operate('Switch', flags=1)
                        plan = json.loads(shop.call('GetPlan'))
                        assert (clerk.thread_id(), 'clerk', 'account-closed') in {(s['id'], s['user'], s['why']) for s in plan['sessions']}
                        assert snapshot(source) == before
                        steps.change_side(shop, 'Switch')
                        with pytest.raises(Exception):
                                clerk.cursor().execute('SELECT 1')
                reported = shop.get('WriteInterruption')
                assert shop.get('SourceReadWriteStatus') == 'read-only' and source.variable('read_only') == 0 == destination.variable('read_only')
                for user in ('app', 'clerk', 'cells'):
                        password = servers.APP_PASSWORD if user == 'app' else user
                        assert not accounts.can_log_in(source, user, password), user
                        assert accounts.can_log_in(destination, user, password), user
                for user in ('reader', 'standby', 'nobody', 'admin'):
                        assert accounts.can_log_in(source, user, user), f'{user} cannot write, or is an administrator'
                assert accounts.can_log_in(destination, 'local', 'local') and snapshot(destination)['db'] != []

                # It outlives a crash of the server, by itself.
                source.kill9()
                source.start()
                assert not accounts.can_log_in(source, 'clerk', 'clerk') and accounts.can_log_in(source, 'reader', 'reader')
                shop.wait_property('ReplicationState', 'running', 60)

                # What becomes of accounts meanwhile opens nothing, and is not lost.
                destination.script(["GRANT INSERT ON shop.* TO 'reader'@'%'", "REVOKE UPDATE ON shop.* FROM 'clerk'@'%'", "CREATE USER 'late'@'%' IDENTIFIED BY 'late'",
                                    "GRANT SELECT, UPDATE ON shop.* TO 'late'@'%'"])
                source.script(["GRANT INSERT ON shop.* TO 'hand'@'%' IDENTIFIED BY 'hand'", "SET PASSWORD FOR 'cells'@'%' = PASSWORD('lost')"])
                shop.wait(lambda: ('INSERT', '`shop`.*') in accounts.grants(source, 'reader', '%') and accounts.row(source, 'late', '%'), 60, 'new grants')
                for user, password in (('hand', 'hand'), ('cells', 'lost')):
                        shop.wait(lambda: not accounts.can_log_in(source, user, password), 60, f'{user}, opened by hand, to be closed')    # pylint: disable=W0640
                for user in ('reader', 'late', 'clerk', 'cells', 'hand'):
                        assert not accounts.can_log_in(source, user, user), user

                load.pause()
                print(f'write interruption {reported:.3f} s reported, {load.switches()[0][2]:.3f} s as the clients see it')
                load.go_on()

                steps.change_side(shop, 'Rollback')
                assert not accounts.can_log_in(destination, 'local', 'local') and steps.write_refused(destination)
                for user in ('reader', 'late', 'clerk', 'hand', 'app', 'cells'):
                        assert accounts.can_log_in(source, user, servers.APP_PASSWORD if user == 'app' else user), user
                assert ('UPDATE', '`shop`.*') not in accounts.grants(source, 'clerk', '%') and not can_write(source, 'clerk', 'clerk')
                now = snapshot(source)
                assert now['user'] != before['user']
                for table, rows in before.items():      # what nobody changed is as it was, in its bytes
                        assert [r for r in rows if not re.search("'(reader|clerk|late|hand|agent)'", r)] == \
                               [r for r in now[table] if not re.search("'(reader|clerk|late|hand|agent)'", r)], table
                load.pause()
                equal.wait_equal(source, destination, ['shop'], 60)
                load.go_on()

                steps.change_side(shop, 'Switch')
                shop.operate('Complete')
                sql = next(task['sql'] for task in json.loads(shop.call('GetReport'))['to_do'] if 'stay closed' in task['what'])
        load.check(destination)
        assert steps.write_refused(source) and not steps.write_refused(destination)
        assert {r for r in there['global_priv'] if r[0] in ('local', 'admin', 'app')} <= set(snapshot(destination)['global_priv'])
        assert snapshot(destination)['db'] is not None and not source.admin("SHOW DATABASES LIKE 'polarshift'")
        source.script([statement for statement in sql.split(';') if statement.strip()])
        assert not steps.write_refused(source) and snapshot(source)['tables_priv'] == now['tables_priv']


@pytest.mark.parametrize('kind', [servers.MariaDB, servers.MySQL97, servers.MySQL56, servers.MariaDB118], ids=['mariadb', 'mysql97', 'mysql56', 'mariadb118'])
def test_crashes(server, kind):
        """An agent that is killed between the record and the locks, and between the locks and their end, there and back: accounts of every kind and
        events come out as they were."""
        missing = kind.missing() if hasattr(kind, 'missing') else None
        if missing and os.environ.get('POLARSHIFT_TEST_ALL') != '1':
                pytest.skip(missing)
        source, destination = server(servers.MySQL56), server(kind, config=['log_bin_trust_function_creators=ON', 'event_scheduler=ON'])
        for each in (source, destination):
                accounts.allow_proxy(each)
        schemas.create_shop(source, 100)
        accounts.create(source)
        source.script(['CREATE TABLE shop.ticks (id INT AUTO_INCREMENT PRIMARY KEY)', "CREATE DEFINER='definer'@'%' EVENT shop.tick ON SCHEDULE EVERY 1 SECOND DO "
                       'INSERT INTO shop.ticks VALUES (NULL)', "CREATE DEFINER='definer'@'%' EVENT shop.still ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1", "GRANT INSERT ON shop.* TO 'definer'@'%'",
                       'SET GLOBAL event_scheduler=ON'])
        before, running = snapshot(source), events(source)
        folder = servers.scratch_folder('pf-')
        points = Failpoints(folder)
        with Agent(environment={'POLARSHIFT_FAILPOINTS': folder}, program='tests/faults/polarshiftd-faults') as agent:
                for side in ('source', 'destination'):
                        agent.set_credential(f'shop.{side}', servers.AGENT_PASSWORD)
                shop = agent.create('shop', source.uri('agent'), destination.uri('agent'), unfit='skip', fence='accounts')
                steps.start(shop)
                for method, point, done in (('Switch', 'accounts.recorded.after', False), ('Switch', 'switch.fence.after', False), ('Switch', 'switch.drain.before', False),
                                            ('Switch', 'accounts.opened.after', True), ('Rollback', 'accounts.recorded.after', False),
                                            ('Rollback', 'accounts.opened.after', True)):
                        steps.make_ready(shop)
                        was = snapshot(destination) if method == 'Rollback' else None
                        points.hold(point)
                        operation = steps.begin(shop, method)
                        points.wait(point, lambda: shop.get('LastOperation')[2:] if shop.get('LastOperation')[0] >= operation else None)    # pylint: disable=W0640
                        agent.kill9()
                        points.release(point)
                        agent.start()
                        result, name, message = shop.finish(operation, 120, check=False)
                        assert result == ('done' if done else 'undone'), f'{method} {point}: {result} {name} {message}'
                        shop.wait_caught_up()
                        writer, reader = (source, destination) if shop.get('Phase') == 'synchronizing' else (destination, source)
                        assert not accounts.can_log_in(reader, 'app', servers.APP_PASSWORD) and accounts.can_log_in(writer, 'app', servers.APP_PASSWORD), point
                        assert 'ENABLED' not in events(reader).values() and events(writer) == running, (point, events(reader), events(writer))
                        if writer is source:
                                now = snapshot(source)
                                for table, rows in before.items():
                                        assert now[table] == rows, (point, table, set(now[table]) ^ set(rows))
                        elif was:
                                assert snapshot(destination) == was, point
                # The end, killed when all is open and the record of what was closed is gone: nothing is closed again.
                points.hold('cancel.destination.after')
                operation = shop.begin('Cancel')
                points.wait('cancel.destination.after')
                there = snapshot(destination)
                agent.kill9()
                points.release('cancel.destination.after')
                agent.start()
                assert shop.finish(operation, 120)[0] == 'done'
                assert accounts.can_log_in(destination, 'app', servers.APP_PASSWORD) and snapshot(destination) == there
        shutil.rmtree(folder, ignore_errors=True)

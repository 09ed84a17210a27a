# SPDX-License-Identifier: LGPL-2.1-or-later
"""What hooks say, and what they are to do beside a fence: the allow list of the source's provider, and the destination's binary log."""

import json

import pytest

import schemas
import servers
import steps
from agent import Agent, BusError
from hooks import Hooks


def allowed(shop):
        return [(line['name'], line.get('why')) for line in json.loads(shop.call('GetReport'))['objects'] if line['kind'] == 'allow-list']


def account(shop, user):
        return next(line for line in json.loads(shop.call('GetReport'))['objects'] if line['kind'] == 'account' and user in line['name'])


def tasks(shop):
        return [task['what'] for task in json.loads(shop.call('GetReport'))['to_do'] if 'binary log' in task['what']]


def test_allow_list_and_binlog(server, tmp_path):
        source, destination = server(servers.MySQL56), server(servers.MariaDB)
        schemas.create_shop(source, 100)
        source.script(["CREATE USER 'near'@'10.1.%'", "CREATE USER 'far'@'192.0.2.1'"])
        hooks = Hooks(tmp_path / 'hooks', [source, destination])
        with Agent(environment=hooks.environment) as agent:
                def create(name, **options):
                        for side in ('source', 'destination'):
                                agent.set_credential(f'{name}.{side}', servers.AGENT_PASSWORD)
                        return agent.create(name, source.uri('agent'), destination.uri('agent'), unfit='skip', **options)

                # Nobody answers, nothing is known; an answer that is none is told, and holds nothing up.
                shop = create('first')
                with pytest.raises(BusError) as refused:
                        shop.begin('Cancel', {'disable-binlog': True})
                assert refused.value.short == 'InvalidOption'
                hooks.install()
                answers = [('say 10.0.0.0/8\n\nthank you', 'entry 2 '), ('flood', '65536 bytes'), ('many', 'more than 1024'), ('bytes', 'no text')]
                for number, (answer, text) in enumerate(answers):
                        hooks.behave(**{'allow-list': answer})
                        shop.operate('Start', flags=1)
                        (name, why), = allowed(shop)
                        assert name == "the source's" and text in why, (answer, why)
                        hooks.behave(**{'disable-binlog': 'fail'})
                        hooks.forget()
                        shop.operate('Cancel', {'disable-binlog': True})
                        assert shop.get('Phase') == 'canceled' and destination.variable('log_bin') == 1
                        call, = hooks.calls('disable-binlog')
                        assert (call['side'], call['port'], call['operation']) == ('destination', destination.port, shop.get('LastOperation')[0])
                        assert ['status 3' in task for task in tasks(shop)] == [True]
                        assert 'thank' not in agent.log() and 'thank' not in json.dumps(shop.properties())
                        destination.script(['DROP DATABASE shop', "DROP USER 'near'@'10.1.%'", "DROP USER 'far'@'192.0.2.1'"])
                        shop = create(f'next-{number}')

                # One that lies about the log is found out; the option has precedence over hooks.
                hooks.behave()
                hooks.forget()
                shop.operate('Cancel', {'disable-binlog': True})
                assert not hooks.calls('allow-list') and ['still on' in task for task in tasks(shop)] == [True]
                shop = create('given', allow_list=['10.9.0.0/16'])
                shop.operate('Start', flags=1)
                assert not hooks.calls('allow-list') and [name for name, _ in allowed(shop)] == ['10.9.0.0/16']
                shop.operate('Cancel')
                destination.script(['DROP DATABASE shop', "DROP USER 'near'@'10.1.%'", "DROP USER 'far'@'192.0.2.1'"])

                shop = create('shop')
                hooks.behave(**{'allow-list': 'say 2001:DB8::/32\n 10.0.0.0/8 \n10.0.0.0/8'})
                steps.start(shop)
                call, = hooks.calls('allow-list')
                assert (call['side'], call['host'], call['port'], call['writer']) == ('source', '127.0.0.1', source.port, 'source')
                assert [name for name, _ in allowed(shop)] == ['2001:db8::/32', '10.0.0.0/8']
                assert 'why' not in account(shop, 'near') and 'none of the addresses' in account(shop, 'far')['why']
                agent.restart()
                assert [name for name, _ in allowed(shop)] == ['2001:db8::/32', '10.0.0.0/8']
                steps.change_side(shop, 'Switch')
                hooks.behave(**{'disable-binlog': 'wait'})
                operation = shop.begin('Complete', {'disable-binlog': True})
                shop.wait(lambda: hooks.calls('disable-binlog')[1:], 60, 'the hook')
                destination.config += ['skip:log-bin', 'skip:log-slave-updates']
                destination.stop()
                hooks.go_on()                           # it may say so before the server is back
                destination.start()
                assert shop.finish(operation)[0] == 'done'
                assert destination.variable('log_bin') == 0 and not tasks(shop) and not steps.write_refused(destination)

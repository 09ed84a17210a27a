# SPDX-License-Identifier: LGPL-2.1-or-later
"""TLS with real certificates, good and bad ones: what cannot be had as it was asked for is not connected."""

import json
import os
import shutil

import pymysql
import pytest

import certificates
import servers


@pytest.fixture(scope='module', params=[servers.MariaDB, servers.MySQL97], ids=['mariadb', 'mysql97'])
def tls(request, tmp_path_factory):
        """(authority, another one, MySQL 5.6 without TLS, a destination with a certificate for `localhost` alone)."""
        missing = request.param.missing() if hasattr(request.param, 'missing') else None
        if missing and os.environ.get('POLARSHIFT_TEST_ALL') != '1':
                pytest.skip(missing)
        folder = tmp_path_factory.mktemp('tls')
        ours, other = certificates.Authority(folder, 'ours'), certificates.Authority(folder, 'other')
        certificate, key = ours.issue('server', names=['DNS:localhost'])
        ours.server = (f'{folder}/in-use.pem', f'{folder}/in-use.key')
        for path, place in zip((certificate, key), ours.server):
                shutil.copy(path, place)
        ours.good = (certificate, key)
        pair = servers.start_pair(destination=request.param, destination_options={'durable': False, 'config': [
                f'ssl-cert={ours.server[0]}', f'ssl-key={ours.server[1]}', f'ssl-ca={ours.pem}']})
        yield ours, other, *pair
        for server in pair:
                server.close()


def present(ours, destination, certificate, key):
        """Another certificate for the running server."""
        shutil.copy(certificate, ours.server[0])
        shutil.copy(key, ours.server[1])
        destination.admin('FLUSH SSL' if destination.flavor == 'mariadb' else 'ALTER INSTANCE RELOAD TLS')


@pytest.fixture
def attempt(agent, tls):
        """attempt('verify-ca', ca='ours', host='localhost') → (result, error, message) of a Check."""
        ours, other, source, destination = tls
        for side in ('source', 'destination'):
                agent.set_credential(f't.{side}', servers.AGENT_PASSWORD)
        for authority in (ours, other):
                with open(authority.pem, encoding='ascii') as f:
                        agent.set_credential(f'{authority.name}.ca', f.read())
                for kind, path in zip(('cert', 'key'), authority.issue('client')):
                        with open(path, encoding='ascii') as f:
                                agent.set_credential(f'{authority.name}.{kind}', f.read())

        def make(mode, ca=None, client=None, host='127.0.0.1', side='destination'):
                uris = {'source': source.uri('agent'), 'destination': destination.uri('agent')}
                port = source.port if side == 'source' else destination.port
                uris[side] = f'mysql://agent@{host}:{port}/' + (f'?ssl-mode={mode}' if mode else '')
                options = {f'{side}-ca': f'{ca}.ca'} if ca else {}
                if client:
                        options |= {f'{side}-cert': f'{client}.cert', f'{side}-key': f'{client}.key'}
                migration = agent.create('t', uris['source'], uris['destination'], unfit='skip', **options)
                answer = migration.operate('Check', check=False)
                notes = [row for row in migration.call('GetChecks')[1] if row[0] == 'tls'] if answer[0] == 'done' else []
                migration.call('Remove', '(a{sv}t)', {}, 0)
                if answer[0] == 'done':
                        wanted = 1 if mode == 'disabled' else 0
                        assert sum(f'to the {side}' in row[2] for row in notes) == wanted, notes
                return answer
        return make


def connected(answer):
        assert answer[0] == 'done', answer


def refused(answer, error='DestinationUnreachable', *words):
        assert answer[:2] == ('failed', error), answer
        assert "'agent'" not in answer[2], answer                                # everybody may read it
        assert any(word.lower() in answer[2].lower() for word in words) or not words, answer


def test_modes(attempt):
        connected(attempt('disabled'))
        connected(attempt('required'))
        connected(attempt('verify-ca', ca='ours'))
        connected(attempt('verify-identity', ca='ours', host='localhost'))
        connected(attempt(None, ca='ours', host='localhost'))                   # with a CA that is the default
        refused(attempt('verify-identity', ca='ours'))                          # 127.0.0.1 is not in the certificate
        refused(attempt(None, ca='ours'))
        refused(attempt('verify-ca', ca='other'))
        refused(attempt('verify-identity', ca='other', host='localhost'))


def test_server_without_tls(attempt):
        """MySQL 5.6 as built for the tests has none: nothing falls back to clear text."""
        connected(attempt('disabled', side='source'))
        for mode, ca in (('required', None), ('verify-ca', 'ours'), ('verify-identity', 'ours'), (None, 'ours')):
                refused(attempt(mode, ca=ca, side='source'), 'SourceUnreachable')


def test_client_certificate(attempt, tls):
        _, _, _, destination = tls
        destination.script(['SET sql_log_bin=0', "ALTER USER 'agent'@'%' REQUIRE X509"])
        try:
                connected(attempt('verify-ca', ca='ours', client='ours'))
                connected(attempt('verify-identity', ca='ours', client='ours', host='localhost'))
                refused(attempt('verify-ca', ca='ours'), 'AuthenticationFailed')
                assert attempt('verify-ca', ca='ours', client='other')[0] == 'failed'
                refused(attempt('disabled'), 'AuthenticationFailed')
        finally:
                destination.script(['SET sql_log_bin=0', "ALTER USER 'agent'@'%' REQUIRE NONE"])


def test_expired_and_forged(attempt, tls):
        ours, other, _, destination = tls
        if destination.flavor == 'mysql97':
                with pytest.raises(pymysql.OperationalError, match='3888'):     # this server does not load such a certificate
                        present(ours, destination, *ours.issue('expired', names=['DNS:localhost'], expired=True))
                present(ours, destination, *ours.good)
                return
        try:
                present(ours, destination, *ours.issue('expired', names=['DNS:localhost'], expired=True))
                refused(attempt('verify-ca', ca='ours'))
                refused(attempt('verify-identity', ca='ours', host='localhost'))
                connected(attempt('required'))                                  # which identifies nobody, as documented
                present(ours, destination, *other.issue('server', names=['DNS:localhost']))
                refused(attempt('verify-identity', ca='ours', host='localhost'))
        finally:
                present(ours, destination, *ours.good)
        connected(attempt('verify-identity', ca='ours', host='localhost'))


def test_logins_of_a_clone(agent, tls):
        """At its end accounts are tried as the migration connects: encrypted, so that one that asks for that can log in."""
        ours, _, source, destination = tls
        with open(ours.pem, encoding='ascii') as f:
                agent.set_credential('ours.ca', f.read())
        for side in ('source', 'destination'):
                agent.set_credential(f't.{side}', servers.AGENT_PASSWORD)
        agent.set_credential('t.accounts', "'encrypted'@'%' password right\n'app'@'%' password " + servers.APP_PASSWORD)
        source.script(['CREATE DATABASE few', 'CREATE TABLE few.t (id INT PRIMARY KEY)',
                       "GRANT SELECT ON few.* TO 'encrypted'@'%' IDENTIFIED BY 'right' REQUIRE SSL"])
        clone = agent.create('t', source.uri('agent'), f'mysql://agent@127.0.0.1:{destination.port}/?ssl-mode=verify-ca', unfit='skip',
                             **{'create-type': 'clone', 'destination-ca': 'ours.ca'})
        clone.operate('Start', flags=1)
        clone.wait_phase('completed', 120)
        lines = {line['name']: line for line in json.loads(clone.call('GetReport'))['objects'] if line['kind'] == 'account'}
        assert lines["'encrypted'@'%'"]['logins'] == {'destination': {'outcome': 'logged-in'}}
        assert lines["'app'@'%'"]['logins'] == {'destination': {'outcome': 'logged-in'}}

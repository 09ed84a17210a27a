# SPDX-License-Identifier: LGPL-2.1-or-later
"""daemon/mysql against real servers: starts one of each and runs the C programs of tests/unit that need servers on them."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tests' / 'lib'))

from servers import MariaDB, MariaDB118, MySQL56, MySQL97, create_account  # noqa: E402

PASSWORD = "flo'or \\ pass"
BUILD = pathlib.Path(os.environ.get('POLARSHIFT_BUILD', ROOT / 'build'))
PROGRAMS = ['test-conn', 'test-schema', 'test-collation', 'test-binlog-stream']


def openssl(*arguments):
        subprocess.run(['openssl', *map(str, arguments)], check=True, capture_output=True)


def authority(folder, name):
        openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
                '-subj', f'/CN={name}', '-keyout', folder / f'{name}.key', '-out', folder / f'{name}.pem')
        return folder / f'{name}.pem'


@pytest.fixture(scope='module')
def certificates(tmp_path_factory):
        folder = tmp_path_factory.mktemp('tls')
        folder.chmod(0o755)
        authority(folder, 'ca')
        authority(folder, 'other')
        (folder / 'names').write_text('subjectAltName=DNS:localhost\n')
        openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=localhost',
                '-keyout', folder / 'server.key', '-out', folder / 'server.csr')
        openssl('x509', '-req', '-in', folder / 'server.csr', '-CA', folder / 'ca.pem', '-CAkey', folder / 'ca.key',
                '-CAcreateserial', '-days', '2', '-extfile', folder / 'names', '-out', folder / 'server.pem')
        return folder


def run(environment, prefix, programs=PROGRAMS):
        for program in programs:
                done = subprocess.run([str(BUILD / 'tests' / 'unit' / program), '--verbose', '-p', prefix], text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors='replace', timeout=300,
                                      check=False,
                                      env={**os.environ, 'POLARSHIFT_TEST_PASSWORD': PASSWORD, **environment})
                assert done.returncode == 0, done.stdout[-6000:]
                assert f'ok 1 {prefix}' in done.stdout, done.stdout[-6000:]


def test_mysql56():
        with MySQL56(durable=False) as server:
                create_account(server, 'floor', PASSWORD, ['ALL PRIVILEGES'])
                run({'POLARSHIFT_TEST_MYSQL56': server.uri('floor')}, '/mysql56')


def test_mariadb(certificates):
        with MariaDB(durable=False, config=[f'ssl-cert={certificates}/server.pem', f'ssl-key={certificates}/server.key',
                                            f'ssl-ca={certificates}/ca.pem']) as server:
                create_account(server, 'floor', PASSWORD, ['ALL PRIVILEGES'])
                run({'POLARSHIFT_TEST_MARIADB': server.uri('floor'),
                     'POLARSHIFT_TEST_CA': str(certificates / 'ca.pem'),
                     'POLARSHIFT_TEST_OTHER_CA': str(certificates / 'other.pem')}, '/mariadb')


@pytest.mark.parametrize('kind', [MySQL97, MariaDB118], ids=['mysql97', 'mariadb118'])
def test_newer(kind):
        missing = kind.missing()
        if missing and os.environ.get('POLARSHIFT_TEST_ALL') != '1':
                pytest.skip(missing)
        with kind(durable=False) as server:
                create_account(server, 'floor', PASSWORD, ['ALL PRIVILEGES'])
                run({'POLARSHIFT_TEST_NEWER': server.uri('floor')}, '/newer', ['test-collation'])
                run({'POLARSHIFT_TEST_NEWER': server.uri('floor')}, '/newer/schema-foreign', ['test-schema'])

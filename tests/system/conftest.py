# SPDX-License-Identifier: LGPL-2.1-or-later
"""One booted machine with the package installed, and two servers on the host, for all tests of this folder. They build on each
other, in the order of their names."""

import os
import re
import shutil

import pytest

import certificates
import machine as machine_module
import package as package_module
import servers
from servers import scratch_folder

SECRET = 'Pst-Kennwort-7531'            # found nowhere that it should not be
USERS = {'admin': 'sudo', 'dora': 'dba', 'ordinary': None}
PASSWORD = 'an admin of this machine'
TOP = package_module.TOP


def pytest_collection_modifyitems(config, items):
        reason = machine_module.why_not()
        if reason:
                for item in items:
                        item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope='session')
def folder():
        path = scratch_folder('py-')
        yield path
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope='session')
def package(folder):
        """$POLARSHIFT_PACKAGE, or built now."""
        if 'POLARSHIFT_PACKAGE' in os.environ:
                return os.environ['POLARSHIFT_PACKAGE']
        place = os.path.join(folder, 'package')
        os.makedirs(place)
        return package_module.build(place)


@pytest.fixture(scope='session')
def authority(folder):
        return certificates.Authority(folder, 'company')


def create_documented_account(server):
        """The agent's account by the SQL of the manual page, as a new administrator makes it."""
        page = ' '.join((TOP / 'docs' / 'polarshiftd.8').read_text(encoding='utf-8').split()).replace('\\-', '-')
        heading = {'mysql56': 'On MySQL 5.6:', 'mariadb': 'On MariaDB:'}[server.flavor]
        create, grant = re.search(heading + r' \.PP \.nf (CREATE USER .*?;) (GRANT .*?;)', page).groups()
        for statement in (create, grant):
                statement = statement.replace("'polarshift'@'10.0.0.5'", "'agent'@'%'").replace("'...'", f"'{SECRET}'")
                server.script(['SET sql_log_bin=0', statement])


@pytest.fixture(scope='session')
def sides(folder, authority):
        """MySQL 5.6, and MariaDB with TLS that knows its clients by certificate; the sockets of both are in FOLDER."""
        certificate, key = authority.issue('server', names=['IP:127.0.0.1'])
        source = destination = None
        try:
                source = servers.MySQL56(start=False, durable=False)
                destination = servers.MariaDB(start=False, durable=False, config=[
                        f'ssl-cert={certificate}', f'ssl-key={key}', f'ssl-ca={authority.pem}'])
                for server, name in ((source, 'source'), (destination, 'destination')):
                        server.socket = os.path.join(folder, f'{name}.sock')
                        server.start(wait=False)
                for server in (source, destination):
                        server.wait_ready()
                        create_documented_account(server)
                        servers.create_app_account(server, 'app', servers.APP_PASSWORD)
                destination.script(['SET sql_log_bin=0', "ALTER USER 'agent'@'%' REQUIRE X509",
                                    f"CREATE USER 'agent'@'localhost' IDENTIFIED BY '{SECRET}'",
                                    f"GRANT {', '.join(servers.AGENT_PRIVILEGES['mariadb'])} ON *.* TO 'agent'@'localhost'"])
                yield source, destination
        finally:
                for server in (source, destination):
                        if server is not None:
                                server.close()


@pytest.fixture(scope='session')
def machine(folder, package, sides):
        made = machine_module.Machine(binds={folder: '/srv/mysql'})
        try:
                made.run('groupadd', 'dba')
                for user, group in USERS.items():
                        made.run('useradd', '--create-home', '--shell', '/bin/sh', *(['--groups', group] if group else []), user)
                made.run('chpasswd', stdin=f'admin:{PASSWORD}\ndora:{PASSWORD}\n')
                shutil.copy(TOP / 'polkit' / 'example.rules', f'{made.root}/etc/polkit-1/rules.d/50-polarshift.rules')
                shutil.copy(package, f'{made.root}/polarshift.deb')
                made.run('dpkg', '--install', '/polarshift.deb')
                yield made
        finally:
                made.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
        report = (yield).get_result()
        made = item.funcargs.get('machine') if hasattr(item, 'funcargs') else None
        if report.when == 'call' and report.failed and made is not None and made.process is not None:
                report.sections.append(('journal of the agent', made.journal('-u', 'polarshiftd', '-n', '120', '-o', 'short-precise')))

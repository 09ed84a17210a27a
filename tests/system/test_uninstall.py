# SPDX-License-Identifier: LGPL-2.1-or-later
"""The end of the package's life: what was migrated outlives a removal, and a purge takes all."""

from conftest import SECRET
from test_service import UNIT, ctl, expect, show
from test_story import get


def test_remove_keeps_state(machine):
        machine.write('/etc/polarshift/polarshift.conf', '[Agent]\nlog-level=debug\n')
        machine.run('dpkg', '--remove', 'polarshift')
        assert machine.run('test', '-e', '/usr/bin/polarshiftctl', check=False).code != 0
        assert machine.run('systemctl', 'is-active', UNIT, check=False).code != 0
        assert machine.run('stat', '-c', '%U', '/var/lib/polarshift/migrations/shop/state.json').out.strip() == 'polarshift'
        machine.run('dpkg', '--install', '/newer.deb')
        assert show(machine, 'ActiveState') == {'ActiveState': 'active'}
        assert get(machine, 'Phase') == 'completed'
        expect(ctl(machine, 'remove', 'shop'), 0)


def test_purge_takes_all(machine):
        machine.run('dpkg', '--purge', 'polarshift')
        for path in ('/var/lib/polarshift', '/etc/polarshift', '/usr/libexec/polarshiftd', '/usr/lib/systemd/catalog/polarshift.catalog'):
                assert machine.run('test', '-e', path, check=False).code != 0, path
        assert SECRET not in machine.run('journalctl', '--no-pager', '-o', 'export').out

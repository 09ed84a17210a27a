# SPDX-License-Identifier: LGPL-2.1-or-later
"""SQL that others wrote, run while a migration follows; see borrowed.py. docs/coverage.md has more files and what came of them."""

import os

import pytest

import borrowed
import differential

FILES = ['main/rollback.test', 'main/replace.test', 'main/bigint.test', 'main/auto_increment.test']


def test_files(pair):
        if borrowed.missing() and os.environ.get('POLARSHIFT_TEST_ALL') != '1':
                pytest.skip(borrowed.missing())
        outcomes = differential.borrow('mariadb', [borrowed.ROOT / name for name in FILES], pair)
        assert len(outcomes) == len(FILES)
        assert not {path.name: what for path, what in outcomes.items() if not what.startswith('equal')}

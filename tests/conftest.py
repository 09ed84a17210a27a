# SPDX-License-Identifier: LGPL-2.1-or-later
"""What all layers share: the path to tests/lib, and the agent's log behind a test that failed."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent / 'lib'))

LOG_LINES = 150


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
        outcome = yield
        report = outcome.get_result()
        if report.when != 'call' or not report.failed or 'agent' not in sys.modules:
                return
        for agent in list(sys.modules['agent'].living):
                lines = agent.log().splitlines()
                report.sections.append((f'log of the agent ({agent.folder}, last {LOG_LINES} of {len(lines)} lines)',
                                        '\n'.join(lines[-LOG_LINES:])))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item):
        """Agents that a failed test left for its report."""
        if 'agent' in sys.modules:
                for agent in list(sys.modules['agent'].living):
                        if agent.process is None:
                                agent.close()

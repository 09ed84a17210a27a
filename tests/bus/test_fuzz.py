# SPDX-License-Identifier: LGPL-2.1-or-later
"""Random calls: nothing crashes, and somebody who may do nothing changes nothing."""

import json
import os
import pathlib
import random
import subprocess

import pytest

NOBODY = 65534
SCRIPT = pathlib.Path(__file__).with_name("fuzz_calls.py")
# What has to be there for everybody; all other methods change something, or are refused without polkit.
HARMLESS = {"GetMigration", "ListMigrations", "ListClusters", "GetPermissions", "GetManagedObjects"}


def fuzz(agent, count, **options):
    seed = int(os.environ.get("POLARSHIFT_TEST_SEED", random.randrange(1 << 32)))
    print(f"POLARSHIFT_TEST_SEED={seed}")
    done = subprocess.run(["/usr/bin/python3", "-c", SCRIPT.read_text(), agent.bus.address, str(seed), str(count)], capture_output=True,
                          text=True, timeout=300, check=False, **options)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{agent.log()[-4000:]}"
    assert agent.process.poll() is None
    return json.loads(done.stdout)


def state(agent):
    """Everything on disk but the histories, in which refused calls are."""
    return {str(p.relative_to(agent.state)): p.read_bytes() for p in agent.state.rglob("*") if p.is_file() and p.name != "history.jsonl"}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to call as another user")
def test_without_authority(agent):
    for name in ("m1", "m2"):
        agent.create(name)
    agent.migration("m1").synchronize()
    before, properties = state(agent), agent.migration("m2").all()
    answers = fuzz(agent, 2000, user=NOBODY, group=NOBODY, extra_groups=[])
    assert answers["org.freedesktop.DBus.Error.AccessDenied"] > 100, answers
    assert {name.split()[1] for name in answers if name.startswith("answered ")} <= HARMLESS, answers
    assert state(agent) == before
    assert agent.migration("m2").all() == properties


def test_with_authority(make_agent):
    """Whatever root asks for: no crash, and what is on disk can be read again."""
    agent = make_agent().start()
    for name in ("m1", "m2"):
        agent.create(name)
    fuzz(agent, 1200)
    names = sorted(str(row[0]) for row in agent.call("ListMigrations"))
    assert agent.stop() == 0
    agent.start()
    assert sorted(str(row[0]) for row in agent.call("ListMigrations")) == names
    assert "cannot be read" not in agent.log()

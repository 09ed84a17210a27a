# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who is behind a call: what logind says goes on record, and a logind that does not answer holds nobody up for long."""

import json
import os
import signal
import subprocess
import time

import dbus
import pytest

from conftest import refused, wait_until

LOGIN1 = "org.freedesktop.login1"
MANAGER = "/org/freedesktop/login1"
SESSION = "/org/freedesktop/login1/session/_31"


class Logind:
    def __init__(self, bus, name="alice", host="desk.example"):
        self.connection = bus.connect()
        self.process = subprocess.Popen(["/usr/bin/python3", "-m", "dbusmock", "--system", LOGIN1, MANAGER, LOGIN1 + ".Manager"],
                                        env=dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=bus.address))
        wait_until(lambda: self.connection.name_has_owner(LOGIN1), "logind")
        self.call("AddMethod", "sssss", LOGIN1 + ".Manager", "GetSessionByPID", "u", "o", f"ret = dbus.ObjectPath('{SESSION}')")
        properties = dbus.Dictionary({"Id": "1", "Name": name, "RemoteHost": host, "Service": "sshd", "Leader": dbus.UInt32(7)}, signature="sv")
        self.call("AddObject", "ssa{sv}a(ssss)", SESSION, LOGIN1 + ".Session", properties, dbus.Array([], signature="(ssss)"))

    def call(self, method, signature, *args):
        return self.connection.call_blocking(LOGIN1, MANAGER, "org.freedesktop.DBus.Mock", method, signature, args)

    def stop(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture
def logind(bus):
    mock = Logind(bus)
    yield mock
    mock.stop()


def test_on_record(agent, logind):
    agent.create()
    assert agent.logged("CreateMigration of migration 'm1' asked for by uid ") and agent.logged(" in a session of alice from desk.example (pid")
    with refused("InvalidOption"):
        agent.migration().SetLimits(nonsense=1)
    assert agent.logged("SetLimits of migration 'm1' asked for by uid ")
    history = (agent.state / "migrations/m1/history.jsonl").read_text().splitlines()
    calls = [json.loads(line) for line in history if '"call"' in line]
    assert [(c["method"], c["result"], c["login-user"], c["remote-host"], c["session"]) for c in calls] == [
        ("CreateMigration", "accepted", "alice", "desk.example", "1"), ("SetLimits", "refused", "alice", "desk.example", "1")]


def test_hostile_names(agent, bus):
    mock = Logind(bus, name="al\nice\x1b[31m", host="x" * 5000)
    try:
        agent.create()
        assert agent.logged(" in a session of al ice [31m from " + "x" * 256 + " (pid")
    finally:
        mock.stop()


def test_logind_hangs(agent, logind):
    """The answer waits two seconds for it, and the record is written without."""
    logind.process.send_signal(signal.SIGSTOP)
    agent.create()
    assert agent.logged("CreateMigration of migration 'm1' asked for by uid ") and "in a session" not in agent.log()
    with refused("InvalidOption"):
        agent.create("Bad Name")
    wait_until(lambda: agent.log().count("CreateMigration") == 2, "the record", 10)


def test_stop_while_logind_hangs(agent, logind):
    """A record that waits is written at the end."""
    logind.process.send_signal(signal.SIGSTOP)
    with refused("InvalidOption"):
        agent.create("Bad Name")
    began = time.monotonic()
    assert agent.stop() == 0
    assert "CreateMigration" in agent.log(), f"{time.monotonic() - began} s"

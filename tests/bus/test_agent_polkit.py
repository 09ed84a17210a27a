# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may do what. The callers are another user than the agent's, so these need root to become one."""

import os
import subprocess
import time

import dbus
import pytest

from conftest import PATH, URIS, refused, wait_until

NOBODY = 65534
AUTHORITY = "/org/freedesktop/PolicyKit1/Authority"
MOCK = "org.freedesktop.DBus.Mock"
ACCESS_DENIED = "org.freedesktop.DBus.Error.AccessDenied"
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to call as another user")


class Polkit:
    def __init__(self, bus, *arguments):
        self.connection = bus.connect()
        self.process = subprocess.Popen(["/usr/bin/python3", "-m", "dbusmock", "--system", *arguments],
                                        env=dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=bus.address))
        wait_until(lambda: self.connection.name_has_owner("org.freedesktop.PolicyKit1"), "polkit")

    def call(self, method, signature, *args):
        return self.connection.call_blocking("org.freedesktop.PolicyKit1", AUTHORITY, MOCK, method, signature, args)

    def stop(self):
        self.process.terminate()
        self.process.wait(5)


@pytest.fixture
def polkit(bus):
    polkit = Polkit(bus, "--template", "polkitd")
    yield polkit
    polkit.stop()


@pytest.fixture
def prompting(bus):
    """Says yes when it may ask, 'challenge' when not."""
    polkit = Polkit(bus, "org.freedesktop.PolicyKit1", AUTHORITY, "org.freedesktop.PolicyKit1.Authority")
    polkit.call("AddMethod", "sssss", "org.freedesktop.PolicyKit1.Authority", "CheckAuthorization", "(sa{sv})sa{ss}us", "(bba{ss})",
                "ret = (dbus.Boolean(bool(args[3] & 1)), dbus.Boolean(True), dbus.Dictionary({}, signature='ss'))")
    yield polkit
    polkit.stop()


def busctl(agent, method, signature, *args, path=PATH, interface="org.polarshift1.Manager", interactive=False, wait=True):
    command = ["busctl", f"--address={agent.bus.address}", "--timeout=20",
               f"--allow-interactive-authorization={'yes' if interactive else 'no'}", "call", "org.polarshift1", path, interface,
               method, *([signature] if signature else []), *args]
    process = subprocess.Popen(command, user=NOBODY, group=NOBODY, extra_groups=[], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True)
    if not wait:
        return process
    output, error = process.communicate(timeout=20)
    return process.returncode, output, error


def create(agent, name="m1", **kwargs):
    return busctl(agent, "CreateMigration", "sa{sv}t", name, "2", "source", "s", URIS["source"], "destination", "s",
                  URIS["destination"], "0", **kwargs)


def start(agent, **kwargs):
    return busctl(agent, "Start", "a{sv}t", "0", "0", path="/org/polarshift1/migration/m1", interface="org.polarshift1.Migration",
                  **kwargs)


def test_absent(agent):
    status, _, error = create(agent)
    assert status != 0 and "Access denied" in error and agent.logged("polkit is not there")
    assert agent.call("ListMigrations") == []
    assert agent.logged("CreateMigration of migration 'm1' asked for by uid 65534") and agent.logged("AccessDenied")
    status, output, _ = busctl(agent, "GetPermissions", "")
    assert status == 0 and output.count('"no"') == 7
    status, output, _ = busctl(agent, "ListMigrations", "")
    assert status == 0, "phase and delay are for everyone"


def test_denied_and_allowed(agent, polkit):
    status, _, error = create(agent)
    assert status != 0 and "Access denied" in error and agent.logged("polkit refused")
    polkit.call("SetAllowed", "as", ["org.polarshift1.manage"])
    status, output, _ = create(agent)
    assert status == 0
    m = agent.migration()
    assert m.get("CreatedByUID") == NOBODY
    assert agent.logged("uid 65534") and agent.logged("authorized by polkit")
    assert start(agent)[0] == 0
    m.wait("Phase", "synchronizing")
    for method in ("Switch",):
        status, _, error = busctl(agent, method, "a{sv}t", "0", "0", path=m.path, interface="org.polarshift1.Migration")
        assert status != 0 and agent.logged("not authorized for org.polarshift1.switch")
    # the dry run is only a look
    status, _, error = busctl(agent, "Switch", "a{sv}t", "0", "1", path=m.path, interface="org.polarshift1.Migration")
    assert status != 0 and agent.logged("not authorized for org.polarshift1.inspect")
    for method in ("GetReport", "GetPlan", "GetChecks"):
        status, _, error = busctl(agent, method, "", path=m.path, interface="org.polarshift1.Migration")
        assert status != 0 and agent.logged(f"{method} of migration 'm1' asked for by uid 65534")
    status, output, _ = busctl(agent, "GetPermissions", "")
    assert output.count('"yes"') == 1 and output.count('"no"') == 6
    status, output, _ = busctl(agent, "LogLevel", "", path="/org/freedesktop/LogControl1", interface="org.freedesktop.LogControl1")
    assert status != 0


def test_arguments_first(agent, polkit):
    status, _, error = create(agent, "Bad Name")
    assert status != 0 and "name begins" in error


def test_challenge(agent, prompting):
    status, _, error = create(agent)
    assert status != 0 and "authentication is needed" in error.lower() or "Interactive" in error
    status, output, _ = busctl(agent, "GetPermissions", "")
    assert output.count('"challenge"') == 7
    assert create(agent, interactive=True)[0] == 0


def hang(polkit):
    polkit.call("SetAllowed", "as", ["org.polarshift1.manage"])
    polkit.call("SimulateHang", "b", True)


def hanging(polkit):
    return polkit.call("HaveHangingCalls", "")


def test_no_answer(make_agent, polkit):
    agent = make_agent()
    agent.config.write_text("[Agent]\nauthorization-timeout=1\n")
    agent.start()
    hang(polkit)
    status, _, error = create(agent)
    assert status != 0 and agent.logged("nobody answered")


def test_state_is_looked_at_again(agent, polkit):
    agent.create()
    hang(polkit)
    waiting = start(agent, wait=False)
    wait_until(lambda: hanging(polkit), "the question")
    m = agent.migration()
    m.wait_finished(m.Cancel())
    polkit.call("ReleaseHangingCalls", "")
    _, error = waiting.communicate(timeout=10)
    assert waiting.returncode != 0 and "phase canceled" in error


def test_removed_meanwhile(agent, polkit):
    agent.create()
    hang(polkit)
    waiting = start(agent, wait=False)
    wait_until(lambda: hanging(polkit), "the question")
    agent.migration().Remove()
    polkit.call("ReleaseHangingCalls", "")
    _, error = waiting.communicate(timeout=10)
    assert waiting.returncode != 0 and "no migration 'm1'" in error


def test_caller_leaves(agent, polkit):
    agent.create()
    hang(polkit)
    waiting = start(agent, wait=False)
    wait_until(lambda: hanging(polkit), "the question")
    waiting.kill()
    waiting.wait(5)
    wait_until(lambda: agent.logged("the caller left"), "the call to be dropped")
    polkit.call("ReleaseHangingCalls", "")
    time.sleep(0.1)
    m = agent.migration()
    assert m.get("Phase") == "created" and m.get("OperationId") == 0


def test_stop_while_waiting(agent, polkit):
    hang(polkit)
    waiting = create(agent, wait=False)
    wait_until(lambda: hanging(polkit), "the question")
    assert agent.stop() == 0
    waiting.communicate(timeout=10)


MANY = """
import dbus, sys
bus = dbus.bus.BusConnection(sys.argv[1])
def message():
    m = dbus.lowlevel.MethodCallMessage("org.polarshift1", "/org/polarshift1/migration/m1", "org.polarshift1.Migration", "Start")
    m.append(dbus.Dictionary({}, signature="sv"), dbus.UInt64(0), signature="a{sv}t")
    return m
for _ in range(16):
    bus.send_message(message())
try:
    bus.send_message_with_reply_and_block(message(), 10)
except dbus.DBusException as error:
    print(error.get_dbus_name())
"""


def test_too_many_waiting(agent, polkit):
    agent.create()
    hang(polkit)
    r = subprocess.run(["/usr/bin/python3", "-c", MANY, agent.bus.address], user=NOBODY, group=NOBODY, extra_groups=[],
                       capture_output=True, text=True, timeout=20)
    assert r.stdout.strip() == "org.freedesktop.DBus.Error.LimitsExceeded", r.stderr
    # others are not kept from anything by that
    agent.migration().synchronize()


def test_refusals_do_not_fill_the_disk(agent):
    """Somebody who may do nothing leaves a bounded trace in the history."""
    agent.create()
    script = MANY.replace("for _ in range(16):\n    bus.send_message(message())\n", "").replace("try:", "for _ in range(200):\n  try:")
    script = script.replace("    bus.send_message_with", "      bus.send_message_with").replace("except", "  except")
    subprocess.run(["/usr/bin/python3", "-c", script, agent.bus.address], user=NOBODY, group=NOBODY, extra_groups=[],
                   capture_output=True, text=True, timeout=20, check=True)
    wait_until(lambda: agent.log().count("Start of migration") == 200, "the records")
    history = (agent.state / "migrations/m1/history.jsonl").read_text().splitlines()
    assert 10 < len(history) < 60

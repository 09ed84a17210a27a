# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private bus and an agent on it, with an engine that needs no servers."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import dbus
import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("POLARSHIFTD_TEST", str(TOP / "build/tests/bus/polarshiftd-test"))
NAME = "org.polarshift1"
PATH = "/org/polarshift1"
ERROR = "org.polarshift1.Error."
URIS = {"source": "mysql://agent@db1/?ssl-mode=disabled", "destination": "mysql://agent@db2:3307/?ssl-mode=disabled"}

BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/><allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/><allow receive_type="method_return"/><allow receive_type="error"/>
    <allow receive_type="signal"/><allow eavesdrop="true"/>
  </policy>
</busconfig>
"""


def wait_until(condition, what, timeout=30.0):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"timed out: {what}")


class Bus:
    def __init__(self):
        # not below pytest's folder, which other users may not enter
        self.folder = folder = pathlib.Path(tempfile.mkdtemp(prefix="polarshift-bus-"))
        os.chmod(folder, 0o755)
        self.address = f"unix:path={folder}/bus"
        config = folder / "bus.conf"
        config.write_text(BUS_CONFIG.format(socket=folder / "bus"))
        self.daemon = subprocess.Popen(["dbus-daemon", "--nofork", f"--config-file={config}"])
        self.connections = []
        wait_until(self.listens, "the bus")
        os.chmod(folder / "bus", 0o777)

    def listens(self):
        try:
            self.connect()
            return True
        except dbus.DBusException:
            return False

    def connect(self):
        connection = dbus.bus.BusConnection(self.address)
        self.connections.append(connection)
        return connection

    def stop(self):
        for connection in self.connections:
            connection.close()
        self.daemon.terminate()
        self.daemon.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)


class Agent:
    """One polarshiftd; start() and kill() as often as a test likes."""

    def __init__(self, bus, folder, env=None):
        self.bus, self.folder = bus, folder
        self.state = folder / "state"
        self.config = folder / "polarshift.conf"
        self.log_path = folder / "agent.log"
        self.env = dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=bus.address, STATE_DIRECTORY=str(self.state),
                        POLARSHIFT_CONFIG=str(self.config), G_DEBUG="fatal-criticals", **(env or {}))
        for name in ("JOURNAL_STREAM", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET"):
            if name not in (env or {}):
                self.env.pop(name, None)
        self.process = None
        self.connection = bus.connect()

    def start(self, **env):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([BINARY], env=dict(self.env, **env), stdout=log, stderr=log)
        wait_until(lambda: self.process.poll() is not None or self.connection.name_has_owner(NAME), "the agent's name")
        assert self.process.poll() is None, self.log()
        return self

    def kill(self):
        self.process.kill()
        self.process.wait(30)
        wait_until(lambda: not self.connection.name_has_owner(NAME), "the name to be free")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                return self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise
        return self.process.returncode if self.process else None

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def logged(self, text, seconds=30):
        """Whether the log says TEXT, now or in a moment: a line may be written just after the answer was sent."""
        deadline = time.monotonic() + seconds
        while text not in self.log():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    # --- calls ---

    def call(self, method, signature="", *args, path=PATH, interface="org.polarshift1.Manager", connection=None, timeout=30):
        return (connection or self.connection).call_blocking(NAME, path, interface, method, signature, args, timeout=timeout)

    def create(self, name="m1", flags=0, **options):
        given = dict(URIS, **options)
        return str(self.call("CreateMigration", "sa{sv}t", name, dbus.Dictionary(given, signature="sv"), flags))

    def migration(self, name="m1"):
        return Migration(self, str(self.call("GetMigration", "s", name)))


class Migration:
    def __init__(self, agent, path):
        self.agent, self.path = agent, path

    def __getattr__(self, method):
        signatures = {"Abort": "ta{sv}t", "AcknowledgeForeignWrites": "ta{sv}t", "SetEndpoint": "ssa{sv}t", "Plan": "sa{sv}t"}
        plain = {"GetChecks": "", "GetPlan": "", "GetReport": "", "GetHistory": "t"}

        def call(*args, flags=0, connection=None, **options):
            if method in plain:
                signature = plain[method]
            else:
                signature = signatures.get(method, "a{sv}t")
                options = {key.replace("_", "-"): value for key, value in options.items()}
                args = (*args, dbus.Dictionary(options, signature="sv"), flags)
            return self.agent.call(method, signature, *args, path=self.path, interface="org.polarshift1.Migration",
                                   connection=connection)
        return call

    def get(self, name):
        return self.agent.call("Get", "ss", "org.polarshift1.Migration", name, path=self.path,
                               interface="org.freedesktop.DBus.Properties")

    def all(self):
        return self.agent.call("GetAll", "s", "org.polarshift1.Migration", path=self.path,
                               interface="org.freedesktop.DBus.Properties")

    def wait(self, name, value, timeout=30):
        return wait_until(lambda: self.get(name) == value, f"{name} = {value}, is {self.get(name)}\n{self.agent.log()}", timeout)

    def wait_finished(self, operation, timeout=30):
        wait_until(lambda: self.get("LastOperation")[0] == operation, f"end of operation {operation}", timeout)
        return self.get("LastOperation")

    def synchronize(self):
        self.Start()
        self.wait("Phase", "synchronizing")
        return self

    def verify(self):
        self.wait_finished(self.Verify())
        return self

    def switch(self):
        self.wait_finished(self.Switch())
        assert self.get("Phase") == "switched", self.get("LastOperation")
        return self


def refused(name):
    """with refused("InvalidPhase"): …"""
    full = name if "." in name else ERROR + name

    class Context:
        def __enter__(self):
            return self

        def __exit__(self, kind, value, trace):
            assert kind is not None, f"nothing was refused; expected {full}"
            assert issubclass(kind, dbus.DBusException), value
            assert value.get_dbus_name() == full, f"{value.get_dbus_name()}: {value.get_dbus_message()}"
            self.message = value.get_dbus_message()
            return True
    return Context()


@pytest.fixture
def bus():
    bus = Bus()
    yield bus
    bus.stop()


@pytest.fixture
def make_agent(bus, tmp_path, request):
    agents = []

    def make(**kwargs):
        agent = Agent(bus, tmp_path, **kwargs)
        agents.append(agent)
        return agent
    yield make
    for agent in agents:
        status = agent.stop()
        failed = getattr(request.node, "failed", False)
        if failed:
            sys.stderr.write(agent.log())
        assert status in (0, -9), f"the agent ended with {status}\n{agent.log()}"


@pytest.fixture
def agent(make_agent):
    return make_agent().start()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        item.failed = True

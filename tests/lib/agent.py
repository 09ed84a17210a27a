# SPDX-License-Identifier: LGPL-2.1-or-later
"""The agent under test, on a private bus, with nothing installed.

    from agent import Agent, BusError, OperationFailed

    with Agent() as agent:                                   # bus and polarshiftd started, ready
        agent.set_credential('shop.source', 'secret')        # through a descriptor
        shop = agent.create('shop', source=a.uri('agent'), destination=b.uri('agent'), unfit='skip')
        shop.operate('Start')                                # waits for the operation's end; raises OperationFailed
        shop.wait_phase('synchronizing')
        shop.get('ReplicationDelay'); shop.call('Pause', '(a{sv}t)', {}, 0)
        agent.ctl('status', 'shop')                          # polarshiftctl --json=short: .code .json .out .err
        agent.kill9(); agent.start()

The programs come from $POLARSHIFT_BUILD, by default `build` at the top of the tree. The agent's log is kept in memory
for `agent.log()`; tests/conftest.py prints it when a test fails.
"""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import time
import weakref

from gi.repository import Gio, GLib

from servers import die_with_parent, scratch_folder

TOP = pathlib.Path(__file__).resolve().parents[2]
BUS_NAME = 'org.polarshift1'
MANAGER_PATH = '/org/polarshift1'
ERROR = 'org.polarshift1.Error.'
STANDARD_ERROR = 'org.freedesktop.DBus.Error.'
GONE = {STANDARD_ERROR + n for n in ('ServiceUnknown', 'NameHasNoOwner', 'NoReply', 'UnknownObject', 'Disconnected')}

living = weakref.WeakSet()      # agents whose log a failing test wants to see

BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="false"/>
    <allow eavesdrop="false"/>
    <allow own="*"/>
    <allow user="*"/>
  </policy>
</busconfig>
"""


class BusError(Exception):
        """A refused call. `short` is the name without its prefix."""

        def __init__(self, name, message):
                super().__init__(f'{name}: {message}')
                self.name = name
                self.message = message
                self.short = name.rsplit('.', 1)[-1]


class OperationFailed(Exception):
        """An operation that did not end with `done`: .result .short (error name without prefix) .message"""

        def __init__(self, operation, result, name, message):
                super().__init__(f'{operation} {result}: {name}: {message}')
                self.operation = operation
                self.result = result
                self.name = name
                self.short = name.rsplit('.', 1)[-1]
                self.message = message


class Bus:
        """A dbus-daemon of its own."""

        def __init__(self, folder):
                self.path = os.path.join(folder, 'bus')
                config = os.path.join(folder, 'bus.conf')
                with open(config, 'w', encoding='utf-8') as f:
                        f.write(BUS_CONFIG.format(path=self.path))
                with open(os.path.join(folder, 'bus.log'), 'wb') as log:
                        self.process = subprocess.Popen(
                                ['dbus-daemon', '--nofork', '--nopidfile', '--nosyslog', f'--config-file={config}'],
                                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent)
                self.address = f'unix:path={self.path}'
                deadline = time.monotonic() + 10
                while not os.path.exists(self.path):
                        if self.process.poll() is not None or time.monotonic() > deadline:
                                raise RuntimeError('the private bus did not start')
                        time.sleep(0.01)
                self.connection = self.connect()

        def connect(self):
                flags = Gio.DBusConnectionFlags
                for attempt in range(50):
                        try:
                                return Gio.DBusConnection.new_for_address_sync(
                                        self.address, flags.AUTHENTICATION_CLIENT | flags.MESSAGE_BUS_CONNECTION,
                                        None, None)
                        except GLib.Error:
                                if attempt == 49:
                                        raise
                                time.sleep(0.02)

        def close(self):
                self.process.kill()
                self.process.wait()


def variant(value):
        """A Python value as the D-Bus type that an option of its kind has."""
        if isinstance(value, GLib.Variant):
                return value
        if isinstance(value, bool):
                return GLib.Variant('b', value)
        if isinstance(value, int):
                return GLib.Variant('t' if value >= 0 else 'x', value)
        if isinstance(value, float):
                return GLib.Variant('d', value)
        if isinstance(value, (list, tuple)):
                return GLib.Variant('as', list(value))
        if isinstance(value, dict):
                return GLib.Variant('a{sv}', options(value))
        return GLib.Variant('s', value)


def options(values):
        return {key.replace('_', '-'): variant(value) for key, value in values.items()}


class Proxy:
        """One object and interface of the agent."""

        def __init__(self, agent, path, interface):
                self.agent = agent
                self.path = path
                self.interface = interface

        def _call(self, interface, method, parameters, timeout=25, fds=()):
                fd_list = Gio.UnixFDList.new()
                for fd in fds:
                        fd_list.append(fd)
                try:
                        reply, _ = self.agent.bus.connection.call_with_unix_fd_list_sync(
                                BUS_NAME, self.path, interface, method, parameters, None,
                                Gio.DBusCallFlags.NO_AUTO_START, int(timeout * 1000), fd_list, None)
                except GLib.Error as e:
                        name = Gio.DBusError.get_remote_error(e)
                        if name is None:
                                raise
                        raise BusError(name, e.message.removeprefix(f'GDBus.Error:{name}: ')) from None
                values = reply.unpack()
                return values[0] if len(values) == 1 else values or None

        def call(self, method, signature='()', *args, timeout=120, fds=()):
                """E.g. call('GetChecks'), call('Switch', '(a{sv}t)', {'deadline': 5.0}, 1)."""
                args = tuple(options(a) if isinstance(a, dict) else a for a in args)
                return self._call(self.interface, method, GLib.Variant(signature, args), timeout, fds)

        def get(self, name):
                return self._call('org.freedesktop.DBus.Properties', 'Get',
                                  GLib.Variant('(ss)', (self.interface, name)))

        def properties(self):
                return self._call('org.freedesktop.DBus.Properties', 'GetAll', GLib.Variant('(s)', (self.interface,)))


class Migration(Proxy):
        def __init__(self, agent, name, path):
                super().__init__(agent, path, 'org.polarshift1.Migration')
                self.name = name

        def begin(self, method, opts=None, flags=0):
                """Starts an operation; returns its id."""
                return self.call(method, '(a{sv}t)', opts or {}, flags)

        def operate(self, method, opts=None, flags=0, timeout=120, check=True):
                """Starts an operation and waits for its end. Returns (result, error name, error message)."""
                return self.finish(self.begin(method, opts, flags), timeout, check)

        def finish(self, operation_id, timeout=120, check=True):
                """Waits for an operation's outcome, through the agent's death and return as well."""
                def over():
                        last = self.get('LastOperation')
                        return last if last[0] >= operation_id else None
                last = self.wait(over, timeout, f'the end of operation {operation_id}')
                assert last[0] == operation_id, last
                if check and last[2] != 'done':
                        raise OperationFailed(last[1], last[2], last[3], last[4])
                return last[2], last[3].rsplit('.', 1)[-1], last[4]

        def wait(self, condition, timeout=60, what='the condition'):
                """Calls condition() until it returns something true. An agent that is away right now is waited for. No wait is given up
                before a minute is over: on a busy machine anything may take that long."""
                timeout = max(timeout, 60)
                deadline = time.monotonic() + timeout
                seen = None
                while True:
                        try:
                                seen = condition()
                                if seen:
                                        return seen
                        except BusError as e:
                                if e.name not in GONE:
                                        raise
                        if time.monotonic() > deadline:
                                raise TimeoutError(f'{what} did not come within {timeout} s; {self.describe()}')
                        time.sleep(0.05)

        def wait_phase(self, phase, timeout=120):
                def reached():
                        properties = self.properties()
                        if properties['ReplicationState'] == 'failed':
                                raise AssertionError(f'the link failed: {properties["LastError"]}')
                        return properties['Phase'] == phase
                self.wait(reached, timeout, f'phase {phase}')

        def wait_property(self, name, value, timeout=60):
                self.wait(lambda: self.get(name) == value, timeout, f'{name} = {value!r}')

        def wait_caught_up(self, timeout=60, below=2.0):
                self.wait(lambda: 0 <= self.get('ReplicationDelay') < below, timeout, f'a delay below {below} s')

        def describe(self):
                try:
                        keys = ('Phase', 'PhaseReason', 'Paused', 'Operation', 'OperationStep', 'LastOperation',
                                'ReplicationState', 'ReplicationDirection', 'ReplicationDelay', 'LastError',
                                'Progress', 'SourceReadWriteStatus', 'DestinationReadWriteStatus')
                        properties = self.properties()
                        return ', '.join(f'{k}={properties.get(k)!r}' for k in keys)
                except (BusError, GLib.Error) as e:
                        return f'the agent says {e}'

        def checks(self):
                """Runs the checks; returns {id: (level, message, hint)} with the worst row of each id, and all rows."""
                self.operate('Check', check=False)
                _, rows = self.call('GetChecks')
                return rows


class Result:
        def __init__(self, done):
                self.code = done.returncode
                self.out = done.stdout.decode(errors='replace')
                self.err = done.stderr.decode(errors='replace')

        @property
        def json(self):
                """What came as JSON, on either stream (errors may go to standard error)."""
                text = self.out.strip() or self.err.strip()
                return json.loads(text)

        def __repr__(self):
                return f'exit {self.code}\n{self.out}\n{self.err}'


class Agent:
        def __init__(self, *, start=True, folder=None, environment=None, build=None, program='daemon/polarshiftd', prefix=()):
                self.folder = folder or scratch_folder('pa-')
                self.build = pathlib.Path(build or os.environ.get('POLARSHIFT_BUILD') or TOP / 'build')
                self.program = self.build / program
                self.prefix = prefix    # a program that becomes the agent
                self.state = os.path.join(self.folder, 'state')
                self.credentials = os.path.join(self.folder, 'credentials')
                for path in (self.state, self.credentials):
                        os.makedirs(path, mode=0o700, exist_ok=True)
                self.bus = Bus(self.folder)
                self.log_path = os.path.join(self.folder, 'agent.log')
                self.process = None
                self.extra_environment = environment or {}
                self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
                self.notify.bind(os.path.join(self.folder, 'notify'))
                self.ready = threading.Event()
                self.stopping = threading.Event()
                threading.Thread(target=self._listen, daemon=True).start()
                living.add(self)
                if start:
                        try:
                                self.start()
                        except BaseException:
                                self.close()
                                raise

        @property
        def environment(self):
                return {**{k: v for k, v in os.environ.items() if k not in ('JOURNAL_STREAM', 'INVOCATION_ID')},
                        'DBUS_SYSTEM_BUS_ADDRESS': self.bus.address, 'STATE_DIRECTORY': self.state,
                        'CREDENTIALS_DIRECTORY': self.credentials, 'SYSTEMD_LOG_LEVEL': 'debug',
                        'NOTIFY_SOCKET': os.path.join(self.folder, 'notify'), **self.extra_environment}

        @property
        def pid(self):
                return self.process.pid

        def start(self, wait=True):
                assert self.process is None
                self.ready.clear()
                self.stopping.clear()
                with open(self.log_path, 'ab') as log:
                        log.write(f'---- start at {time.monotonic():.3f}\n'.encode())
                        log.flush()
                        self.process = subprocess.Popen([*self.prefix, str(self.program)], stdin=subprocess.DEVNULL, stdout=log,
                                                        stderr=log, env=self.environment,
                                                        preexec_fn=die_with_parent)
                if wait:
                        self.wait_ready()

        def _listen(self):
                """As systemd does: reads whatever comes. A full socket would hold the agent up."""
                while True:
                        try:
                                message = self.notify.recv(4096)
                        except OSError:
                                return
                        if not message:
                                return
                        if b'READY=1' in message.split(b'\n'):
                                self.ready.set()
                        if b'STOPPING=1' in message.split(b'\n'):
                                self.stopping.set()

        def wait_ready(self, timeout=30):
                deadline = time.monotonic() + timeout
                while not self.ready.wait(0.05):
                        if self.process.poll() is not None:
                                raise RuntimeError(f'polarshiftd ended with {self.process.returncode}:\n{self.log()}')
                        if time.monotonic() > deadline:
                                raise RuntimeError(f'polarshiftd did not become ready:\n{self.log()}')

        def begin_stop(self, timeout=30):
                """SIGTERM; returns when the agent has taken it."""
                self.process.send_signal(signal.SIGTERM)
                if not self.stopping.wait(timeout):
                        raise RuntimeError(f'polarshiftd did not begin to stop within {timeout} s')

        def stop(self, timeout=30):
                """SIGTERM, as systemd would; returns the exit status."""
                if self.process is None:
                        return None
                self.process.send_signal(signal.SIGTERM)
                try:
                        code = self.process.wait(timeout)
                except subprocess.TimeoutExpired:
                        self.process.kill()
                        self.process.wait()
                        raise RuntimeError(f'polarshiftd did not stop within {timeout} s') from None
                finally:
                        self.process = None
                return code

        def kill9(self):
                if self.process is not None:
                        self.process.kill()
                        self.process.wait()
                        self.process = None

        def restart(self):
                self.stop()
                self.start()

        def close(self):
                living.discard(self)
                self.kill9()
                self._close_bus()
                shutil.rmtree(self.folder, ignore_errors=True)

        def __enter__(self):
                return self

        def __exit__(self, *exc):
                self.kill9()
                if exc[0] is None:
                        self.close()
                else:                           # conftest.py still wants the log
                        self._close_bus()

        def _close_bus(self):
                self.bus.close()
                try:
                        self.notify.shutdown(socket.SHUT_RDWR)          # ends the listening thread
                except OSError:
                        pass
                self.notify.close()

        def log(self):
                try:
                        with open(self.log_path, encoding='utf-8', errors='replace') as f:
                                return f.read()
                except FileNotFoundError:
                        return ''

        def memory_high_water(self):
                """VmHWM in bytes."""
                with open(f'/proc/{self.pid}/status', encoding='ascii') as f:
                        for line in f:
                                if line.startswith('VmHWM:'):
                                        return int(line.split()[1]) * 1024
                raise RuntimeError('no VmHWM')

        # ---- the bus

        @property
        def manager(self):
                return Proxy(self, MANAGER_PATH, 'org.polarshift1.Manager')

        def migration(self, name):
                return Migration(self, name, self.manager.call('GetMigration', '(s)', name))

        def set_credential(self, name, secret):
                data = secret if isinstance(secret, bytes) else secret.encode()
                read, write = os.pipe()
                os.write(write, data)
                os.close(write)
                try:
                        self.manager.call('SetCredential', '(sha{sv}t)', name, 0, {}, 0, fds=[read])
                finally:
                        os.close(read)

        def create(self, name, source, destination, flags=0, **opts):
                path = self.manager.call('CreateMigration', '(sa{sv}t)', name,
                                         {'source': source, 'destination': destination, **opts}, flags)
                return Migration(self, name or path.rsplit('/', 1)[-1], path)

        # ---- the command line

        def ctl(self, *args, stdin=None, timeout=180, json_mode='short'):
                json_args = [f'--json={json_mode}'] if json_mode else []
                done = subprocess.run([str(self.build / 'cli' / 'polarshiftctl'), *args, *json_args],
                                      input=stdin.encode() if isinstance(stdin, str) else stdin or b'',
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout,
                                      env=self.environment, check=False)
                return Result(done)

# SPDX-License-Identifier: LGPL-2.1-or-later
"""A booted Debian with systemd, journald, D-Bus, polkitd, logind and Cockpit: a systemd-nspawn container over a fresh copy of the
image that `tests/setup --for=system` unpacked. It shares the host's network, so that it reaches the servers of servers.py.

    with Machine(binds={'/tmp/x': '/srv/x'}) as machine:      # booted
        machine.run('systemctl', 'is-active', 'polkit')       # as root; raises CommandFailed; .out .err .code
        machine.run('id', user='dba', check=False)            # as another user, outside any session
        machine.write('/etc/x', 'text'); machine.reboot()
"""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

from servers import CACHE, die_with_parent, scratch_folder

IMAGE = os.path.join(CACHE, 'debian-bookworm-system')
REBOOT = 133                                    # nspawn's exit status
PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'


class CommandFailed(Exception):
        pass


class Done:
        def __init__(self, command, code, out, err):
                self.command = command
                self.code = code
                self.out = out.decode(errors='replace')
                self.err = err.decode(errors='replace')

        def __repr__(self):
                return f'{" ".join(self.command)}: exit {self.code}\n{self.out}\n{self.err}'


def why_not():
        """Why no machine can be booted here, or None. Only what no set-up can mend counts."""
        if os.geteuid() != 0:
                return 'systemd-nspawn needs root'
        probe = subprocess.run(['unshare', '--mount', '--pid', '--uts', '--ipc', '--fork', 'true'], capture_output=True, check=False)
        if probe.returncode:
                return 'no namespaces can be made here: ' + probe.stderr.decode(errors='replace').strip()
        if not os.path.isdir('/run/systemd/system'):
                for folder in _cgroup_folders():
                        if not os.access(folder, os.W_OK):
                                return f'{folder} is read-only, and systemd needs control groups'
        return None


def _cgroup_folders():
        """The folders of this process in the hierarchies that systemd uses: the unified one, and the named one of old."""
        mounts = {}
        with open('/proc/self/mountinfo', encoding='utf-8') as f:
                for line in f:
                        left, right = line.split(' - ')
                        kind, _, options = right.split()[:3]
                        if kind == 'cgroup2':
                                mounts.setdefault('', left.split()[4])
                        elif kind == 'cgroup' and 'name=systemd' in options.split(','):
                                mounts['name=systemd'] = left.split()[4]
        with open('/proc/self/cgroup', encoding='utf-8') as f:
                for line in f:
                        _, controllers, path = line.rstrip('\n').split(':', 2)
                        if controllers in mounts:
                                yield mounts[controllers] + path.rstrip('/')


class Machine:
        def __init__(self, binds=None, prepare=None):
                """BINDS: folders of the host and where they are seen. PREPARE(root) changes the copy before it boots."""
                if not os.path.exists(f'{IMAGE}/.complete'):
                        raise RuntimeError(f'no {IMAGE}: run tests/setup --for=system first')
                self.folder = scratch_folder('pm-', '/var/tmp')         # /tmp may be mounted nosuid; sudo is in there
                self.root = os.path.join(self.folder, 'root')
                self.console = os.path.join(self.folder, 'console.log')
                self.name = 'polarshift-' + re.sub(r'[^a-z0-9]', '', os.path.basename(self.folder).lower())
                self.binds = binds or {}
                self.process = None
                self.cgroups = []
                try:
                        subprocess.run(['cp', '-a', '--reflink=auto', IMAGE, self.root], check=True)
                        os.unlink(f'{self.root}/.complete')
                        os.makedirs(f'{self.root}/var/log/journal', exist_ok=True)      # the journal outlives a reboot
                        os.symlink('/dev/null', f'{self.root}/etc/systemd/system/cockpit.socket')       # it would listen on the host
                        if prepare:
                                prepare(self.root)
                        self._boot()
                except BaseException:
                        self.close()
                        raise

        # ---- life

        def _boot(self):
                self.keeps_unit = not os.path.isdir('/run/systemd/system')
                command = ['systemd-nspawn', '--quiet', f'--directory={self.root}', '--register=no', '--boot',
                           f'--machine={self.name}', '--link-journal=no', '--resolv-conf=off', '--timezone=off',
                           '--console=read-only', *(['--keep-unit'] if self.keeps_unit else []),
                           *(f'--bind={outside}:{inside}' for outside, inside in self.binds.items())]
                if self.keeps_unit and not self.cgroups:
                        # A place of its own, or two machines would share their units' groups.
                        for folder in _cgroup_folders():
                                os.makedirs(f'{folder}/{self.name}')
                                self.cgroups.append(f'{folder}/{self.name}')

                def into_place():
                        die_with_parent()
                        for cgroup in self.cgroups:
                                with open(f'{cgroup}/cgroup.procs', 'w', encoding='ascii') as f:
                                        f.write('0')

                with open(self.console, 'ab') as out:
                        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                                        preexec_fn=into_place, env={**os.environ, 'SYSTEMD_LOG_LEVEL': 'warning'})
                self.wait_running()

        def _leader(self):
                """The machine's init, as the host numbers it; None while there is none."""
                try:
                        with open(f'/proc/{self.process.pid}/task/{self.process.pid}/children', encoding='ascii') as f:
                                children = f.read().split()
                        for child in children:
                                with open(f'/proc/{child}/status', encoding='ascii') as f:
                                        numbers = re.search(r'^NSpid:\s*(.*)$', f.read(), re.M).group(1).split()
                                if len(numbers) > 1 and numbers[-1] == '1':
                                        return int(child)
                except (FileNotFoundError, ProcessLookupError):
                        pass
                return None

        def wait_running(self, timeout=120, other_than=None):
                deadline = time.monotonic() + timeout
                answer = ''
                while time.monotonic() < deadline:
                        if self.process.poll() is not None:
                                raise RuntimeError(f'the machine ended with {self.process.returncode}:\n{self.console_log()}')
                        self.leader = self._leader()
                        if self.leader and self.leader != other_than:
                                try:
                                        answer = self.run('systemctl', 'is-system-running', check=False, timeout=30).out.strip()
                                except subprocess.TimeoutExpired:
                                        continue
                                if answer in ('running', 'degraded'):
                                        return
                        time.sleep(0.1)
                raise RuntimeError(f'the machine did not come up ({answer}):\n{self.console_log()}')

        def reboot(self):
                """In order, as an administrator does it."""
                before = self.leader
                self.run('systemctl', 'reboot', check=False)
                if self.keeps_unit:                     # nspawn leaves it to that unit to start it again
                        if self.process.wait(90) != REBOOT:
                                raise RuntimeError(f'the machine ended with {self.process.returncode}:\n{self.console_log()}')
                        self._boot()
                else:
                        self.wait_running(other_than=before)

        def close(self):
                if self.process is not None:
                        leader = self._leader()
                        for pid in filter(None, (leader, self.process.pid)):
                                try:
                                        os.kill(pid, signal.SIGKILL)    # the init takes all of its namespace along
                                except ProcessLookupError:
                                        pass
                        self.process.wait()
                        self.process = None
                for cgroup in self.cgroups:
                        self._remove_cgroup(cgroup)
                for folder in (self.folder, f'/run/systemd/nspawn/propagate/{self.name}'):
                        shutil.rmtree(folder, ignore_errors=True)

        @staticmethod
        def _remove_cgroup(top):
                """Its processes are dead, and leave in a moment."""
                deadline = time.monotonic() + 10
                while os.path.isdir(top) and time.monotonic() < deadline:
                        for folder, _, _ in os.walk(top, topdown=False):
                                try:
                                        os.rmdir(folder)
                                except OSError:
                                        pass
                        time.sleep(0.05)

        def __enter__(self):
                return self

        def __exit__(self, *exc):
                self.close()

        def console_log(self):
                with open(self.console, encoding='utf-8', errors='replace') as f:
                        return f.read()[-6000:]

        def use_bus(self, program):
                """dbus-daemon or dbus-broker; another one than there is needs a reboot."""
                if self.bus() == program:
                        return
                # Not for the system that runs, which would lose its bus.
                self.run('systemctl', '--no-reload', 'enable' if program == 'dbus-broker' else 'disable', 'dbus-broker.service')
                self.reboot()
                if self.bus() != program:
                        raise RuntimeError(f'the bus is {self.bus()}')

        def bus(self):
                unit = self.run('systemctl', 'show', 'dbus.service', '--property=Id', '--value').out.strip()
                return {'dbus.service': 'dbus-daemon', 'dbus-broker.service': 'dbus-broker'}[unit]

        # ---- commands

        def inside(self, *command, user=None):
                """The command line that runs COMMAND in the machine."""
                as_user = ['runuser', '-u', user, '--'] if user else []
                return ['nsenter', '--target', str(self.leader), '--all', '--', 'env', '-i', f'PATH={PATH}', 'LANG=C.UTF-8', 'TERM=dumb',
                        *as_user, *command]

        def run(self, *command, user=None, stdin=None, check=True, timeout=120):
                done = subprocess.run(self.inside(*command, user=user), input=(stdin or '').encode(), capture_output=True,
                                      timeout=timeout, check=False)
                result = Done(command, done.returncode, done.stdout, done.stderr)
                if check and done.returncode:
                        raise CommandFailed(repr(result))
                return result

        def outside(self, pid):
                """The number by which the host knows the machine's process PID."""
                namespace = os.readlink(f'/proc/{self.leader}/ns/pid')
                for entry in filter(str.isdigit, os.listdir('/proc')):
                        try:
                                if os.readlink(f'/proc/{entry}/ns/pid') != namespace:
                                        continue
                                with open(f'/proc/{entry}/status', encoding='ascii', errors='replace') as f:
                                        numbers = re.search(r'^NSpid:\s*(.*)$', f.read(), re.M).group(1).split()
                        except (FileNotFoundError, ProcessLookupError, PermissionError):
                                continue
                        if numbers[-1] == str(pid):
                                return int(entry)
                raise RuntimeError(f'no process {pid} in the machine')

        def popen(self, *command, user=None, **options):
                return subprocess.Popen(self.inside(*command, user=user), preexec_fn=die_with_parent, **options)

        def shell(self, script, **options):
                return self.run('sh', '-ec', script, **options)

        @contextlib.contextmanager
        def monitor(self):
                """Gives the path of a file that takes all that goes over the system bus, as root sees it."""
                log = pathlib.Path(tempfile.mkstemp(prefix='monitor-', dir=self.folder)[1])
                with log.open('wb') as out:
                        process = self.popen('busctl', 'monitor', '--json=short', stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.DEVNULL)
                try:
                        deadline = time.monotonic() + 60
                        while log.stat().st_size == 0:
                                self.run('busctl', 'status', check=False)               # something to see
                                assert time.monotonic() < deadline, 'the monitor sees nothing'
                        yield log
                finally:
                        process.terminate()
                        process.wait(10)

        def write(self, path, text, mode=0o644, owner=None):
                place = self.root + path
                os.makedirs(os.path.dirname(place), exist_ok=True)
                with open(place, 'w', encoding='utf-8') as f:
                        f.write(text)
                os.chmod(place, mode)
                if owner:
                        self.run('chown', owner, path)

        def read(self, path):
                with open(self.root + path, encoding='utf-8', errors='replace') as f:
                        return f.read()

        def journal(self, *arguments):
                """What journalctl prints."""
                self.run('journalctl', '--sync', check=False)
                return self.run('journalctl', '--no-pager', *arguments, check=False).out

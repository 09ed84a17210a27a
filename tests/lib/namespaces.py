# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cables of the kernel's: servers and their clients in one network namespace, the agent in another one, and a veth pair between the two for each
server, so that each can be cut alone.

    with Namespaces() as spaces:                    # this thread and what it starts are among the servers now
        cable = spaces.cable()                      # made before the server is started: MariaDB's server_uid is made of a hardware address
        cable.port = server.port                    # which has to listen on all addresses: nothing leads out of here
        Agent(prefix=spaces.prefix)                 # connects to cable.host, cable.port
        cable.cut(); cable.mend(); cable.reset()    # as those of proxy.py

A cut cable loses packets both ways and nobody is told: each end knows a hardware address of the other one that nobody has. (A link that is down, a
route that leads nowhere or a filter of what goes out would be told to the sender.) What TCP does about it is the kernel's: after mend() the rest arrives
when it is sent again, and with a cut of N seconds that may be N seconds later.

The namespaces have no names: they are gone with the last process in them, however it ends. Needs root and Debian's iproute2.
"""

import ctypes
import os
import subprocess

CLONE_NEWNET = 0x40000000
NOBODY = '02:00:00:00:00:ff'
libc = ctypes.CDLL(None, use_errno=True)


def _checked(result):
        if result:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _current():
        return os.open('/proc/thread-self/ns/net', os.O_RDONLY | os.O_CLOEXEC)


def _run(*command):
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding='ascii').stdout


class Namespaces:
        def __enter__(self):
                self.cables = 0
                self.home = _current()
                try:
                        _checked(libc.unshare(CLONE_NEWNET))
                        self.agents = _current()
                        _checked(libc.unshare(CLONE_NEWNET))
                        _run('ip', 'link', 'set', 'lo', 'up')
                except BaseException:
                        self._leave()
                        raise
                path = f'/proc/{os.getpid()}/fd/{self.agents}'
                self.prefix = ['nsenter', f'--net={path}']
                return self

        def __exit__(self, *exc):
                self._leave()
                os.close(self.agents)

        def _leave(self):
                _checked(libc.setns(self.home, CLONE_NEWNET))
                os.close(self.home)

        def cable(self):
                self.cables += 1
                return Cable(self, self.cables)


class Cable:
        port = None

        def __init__(self, spaces, number):
                self.host = f'198.18.{number}.1'
                self.agent = f'198.18.{number}.2'
                self.prefix = spaces.prefix
                self.links = f'server{number}', f'agent{number}'
                self.hardware = f'02:00:00:00:{number:02}:01', f'02:00:00:00:{number:02}:02'
                _run('ip', 'link', 'add', self.links[0], 'address', self.hardware[0], 'type', 'veth', 'peer', self.links[1], 'address', self.hardware[1])
                _run('ip', 'link', 'set', self.links[1], 'netns', spaces.prefix[1].removeprefix('--net='))
                for prefix, link, address in ((), self.links[0], self.host), (self.prefix, self.links[1], self.agent):
                        _run(*prefix, 'ip', 'address', 'add', f'{address}/30', 'dev', link)
                        _run(*prefix, 'ip', 'link', 'set', link, 'up')
                self.mend()

        def _neighbours(self, server, agent):
                """Which hardware addresses each end takes the other one for."""
                _run('ip', 'neighbour', 'replace', self.agent, 'lladdr', agent, 'dev', self.links[0], 'nud', 'permanent')
                _run(*self.prefix, 'ip', 'neighbour', 'replace', self.host, 'lladdr', server, 'dev', self.links[1], 'nud', 'permanent')

        def cut(self):
                self._neighbours(NOBODY, NOBODY)

        def mend(self):
                self._neighbours(*self.hardware)

        def _connections(self):
                return {line.split()[3] for line in _run('ss', '-Htn', 'state', 'established', 'src', self.host).splitlines()}

        def reset(self):
                """Every connection ends with RST."""
                before = self._connections()
                _run('ss', '-HtnK', 'state', 'established', 'src', self.host)
                left = before & self._connections()
                assert not left, f'this kernel does not end connections (INET_DIAG_DESTROY): {left}'

# SPDX-License-Identifier: LGPL-2.1-or-later
"""One thread of a process stands still while the others run: what a loop that hangs looks like from outside. SIGSTOP would stop
all of them.

    with Frozen(pid):           # the thread whose number is that of the process: its first one
        ...
"""

import ctypes
import os

SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
ANY_CHILD = 0x40000000                          # __WALL: also what is no child but traced


def _ptrace(request, pid):
        libc = ctypes.CDLL(None, use_errno=True)
        libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        libc.ptrace.restype = ctypes.c_long
        if libc.ptrace(request, pid, None, None) < 0:
                raise OSError(ctypes.get_errno(), f'ptrace of {pid}: {os.strerror(ctypes.get_errno())}')


class Frozen:
        def __init__(self, pid):
                self.pid = pid
                self.dead = False
                _ptrace(SEIZE, pid)
                _ptrace(INTERRUPT, pid)
                os.waitpid(pid, ANY_CHILD)

        def ended(self):
                """To be asked again and again: its parent hears of its end only after whoever holds it."""
                if not self.dead:
                        pid, status = os.waitpid(self.pid, ANY_CHILD | os.WNOHANG)
                        self.dead = pid != 0 and (os.WIFSIGNALED(status) or os.WIFEXITED(status))
                return self.dead

        def __enter__(self):
                return self

        def __exit__(self, *exc):
                if not self.ended():
                        _ptrace(DETACH, self.pid)

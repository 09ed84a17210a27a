# SPDX-License-Identifier: LGPL-2.1-or-later
"""A cable between the agent and a server that can be cut.

    with Proxy(server.port) as cable:           # cable.host and cable.port are what the agent connects to
        cable.cut()                             # nothing gets through and nobody is told: what was sent is kept back
        cable.mend()                            # it gets through now
        cable.reset()                           # every connection ends with RST, new ones are taken
        cable.abandon()                         # the server hears no more of those that there are, not even their end; new ones get through

Like a network that loses packets, a cut cable tells neither side: connections stay open, new ones are taken by the kernel and never
answered. After mend() everything arrives, as what TCP sends again does.
"""

import selectors
import socket
import struct
import threading

CHUNK = 1 << 16


class _Pipe:
        """One direction of one connection."""

        def __init__(self, source, sink):
                self.source = source
                self.sink = sink
                self.data = b''
                self.ended = False      # the source has closed


class Proxy:
        def __init__(self, port):
                self.target = port
                self.listener = socket.create_server(('127.0.0.1', 0), backlog=200)
                self.host, self.port = self.listener.getsockname()
                self.wake_read, self.wake_write = socket.socketpair()
                self.lock = threading.Lock()
                self.is_cut = self.want_reset = self.want_abandon = self.closing = False
                self.abandoned = []     # sockets to the server
                self.pairs = {}         # client socket → (pipe to the server, pipe to the client)
                self.thread = threading.Thread(target=self._run, daemon=True)
                self.thread.start()

        def cut(self):
                self._tell(is_cut=True)

        def mend(self):
                self._tell(is_cut=False)

        def reset(self):
                self._tell(want_reset=True)

        def abandon(self):
                self._tell(want_abandon=True)

        def close(self):
                self._tell(closing=True)
                self.thread.join()

        def __enter__(self):
                return self

        def __exit__(self, *exc):
                self.close()

        def _tell(self, **values):
                with self.lock:
                        for name, value in values.items():
                                setattr(self, name, value)
                self.wake_write.send(b'x')

        # ---- the thread

        def _run(self):
                with selectors.DefaultSelector() as selector:
                        while True:
                                with self.lock:
                                        cut, reset, closing = self.is_cut, self.want_reset, self.closing
                                        abandon = self.want_abandon
                                        self.want_reset = self.want_abandon = False
                                if abandon:
                                        for client, pipes in self.pairs.items():
                                                self.abandoned.append(pipes[1].source)
                                                client.close()
                                        self.pairs.clear()
                                if reset or closing:
                                        for client in list(self.pairs):
                                                self._drop(client)
                                if closing:
                                        break
                                self._register(selector, cut)
                                for key, events in selector.select():
                                        key.data(events)
                for s in (*self.abandoned, self.listener, self.wake_read, self.wake_write):
                        s.close()

        def _register(self, selector, cut):
                for key in list(selector.get_map().values()):
                        selector.unregister(key.fileobj)
                selector.register(self.wake_read, selectors.EVENT_READ, lambda _: self.wake_read.recv(100))
                if cut:
                        return
                selector.register(self.listener, selectors.EVENT_READ, self._accept)
                wanted = {}
                for client, pipes in self.pairs.items():
                        for pipe in pipes:
                                if pipe.data:
                                        wanted.setdefault(pipe.sink, [0, client])[0] |= selectors.EVENT_WRITE
                                elif not pipe.ended:
                                        wanted.setdefault(pipe.source, [0, client])[0] |= selectors.EVENT_READ
                for s, (events, client) in wanted.items():
                        selector.register(s, events, lambda e, client=client, s=s: self._move(client, s, e))

        def _accept(self, _):
                client, _ = self.listener.accept()
                try:
                        server = socket.create_connection(('127.0.0.1', self.target), timeout=5)
                except OSError:
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
                        client.close()
                        return
                for s in (client, server):
                        s.setblocking(False)
                        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.pairs[client] = (_Pipe(client, server), _Pipe(server, client))

        def _move(self, client, s, events):
                for pipe in self.pairs.get(client, ()):
                        try:
                                if pipe.source is s and events & selectors.EVENT_READ and not pipe.data:
                                        pipe.data = s.recv(CHUNK)
                                        if not pipe.data:
                                                self._drop(client, politely=True)
                                                return
                                        pipe.data = pipe.data[pipe.sink.send(pipe.data):]
                                elif pipe.sink is s and events & selectors.EVENT_WRITE and pipe.data:
                                        pipe.data = pipe.data[s.send(pipe.data):]
                        except BlockingIOError:
                                pass
                        except OSError:
                                self._drop(client)
                                return

        def _drop(self, client, politely=False):
                pipes = self.pairs.pop(client, ())
                for pipe in pipes:
                        if not politely:
                                pipe.source.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
                        else:
                                try:
                                        pipe.source.shutdown(socket.SHUT_RDWR)
                                except OSError:
                                        pass
                        pipe.source.close()

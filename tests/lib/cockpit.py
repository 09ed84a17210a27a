# SPDX-License-Identifier: LGPL-2.1-or-later
"""A login at Cockpit's web server as a browser does it, and commands run by the bridge of that login: HTTP for the login, then
channels over one WebSocket.

    with Cockpit(port, 'admin', 'password', superuser=True) as cockpit:
        code, output = cockpit.spawn('polarshiftctl', 'list', superuser='require')
        (value,) = cockpit.call('org.polarshift1', '/org/polarshift1', 'org.polarshift1.Manager', 'ListMigrations', '')
"""

import base64
import http.client
import json
import os
import socket
import struct

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
TIMEOUT = 120


class Cockpit:
        def __init__(self, port, user, password, superuser=False, address='127.0.0.1'):
                """SUPERUSER: have the bridge get root by sudo, as the button 'administrative access' does. ADDRESS: where from."""
                self.password = password
                self.address = address
                self.channels = 0
                self.socket = None
                login = http.client.HTTPConnection('127.0.0.1', port, timeout=TIMEOUT, source_address=(address, 0))
                login.request('GET', '/cockpit/login', headers={
                        'Authorization': 'Basic ' + base64.b64encode(f'{user}:{password}'.encode()).decode()})
                answer = login.getresponse()
                if answer.status != 200:
                        raise RuntimeError(f'login: {answer.status} {answer.reason}')
                cookie = answer.getheader('Set-Cookie').split(';')[0]
                answer.read()
                login.close()
                self._connect(port, cookie)
                hello = self._control('init')
                self._send('', json.dumps({'command': 'init', 'version': 1, 'host': hello.get('host', 'localhost')}))
                if superuser:
                        self._become_root()

        def _connect(self, port, cookie):
                self.socket = socket.create_connection(('127.0.0.1', port), timeout=TIMEOUT, source_address=(self.address, 0))
                self.stream = self.socket.makefile('rb')
                key = base64.b64encode(os.urandom(16)).decode()
                self.socket.sendall((f'GET /cockpit/socket HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
                                     f'Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: cockpit1\r\n'
                                     f'Origin: http://127.0.0.1:{port}\r\nCookie: {cookie}\r\n\r\n').encode())
                status = self.stream.readline()
                if b' 101 ' not in status:
                        raise RuntimeError(f'no WebSocket: {status}')
                while self.stream.readline().strip():
                        pass

        def _frame(self, kind, data):
                mask = os.urandom(4)
                size = bytes([0x80 | len(data)]) if len(data) < 126 else b'\xfe' + struct.pack('>H', len(data))
                self.socket.sendall(bytes([0x80 | kind]) + size + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))

        def _send(self, channel, text):
                self._frame(TEXT, f'{channel}\n{text}'.encode())

        def _receive(self):
                """The next message: its channel, its payload."""
                message = b''
                while True:
                        head = self.stream.read(2)
                        if len(head) < 2:
                                raise RuntimeError('the connection ended')
                        size = head[1] & 0x7f
                        if size > 125:
                                size = int.from_bytes(self.stream.read(2 if size == 126 else 8), 'big')
                        data = self.stream.read(size)
                        kind = head[0] & 0xf
                        if kind == CLOSE:
                                raise RuntimeError(f'closed: {data}')
                        if kind == PING:
                                self._frame(PONG, data)
                        elif kind != PONG:
                                message += data
                                if head[0] & 0x80:
                                        channel, _, payload = message.decode(errors='replace').partition('\n')
                                        return channel, payload

        def _message(self):
                """A message of the bridge, as an object or as data of a channel; what it asks for is answered."""
                channel, payload = self._receive()
                if channel:
                        return channel, payload
                control = json.loads(payload)
                if control['command'] == 'ping':
                        self._send('', json.dumps({**control, 'command': 'pong'}))
                elif control['command'] == 'authorize':
                        self._send('', json.dumps({'command': 'authorize', 'cookie': control['cookie'], 'response': self.password}))
                return '', control

        def _control(self, command):
                while True:
                        where, message = self._message()
                        if not where and message['command'] == command:
                                return message

        def _become_root(self):
                self._open('root', payload='dbus-json3', bus='internal')
                self._send('root', json.dumps({'add-match': {'path': '/superuser'}}))
                self._send('root', json.dumps({'call': ['/superuser', 'cockpit.Superuser', 'Start', ['sudo']], 'type': 's', 'id': 'start'}))
                while True:
                        channel, message = self._message()
                        if not channel:
                                continue
                        answer = json.loads(message)
                        if answer.get('signal', [])[1:3] == ['cockpit.Superuser', 'Prompt']:
                                self._send('root', json.dumps({'call': ['/superuser', 'cockpit.Superuser', 'Answer', [self.password]], 'type': 's',
                                                               'id': 'answer'}))
                        if answer.get('id') == 'start':
                                if 'error' in answer:
                                        raise RuntimeError(f'no root: {answer}')
                                return

        def _open(self, channel, **options):
                self._send('', json.dumps({'command': 'open', 'channel': channel, 'host': 'localhost', **options}))

        def _new_channel(self, **options):
                self.channels += 1
                self._open(f'c{self.channels}', **options)
                return f'c{self.channels}'

        def spawn(self, *command, stdin=None, **options):
                """Runs COMMAND by the bridge, as cockpit.spawn() of a page does. Exit status, what it printed."""
                name = self._new_channel(payload='stream', spawn=command, err='out', **options)
                if stdin is not None:
                        self._send(name, stdin)
                        self._send('', json.dumps({'command': 'done', 'channel': name}))
                output = ''
                while True:
                        channel, message = self._message()
                        if channel == name:
                                output += message
                        elif not channel and message['command'] == 'close' and message.get('channel') == name:
                                if message.get('problem'):
                                        raise RuntimeError(f'{command}: {message}')
                                return message['exit-status'], output

        def call(self, bus_name, path, interface, method, signature, *arguments, **options):
                """What cockpit.dbus() of a page does. What was answered."""
                name = self._new_channel(payload='dbus-json3', bus='system', name=bus_name, **options)
                self._send(name, json.dumps({'call': [path, interface, method, arguments], 'type': signature, 'id': 'call'}))
                while True:
                        channel, message = self._message()
                        if not channel and message['command'] == 'close' and message.get('channel') == name:
                                raise RuntimeError(f'{method}: {message}')
                        answer = json.loads(message) if channel == name else {}
                        if answer.get('id') == 'call':
                                if 'error' in answer:
                                        raise RuntimeError(f'{method}: {answer}')
                                return answer['reply'][0]

        @staticmethod
        def answers(port):
                try:
                        socket.create_connection(('127.0.0.1', port), timeout=5).close()
                        return True
                except OSError:
                        return False

        def close(self):
                if self.socket:
                        self.stream.close()
                        self.socket.close()

        def __enter__(self):
                return self

        def __exit__(self, *exc):
                self.close()

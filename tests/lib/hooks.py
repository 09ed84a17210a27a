# SPDX-License-Identifier: LGPL-2.1-or-later
"""A hook that closes and opens servers by itself, as a provider's interface would, and notes what it is asked.

    hooks = Hooks(folder, [source, destination])     # nothing is installed yet
    agent = Agent(environment=hooks.environment)
    hooks.install()
    hooks.behave(fence='lie')                        # at that point; hooks.behave() is well again
    hooks.calls('fence')                             # the documents that came, since hooks.forget()
"""

import json
import os
import pathlib

PROGRAM = """#!/usr/bin/python3
import json, os, sys, time
call = json.load(sys.stdin)
here = os.path.dirname(os.path.abspath(__file__)) + '/..'
point = sys.argv[1]
assert point == call['point']
with open(here + '/calls', 'a') as f:
    f.write(json.dumps(call) + '\\n')
with open(here + '/behaviour') as f:
    behaviour = json.load(f).get(point, 'well')
if behaviour == 'hang':
    time.sleep(600)
elif behaviour == 'fail':
    sys.exit(3)
elif behaviour.startswith('say '):
    print(behaviour[4:])
elif behaviour == 'flood':
    print('10.0.0.0/8\\n' * 20000)
elif behaviour == 'many':
    print('\\n'.join('10.0.%d.%d' % (i // 256, i % 256) for i in range(1025)))
elif behaviour == 'bytes':
    sys.stdout.buffer.write(b'10.0.0.0/8\\xff')
elif behaviour == 'wait':
    while not os.path.exists(here + '/go-on'):
        time.sleep(0.05)
elif behaviour != 'lie' and point in ('fence', 'unfence'):
    import pymysql
    with open(here + '/sockets') as f:
        socket = json.load(f)[str(call['port'])]
    with pymysql.connect(unix_socket=socket, user='root') as c, c.cursor() as cursor:
        closed = point == 'fence'
        if call['events'] and behaviour != 'events':
            cursor.execute('SET GLOBAL event_scheduler=%d' % (not closed))
        cursor.execute('SET GLOBAL %s=%d' % ('super_read_only' if behaviour == 'super' else 'read_only', closed))
"""


class Hooks:
        def __init__(self, folder, pair, ports=None):
                """PORTS: those by which the agent knows the servers, if not their own."""
                self.folder = pathlib.Path(folder)
                (self.folder / 'hooks.d').mkdir(parents=True)
                self.program = self.folder / 'hooks.d' / '50-provider'
                config = self.folder / 'polarshift.conf'
                config.write_text(f'[Agent]\nhooks={self.folder}/hooks.d\n', encoding='utf-8')
                (self.folder / 'sockets').write_text(json.dumps({port: s.socket for s, port in zip(pair, ports or [s.port for s in pair])}), encoding='utf-8')
                self.environment = {'POLARSHIFT_CONFIG': str(config)}
                self.behave()

        def install(self):
                self.program.write_text(PROGRAM, encoding='utf-8')
                os.chmod(self.program, 0o755)

        def remove(self):
                self.program.unlink()

        def behave(self, **points):
                (self.folder / 'behaviour').write_text(json.dumps(points), encoding='utf-8')

        def go_on(self):
                """Whatever waits ends well."""
                (self.folder / 'go-on').touch()

        def calls(self, point=None):
                try:
                        lines = (self.folder / 'calls').read_text(encoding='utf-8').splitlines()
                except FileNotFoundError:
                        return []
                return [call for call in map(json.loads, lines) if point in (None, call['point'])]

        def forget(self):
                (self.folder / 'calls').unlink(missing_ok=True)

# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the benchmarks share: set-up and build, sysbench's tables, medians with their spread."""

import os
import pathlib
import statistics
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / 'tests' / 'lib'))
DB = 'sbtest'


def prepare():
        """Installs and builds what is missing. $POLARSHIFT_BUILD names another build folder."""
        subprocess.run([TOP / 'tests' / 'setup', '--for=bench'], check=True)
        if 'POLARSHIFT_BUILD' not in os.environ:
                build = TOP / 'build-bench'
                if not (build / 'build.ninja').exists():
                        subprocess.run(['meson', 'setup', build, TOP], check=True, stdout=subprocess.DEVNULL)
                subprocess.run(['ninja', '-C', build], check=True, stdout=subprocess.DEVNULL)
                os.environ['POLARSHIFT_BUILD'] = str(build)


def sysbench(server, script, command, *options, tables=4, rows=250000, threads=4):
        done = subprocess.run(
                ['sysbench', script, '--db-driver=mysql', f'--mysql-socket={server.socket}', '--mysql-user=root',
                 f'--mysql-db={DB}', f'--tables={tables}', f'--table-size={rows}', f'--threads={threads}', *options,
                 command], check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
                sys.exit('sysbench: ' + done.stdout.decode(errors='replace')[-2000:])


def make_tables(server, tables, rows):
        server.admin(f'CREATE DATABASE {DB}')
        sysbench(server, 'oltp_read_write', 'prepare', tables=tables, rows=rows, threads=2)


def mydumper(source, folder, threads=2):
        run(['mydumper', '-u', 'root', '-S', source.socket, '-B', DB, '-t', str(threads), '-o', folder])


def myloader(destination, folder, threads=2):
        run(['myloader', '-u', 'root', '-S', destination.socket, '-d', folder, '-t', str(threads)])


def run(command):
        done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        if done.returncode:
                sys.exit(f'{command[0]}: ' + done.stdout.decode(errors='replace')[-2000:])


def new_link(agent, source, destination, name='bench', **options):
        import servers
        for side in ('source', 'destination'):
                agent.set_credential(f'{name}.{side}', servers.AGENT_PASSWORD)
        return agent.create(name, source.uri('agent'), destination.uri('agent'), unfit='skip', **options)


class Clock:
        def __enter__(self):
                self.began = time.monotonic()
                return self

        def __exit__(self, *_):
                self.seconds = time.monotonic() - self.began


def table(title, columns):
        """columns: {name: [seconds of each round]}; prints medians with their spread, and each against the first."""
        print(f'\n{title}')
        width = max(map(len, columns))
        base = None
        for name, values in columns.items():
                median = statistics.median(values)
                base = base or median
                print(f'  {name:<{width}}  median {median:8.2f} s   {min(values):.2f} … {max(values):.2f}   '
                      f'×{median / base:.2f}   rounds: ' + ' '.join(f'{v:.2f}' for v in values))

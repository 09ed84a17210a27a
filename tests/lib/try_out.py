# SPDX-License-Identifier: LGPL-2.1-or-later
"""The part of tests/try that runs when everything is built: one migration from end to end, told step by step."""

import argparse
import contextlib
import shlex
import signal
import subprocess
import sys
import time

import equal
import schemas
import servers
import steps
from agent import Agent
from workload import Workload

BOLD, DIM, GREEN, RED, PLAIN = ('\033[1m', '\033[2m', '\033[32m', '\033[31m', '\033[0m') if sys.stdout.isatty() \
        else ('',) * 5


def title(text):
        print(f'\n{BOLD}{text}{PLAIN}', flush=True)


def say(text):
        print(f'  {text}', flush=True)


class Failed(Exception):
        pass


class Story:
        def __init__(self, args, source, destination, agent):
                self.source = source
                self.destination = destination
                self.agent = agent
                self.args = args
                self.interruptions = []
                self.load = None

        def ctl(self, *args, stdin=None, shown=None):
                """Runs polarshiftctl in sight of the user."""
                print(f'\n  {BOLD}$ {shown or "polarshiftctl " + " ".join(map(shlex.quote, args))}{PLAIN}', flush=True)
                done = subprocess.run([str(self.agent.build / 'cli' / 'polarshiftctl'), '--no-pager', *args],
                                      input=stdin, text=True, env=self.agent.environment, check=False, timeout=600,
                                      stdin=None if stdin is not None else subprocess.DEVNULL)
                if done.returncode:
                        raise Failed(f'polarshiftctl ended with {done.returncode}')

        def property(self, name):
                return self.agent.migration('shop').get(name)

        def quiet_point(self):
                """The clients rest, and every row of both sides is compared."""
                self.load.pause()
                checked = {}
                began = time.monotonic()
                equal.wait_equal(self.source, self.destination, ['shop'], 120, checked)
                say(f'{GREEN}equal{PLAIN}: the clients rest for a moment; {sum(checked.values()):,} rows of '
                    f'{len(checked)} tables are the same byte for byte on both sides '
                    f'({time.monotonic() - began:.1f} s to read; {self.load.acknowledged:,} transactions so far)')
                self.load.go_on()

        def refuses(self, closed, open_side, names):
                if not steps.write_refused(closed) or steps.write_refused(open_side):
                        raise Failed(f'the wrong side takes writes ({names})')
                say(f'{names[0]} refuses the writes of applications, {names[1]} takes them')

        def set_up(self):
                title('2. Two servers, a shop, and clients that keep writing')
                say(f'source:      MySQL {self.source.scalar("SELECT version()")}, port {self.source.port}')
                say(f'destination: {self.destination.scalar("SELECT version()")}, port {self.destination.port}')
                rows = schemas.create_shop(self.source, self.args.customers, foreign_keys=self.args.foreign_keys)
                say(f'database shop on the source: customers, products, stock, orders, payments: {rows:,} rows')
                self.load = Workload([self.source, self.destination], self.args.writers, rate=self.args.rate or None)
                self.load.start()
                say(f'{self.args.writers} clients write to it from now on'
                    + (f', about {self.args.rate} transactions a second' if self.args.rate else ' at full speed'))

        def create(self):
                title('3. A migration is made and checked')
                for side in ('source', 'destination'):
                        self.ctl('set-credential', f'shop.{side}', '--password-file=-', stdin=servers.AGENT_PASSWORD,
                                 shown=f'polarshiftctl set-credential shop.{side} --password-file=- < password')
                self.ctl('create', 'shop', f'--source={self.source.uri("agent")}',
                         f'--destination={self.destination.uri("agent")}', '-o', 'unfit=skip')
                self.ctl('check', 'shop')

        def start(self):
                title('4. The copy, then both sides in step, while the clients write')
                began = time.monotonic()
                self.ctl('start', 'shop', '--accept-warnings')
                self.ctl('wait', 'shop', '--for=synchronizing')
                self.agent.migration('shop').wait_caught_up(120)
                say(f'in step {time.monotonic() - began:.1f} s after the start')
                self.ctl('status', 'shop')
                self.refuses(self.destination, self.source, ('the destination', 'the source'))
                self.ctl('verify', 'shop')
                self.quiet_point()

        def change_side(self, method, number, text):
                title(f'{number}. {text}')
                time.sleep(1.5)
                steps.make_ready(self.agent.migration('shop'))
                self.ctl(method, 'shop', '--yes')
                reported = self.property('WriteInterruption')
                if method == 'switch':
                        self.refuses(self.source, self.destination, ('the source', 'the destination'))
                else:
                        self.refuses(self.destination, self.source, ('the destination', 'the source'))
                time.sleep(1.5)
                self.quiet_point()
                seen = self.load.switches()[-1][2]
                self.interruptions.append((method, reported, seen))
                say(f'write interruption: {reported * 1000:.0f} ms reported, {seen * 1000:.0f} ms as the clients saw it')

        def complete(self):
                title('8. Complete: the link ends, the destination stays')
                time.sleep(1)
                self.ctl('complete', 'shop', '--yes')
                self.refuses(self.source, self.destination, ('the source', 'the destination'))
                self.load.stop()
                self.ctl('list')

        def result(self):
                title('9. What came of it')
                for method, reported, seen in self.interruptions:
                        say(f'{method:<9} interrupted the writes for {reported * 1000:5.0f} ms'
                            f' ({seen * 1000:.0f} ms as the clients saw it)')
                acknowledged, unknown = self.load.check(self.destination)
                say(f'{GREEN}{acknowledged:,} transactions were acknowledged to the clients; all of them are on the '
                    f'destination, none twice{PLAIN}'
                    + (f' ({unknown} more had no answer when their connection was closed)' if unknown else ''))
                say(f'the agent held {self.agent.memory_high_water() >> 20} MiB of memory at most')

        def tell(self):
                self.set_up()
                self.create()
                self.start()
                self.change_side('switch', 5, 'Switch: the writes move to the destination')
                self.change_side('rollback', 6, 'Roll back: the writes return to the source, and nothing is lost')
                self.change_side('switch', 7, 'Switch again')
                self.complete()
                self.result()


def main():
        parser = argparse.ArgumentParser(prog='tests/try')
        parser.add_argument('--customers', type=int, default=40000)
        parser.add_argument('--writers', type=int, default=4)
        parser.add_argument('--rate', type=float, default=500)
        parser.add_argument('--foreign-keys', action='store_true')
        parser.add_argument('--keep', action='store_true')
        args = parser.parse_args()
        for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(s, _leave)
        agent = None
        with contextlib.ExitStack() as stack:
                try:
                        title('1. Starting two servers and the agent')
                        source, destination = servers.start_pair()
                        stack.callback(source.close)
                        stack.callback(destination.close)
                        agent = Agent(environment={'SYSTEMD_LOG_LEVEL': 'info'})
                        stack.callback(agent.close)
                        say('done; the agent has a private bus, so that nothing of this machine is touched')
                        story = Story(args, source, destination, agent)
                        stack.callback(lambda: story.load and story.load.stop(check=False))
                        story.tell()
                        if args.keep:
                                keep(source, destination, agent)
                except KeyboardInterrupt:
                        print('\nStopping everything.')
                        return 130
                except Exception as e:  # whatever went wrong, the user wants the agent's word on it
                        print(f'\n{RED}{type(e).__name__}: {e}{PLAIN}', flush=True)
                        if agent:
                                print('\nThe end of the agent\'s log:\n')
                                print('\n'.join(agent.log().splitlines()[-40:]), flush=True)
                        return 1
        print('\nEverything is stopped and removed.')
        return 0


def keep(source, destination, agent):
        print()
        for name, server in (('source:', source), ('destination:', destination)):
                say(f'{name:<13}mariadb -uapp -p{servers.APP_PASSWORD} -h127.0.0.1 -P{server.port} shop')
        say(f'{"agent:":<13}DBUS_SYSTEM_BUS_ADDRESS={agent.bus.address} {agent.build}/cli/polarshiftctl list')
        say('Ctrl-C ends it.')
        with contextlib.suppress(KeyboardInterrupt):
                signal.pause()


def _leave(*_):
        for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):        # the way out is not interrupted
                signal.signal(s, signal.SIG_IGN)
        raise KeyboardInterrupt


if __name__ == '__main__':
        sys.exit(main())

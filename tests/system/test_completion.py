# SPDX-License-Identifier: LGPL-2.1-or-later
"""Shell completion, asked as the shells ask it, with a polarshiftctl that knows two migrations and a credential."""

import os
import subprocess

import pytest

from conftest import TOP

FAKE = """#!/bin/sh
case "$1" in
list) printf 'shop       synchronizing\\nstaging    created\\n' ;;
credentials) printf 'shop.ca\\nshop.source\\n' ;;
esac
"""
COMPLETION = TOP / 'cli' / 'completion'


@pytest.fixture(scope='module')
def environment(folder):
        place = os.path.join(folder, 'bin')
        os.makedirs(place)
        with open(f'{place}/polarshiftctl', 'w', encoding='ascii') as f:
                f.write(FAKE)
        os.chmod(f'{place}/polarshiftctl', 0o755)
        return {'PATH': f'{place}:/usr/bin:/bin', 'HOME': folder, 'TERM': 'xterm', 'LANG': 'C.UTF-8'}


def bash(environment, line):
        words = line.split(' ')
        script = f'''. {COMPLETION}/bash/polarshiftctl
compopt() {{ :; }}
COMP_WORDS=({' '.join(f"'{w}'" for w in words)}); COMP_CWORD={len(words) - 1}
_polarshiftctl; printf '%s\\n' "${{COMPREPLY[@]}}"'''
        return subprocess.run(['bash', '-c', script], env=environment, check=True, capture_output=True, text=True).stdout.split()


def fish(environment, line):
        out = subprocess.run(['fish', '--no-config', '-c', f'source {COMPLETION}/fish/polarshiftctl.fish; complete -C "{line}"'], env=environment,
                             check=True, capture_output=True, text=True).stdout
        return [word.split('\t')[0] for word in out.splitlines()]


ZSH = """
import os, pty, sys, time, select
pid, fd = pty.fork()
if pid == 0:
    os.execvp("zsh", ["zsh", "-f"])
def send(text, until, seconds=30):
    os.write(fd, text.encode())
    seen = b""
    end = time.monotonic() + seconds
    while until not in seen and time.monotonic() < end:
        if select.select([fd], [], [], 0.2)[0]:
            try:
                seen += os.read(fd, 65536)
            except OSError:
                break
    return seen.decode(errors="replace")
send("PS1='> '; fpath=(%s/zsh $fpath); autoload -U compinit; compinit -u -D; zstyle ':completion:*' list-prompt ''; LISTMAX=10000; "
     "stty columns 300 rows 200 -echo; echo re''ady\\n" % sys.argv[1], b"ready")
send("bindkey '^I' complete-word; bindkey '^X' list-choices; echo se''t\\n", b"set")
os.write(fd, (sys.argv[2] + "\\x18").encode())
sys.stdout.write(send("", sys.argv[3].encode()))
os.kill(pid, 9)
"""


def zsh(environment, line, wanted):
        """What zsh shows as the choices."""
        return subprocess.run(['/usr/bin/python3', '-c', ZSH, str(COMPLETION), line, wanted], env=environment, check=True, capture_output=True,
                              text=True, timeout=120).stdout


@pytest.mark.parametrize('shell', [bash, fish])
def test_words(environment, shell):
        assert {'list', 'switch', 'set-credential', 'cluster'} <= set(shell(environment, 'polarshiftctl '))
        assert shell(environment, 'polarshiftctl sw') == ['switch']
        for verb in ('switch', 'status', 'watch', 'log', 'limits', 'remove'):
                assert {'shop', 'staging'} <= set(shell(environment, f'polarshiftctl {verb} ')), verb
        assert shell(environment, 'polarshiftctl rollback sh') == ['shop']
        assert {'switch', 'rollback', 'complete', 'cancel'} <= set(shell(environment, 'polarshiftctl plan shop '))
        assert {'shop.ca', 'shop.source'} <= set(shell(environment, 'polarshiftctl remove-credential '))
        assert {'source', 'destination'} <= set(shell(environment, 'polarshiftctl endpoint shop '))
        assert 'shop' not in shell(environment, 'polarshiftctl create ')


def test_options(environment):
        assert {'--deadline=', '--json=pretty', '--kill-sessions'} <= set(bash(environment, 'polarshiftctl switch shop --'))
        assert {'--deadline', '--json', '--kill-sessions'} <= set(fish(environment, 'polarshiftctl switch shop --'))
        assert '--deadline' not in fish(environment, 'polarshiftctl list --')
        assert set(bash(environment, 'polarshiftctl wait shop --for = sw')) == {'switched'}
        assert '--for=switched' in fish(environment, 'polarshiftctl wait shop --for=sw')


def test_zsh(environment):
        subprocess.run(['zsh', '-n', f'{COMPLETION}/zsh/_polarshiftctl'], check=True)
        assert 'staging' in zsh(environment, 'polarshiftctl switch ', 'staging')
        assert 'what you may do' in zsh(environment, 'polarshiftctl per', 'what you may do') or \
                'permissions' in zsh(environment, 'polarshiftctl per', 'permissions')

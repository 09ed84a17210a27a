# SPDX-License-Identifier: LGPL-2.1-or-later
"""House rules that a program can check: floors, sizes, banned calls, licences, and that documents and code name the same things."""

import pathlib
import re
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
MAX_LINES = 800


def tracked():
        """The files of the project; without git (a release archive) those that are there."""
        try:
                names = subprocess.run(['git', '-c', 'safe.directory=*', 'ls-files', '-z'], cwd=TOP, check=True,
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode().split('\0')
        except (OSError, subprocess.CalledProcessError):
                names = [str(p.relative_to(TOP)) for p in TOP.rglob('*') if p.is_file() and '.git' not in p.parts]
        return sorted(n for n in names if n and (TOP / n).is_file())


FILES = tracked()
C_FILES = [n for n in FILES if n.endswith(('.c', '.h'))]
PRODUCT = [n for n in C_FILES if n.startswith(('daemon/', 'cli/'))]


def text(name):
        return (TOP / name).read_text(encoding='utf-8', errors='replace')


def code(name):
        """Without comments and strings, lines kept."""
        def blank(match):
                kept = '\n' * match.group().count('\n')
                return f'"{kept}"' if match.group().startswith('"') else kept + ' '
        pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\''
        return re.sub(pattern, blank, text(name), flags=re.S)


def found(names, pattern, source=code, flags=0):
        """file:line of every match."""
        hits = []
        for name in names:
                body = source(name)
                for match in re.finditer(pattern, body, flags | re.M):
                        hits.append(f'{name}:{body.count(chr(10), 0, match.start()) + 1}: {match.group().strip()}')
        return hits


# --- floors ---

# What each floor may include, by the first part of the path; the agent itself ('') may include all.
FLOORS = {'daemon/base/': {'base'}, 'daemon/mysql/': {'base', 'mysql'}, 'daemon/engine/': {'base', 'mysql', 'engine'}}


@pytest.mark.parametrize('floor', FLOORS)
def test_floors(floor):
        hits = []
        for name in C_FILES:
                if not name.startswith(floor):
                        continue
                for include in re.findall(r'^\s*#\s*include\s+"([^"]+)"', text(name), re.M):
                        first = include.split('/')[0] if '/' in include else ''
                        if first not in FLOORS[floor] and include != 'config.h':
                                hits.append(f'{name}: {include}')
        assert not hits, '\n'.join(hits)


def test_includes_are_from_the_root():
        """No "../x.h" and no bare name of a neighbour on the lower floors."""
        hits = found(PRODUCT, r'^\s*#\s*include\s+"\.\.[^"]*"', text)
        assert not hits, '\n'.join(hits)


def test_command_line_is_apart():
        """polarshiftctl speaks D-Bus only: nothing of the engine or of MySQL."""
        hits = found([n for n in PRODUCT if n.startswith('cli/')], r'^\s*#\s*include\s+["<](engine|mysql|mariadb)/?[^">]*[">]', text)
        assert not hits, '\n'.join(hits)


def test_bus_stays_above():
        lower = [n for n in PRODUCT if n.startswith(tuple(FLOORS))]
        hits = found(lower, r'\bsd_(bus|event)_\w+|<systemd/sd-(bus|event)\.h>', text)
        assert not hits, '\n'.join(hits)


def test_mysql_has_no_threads():
        hits = found([n for n in PRODUCT if n.startswith('daemon/mysql/')], r'\b(pthread_create|thread_start|g_thread_new)\b')
        assert not hits, '\n'.join(hits)


def test_glib_is_a_library():
        hits = found(PRODUCT, r'\b(g_main_loop_\w+|g_main_context_\w+|g_object_new|G_DEFINE_TYPE\w*|G_DECLARE_\w+TYPE|g_dbus_\w+|'
                              r'g_timeout_add\w*|g_idle_add\w*|g_signal_connect\w*)\b')
        assert not hits, '\n'.join(hits)


# --- style ---

def test_sizes():
        big = [f'{n}: {lines} lines' for n in FILES if n.endswith(('.c', '.h', '.py'))
               for lines in [text(n).count('\n')] if lines > MAX_LINES]
        assert not big, '\n'.join(big)


def test_licence():
        named = ('.c', '.h', '.py', '.build', '.conf', '.rules', '.catalog', '.sysusers', '.1', '.5', '.8', '.in')
        missing = []
        for name in FILES:
                head = text(name)[:400]
                if (name.endswith(named) or head.startswith('#!')) and 'SPDX-License-Identifier: LGPL-2.1-or-later' not in head:
                        missing.append(name)
        assert not missing, '\n'.join(missing)


def test_purpose():
        """Behind the licence a source says what it is for."""
        missing = [n for n in PRODUCT if not re.match(r'/\* SPDX[^\n]*\*/\n(#pragma once\n)?\s*/\*', text(n))]
        assert not missing, '\n'.join(missing)


def test_banned_calls():
        banned = ('strcpy|strcat|sprintf|vsprintf|gets|system|popen|sleep|usleep|nanosleep|g_usleep|alarm|strtok|atoi|atol|'
                  'mktemp|tmpnam|rand|srand|putenv|abort|assert|g_assert')
        hits = found(PRODUCT, rf'(?<![\w.>])({banned})\s*\(')
        hits += found([n for n in PRODUCT if n.startswith('daemon/')], r'(?<![\w.>])(setenv|fork|vfork)\s*\(')
        assert not hits, '\n'.join(hits)


def test_exit():
        """The process ends by returning from main(); a forked child may call _exit()."""
        hits = found(PRODUCT, r'(?<![\w.>])exit\s*\(')
        hits += [h for h in found(PRODUCT, r'(?<![\w.>])(_exit|quick_exit)\s*\(')
                 if not h.startswith(('daemon/main.c:', 'cli/'))]
        assert not hits, '\n'.join(hits)


def test_no_default_on_own_enums():
        """A switch with a case of one of our enums has no default: the compiler names what is missing. A cast to int says
        that the others were dealt with before."""
        hits = []
        own = {member for n in PRODUCT for body in re.findall(r'typedef enum \w*\s*\{(.*?)\}', code(n), re.S)
               if '_MAX' in body for member in re.findall(r'^\s*,?\s*(\w+)|,\s*(\w+)', body, re.M) for member in member if member}
        assert 'ROW_OPERATION_INSERT' in own and 'FENCE_HOOK' in own
        for name in PRODUCT:
                body = code(name)
                for match in re.finditer(r'\bswitch\s*\((?!\(int\))', body):
                        depth, at = 0, body.index('{', match.end())
                        for end in range(at, len(body)):
                                depth += {'{': 1, '}': -1}.get(body[end], 0)
                                if depth == 0:
                                        break
                        block = body[at:end]
                        if re.search(r'\bdefault\s*:', block) and own & set(re.findall(r'\bcase (\w+)', block)):
                                hits.append(f'{name}:{body.count(chr(10), 0, match.start()) + 1}')
        assert not hits, '\n'.join(hits)


def test_no_mutable_state_at_file_scope():
        """Data at file scope is const, a pthread_once_t, or a thread's own."""
        hits = found([n for n in PRODUCT if n.startswith('daemon/')],
                     r'^static (?!const\b|inline\b|__thread\b|pthread_once_t\b)[^;(){}=]*(=[^;]*)?;')
        hits = [h for h in hits if not re.search(r'\*\s*const\b|\bconst\b', h)]
        assert not hits, '\n'.join(hits)


def test_no_machine_paths():
        me = pathlib.Path(__file__).resolve().relative_to(TOP).as_posix()
        hits = found([n for n in FILES if n != me], r'(?<![\w.}])(/work/(?=\w)|/tmp/prep|/root/\w)', text)
        assert not hits, '\n'.join(hits)


def test_enum_tables():
        """Every enum with a string table has its round trip in a unit test."""
        names = {n for f in PRODUCT if f.endswith('.h') for n in re.findall(r'^ENUM_TABLE_DECLARE\((\w+),', text(f), re.M)}
        tests = ''.join(text(n) for n in FILES if n.startswith('tests/unit/') and n.endswith('.c'))
        assert names
        missing = [n for n in names if not re.search(rf'\b{n}_from_string\b|ROUND_TRIP\({n},', tests)]
        assert not missing, '\n'.join(missing)


# --- documents ---

# The verbs and options of the contract's command line.
VERBS = ('list status show create check start pause resume verify repair switch confirm rollback complete cancel abort remove watch wait '
         'log report plan limits endpoint acknowledge set-credential credentials permissions cluster').split()
OPTIONS = ('source destination cluster create-type include exclude max-delay expire-after start accept-warnings for format json wait no-wait '
           'timeout dry-run yes quiet no-pager no-legend no-ask-password address password-file').split()


@pytest.mark.parametrize('name', ['docs/polarshiftctl.1', 'cli/completion/bash/polarshiftctl', 'cli/completion/zsh/_polarshiftctl',
                                  'cli/completion/fish/polarshiftctl.fish'])
def test_command_line_is_described(name):
        body = text(name).replace('\\-', '-')
        if name.endswith('.fish'):
                body = re.sub(r' -l (?=[a-z])', ' --', body)
        missing = [v for v in VERBS if not re.search(rf'(?<![\w-]){v}(?![\w-])', body)]
        missing += [f'--{o}' for o in OPTIONS if not re.search(rf'--(\[no-\])?{o}(?![\w-])', body) and
                    not (o.startswith('no-') and f'--[no-]{o[3:]}' in body)]
        assert not missing, ' '.join(missing)


def test_accounts_are_described_alike():
        """The manual page has the SQL of docs/privileges.md."""
        def statements(name):
                return re.findall(r'CREATE USER .*? WITH GRANT OPTION;', ' '.join(text(name).replace('\\-', '-').split()))
        assert len(statements('docs/privileges.md')) == 3 and statements('docs/polarshiftd.8') == statements('docs/privileges.md')


@pytest.mark.parametrize('page', ['docs/polarshiftctl.1', 'docs/polarshift.conf.5'])
def test_create_options_are_described(page):
        """Every option of CreateMigration that the agent takes stands in the manual pages."""
        body = text(page).replace('\\-', '-')
        spec = text('daemon/engine/spec.c')
        names = set(re.findall(r'^\s*\{\s*"([a-z][a-z-]+)",', spec, re.M))
        assert {'source', 'max-delay', 'unfit'} <= names
        missing = [n for n in sorted(names) if not re.search(rf'(?<![\w-]){n}(?![\w-])', body)]
        assert not missing, ' '.join(missing)


def test_coverage_names_tests():
        """Every test that the table of coverage names exists."""
        body = text('docs/coverage.md')
        named = re.findall(r'`(test_\w+)::(test_\w+)`', body)
        assert len(named) > 40
        missing = [f'{module}::{name}' for module, name in named
                   if not re.search(rf'^def {name}\(', text(f'tests/mysql/{module}.py') if f'tests/mysql/{module}.py' in FILES else '', re.M)]
        missing += [path for path in re.findall(r'`(tests/[\w/.-]+)', body) if path not in FILES and not (TOP / path).is_dir()]
        assert not missing, '\n'.join(missing)


def test_every_unit_test_is_run():
        listed = text('tests/unit/meson.build')
        missing = [n for n in FILES if re.fullmatch(r'tests/unit/test-[\w-]+\.c', n)
                   and f"'{n[len('tests/unit/test-'):-2]}'" not in listed and f"'{n[len('tests/unit/'):-2]}'" not in listed]
        assert not missing, '\n'.join(missing)


def test_every_source_is_built():
        missing = [n for n in PRODUCT if n.endswith('.c') and
                   f"'{pathlib.PurePath(n).name}'" not in text(str(pathlib.PurePath(n).parent / 'meson.build'))]
        assert not missing, '\n'.join(missing)


def test_every_check_is_tested():
        """Each id of the agent's table of checks has a case that makes it fail, or another test is named that does; and it is described."""
        ids = re.findall(r'^\s*\{"([a-z][a-z-]+)", STAGE_', text('daemon/engine/precheck.c'), re.M)
        assert len(ids) > 50 and len(ids) == len(set(ids))
        cases = text('tests/mysql/test_checks.py')
        tested = set(re.findall(r"^    \('([a-z-]+)', '(?:note|warning|error)',", cases, re.M))
        named = re.search(r'^ELSEWHERE = {\n(.*?)^}', cases, re.M | re.S)[1]
        elsewhere = dict(re.findall(r"^    '([a-z-]+)': '([^']+)',$", named, re.M))
        for place in elsewhere.values():
                module, _, name = place.partition('::')
                if name:
                        assert re.search(rf'^def {name}\(', text(f'tests/mysql/{module}.py'), re.M), place
                else:
                        assert f'tests/unit/{module}' in FILES, place
        missing = [i for i in ids if i not in tested | set(elsewhere)]
        missing += [f'{i}: no such check' for i in sorted(tested | set(elsewhere)) if i not in ids]
        listed = re.findall(r'^\| `([a-z-]+)` \|', text('docs/checks.md'), re.M)
        missing += [f'{i}: not in docs/checks.md' for i in ids if i not in listed]
        missing += [f'{i}: only in docs/checks.md' for i in listed if i not in ids]
        assert not missing, '\n'.join(missing)

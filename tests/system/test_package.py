# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is in the package, without a machine: the same as `meson install` puts in place, and nothing that lintian minds."""

import gzip
import os
import pathlib
import subprocess

TOP = pathlib.Path(__file__).resolve().parents[2]


def content(path):
        data = pathlib.Path(path).read_bytes()
        return gzip.decompress(data) if path.endswith('.gz') else data


def files(root):
        """Relative path (without .gz) → where it is."""
        found = {}
        for folder, _, names in os.walk(root):
                for name in names:
                        path = os.path.join(folder, name)
                        found[os.path.relpath(path, root).removesuffix('.gz')] = path
        return found


def test_same_as_meson_install(package, tmp_path):
        build = os.environ.get('POLARSHIFT_BUILD', str(TOP / 'build'))
        subprocess.run(['meson', 'install', '-C', build, '--no-rebuild', '--destdir', tmp_path / 'meson'], check=True, capture_output=True)
        subprocess.run(['dpkg-deb', '--extract', package, tmp_path / 'package'], check=True)
        installed, packaged = files(tmp_path / 'meson'), files(tmp_path / 'package')
        assert {'usr/libexec/polarshiftd', 'usr/bin/polarshiftctl', 'usr/lib/systemd/catalog/polarshift.catalog'} <= set(installed)
        where = {name.replace('usr/lib/systemd/system/', 'lib/systemd/system/') for name in installed}
        packaged_names = {name.replace('usr/lib/systemd/system/', 'lib/systemd/system/') for name in packaged}
        assert where <= packaged_names, sorted(where - packaged_names)
        extra = {name for name in packaged_names - where if not name.startswith('usr/share/doc/polarshift/')}
        assert extra <= {'usr/share/lintian/overrides/polarshift'}, extra
        for name, path in installed.items():
                there = packaged.get(name) or packaged['lib/systemd/system/' + os.path.basename(name)]
                assert content(path)[:4] == b'\x7fELF' or content(path) == content(there), f'{name} is another one in the package'


def test_lintian(package):
        done = subprocess.run(['lintian', '--allow-root', '--fail-on', 'error,warning', '--profile', 'debian', package],
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

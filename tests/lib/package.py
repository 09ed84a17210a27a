# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Debian package, built from this tree, and variants of it."""

import glob
import os
import pathlib
import re
import shutil
import subprocess

TOP = pathlib.Path(__file__).resolve().parents[2]


def source_files():
        """What belongs to the tree: what git knows or would take, else all that is not a build folder; build() cleans the rest."""
        try:
                listed = subprocess.run(['git', '-c', 'safe.directory=*', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
                                        cwd=TOP, check=True, capture_output=True).stdout.decode().split('\0')
        except (OSError, subprocess.CalledProcessError):
                listed = [str(p.relative_to(TOP)) for p in TOP.rglob('*') if not p.relative_to(TOP).parts[0].startswith(('build', 'obj-', '.git', '.pc'))]
        return [name for name in listed if name and (TOP / name).is_file()]


def build(folder):
        """dpkg-buildpackage in a copy of the tree below FOLDER. Returns the path of the package."""
        tree = os.path.join(folder, 'polarshift')
        for name in source_files():
                place = os.path.join(tree, name)
                os.makedirs(os.path.dirname(place), exist_ok=True)
                shutil.copy2(TOP / name, place)
        done = subprocess.run(['dpkg-buildpackage', '--build=binary', '--unsigned-changes'], cwd=tree,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                              env={**os.environ, 'DEB_BUILD_OPTIONS': f'nocheck noautodbgsym parallel={os.cpu_count()}'})
        if done.returncode:
                raise RuntimeError('dpkg-buildpackage:\n' + done.stdout.decode(errors='replace')[-4000:])
        (package,) = glob.glob(f'{folder}/polarshift_*.deb')
        return package


def with_version(package, folder, version):
        """The same package under another version number."""
        unpacked = os.path.join(folder, f'unpacked-{version}')
        result = os.path.join(folder, f'polarshift_{version}.deb')
        subprocess.run(['dpkg-deb', '--raw-extract', package, unpacked], check=True)
        control = os.path.join(unpacked, 'DEBIAN', 'control')
        with open(control, encoding='utf-8') as f:
                text = re.sub(r'^Version: .*$', f'Version: {version}', f.read(), flags=re.M)
        with open(control, 'w', encoding='utf-8') as f:
                f.write(text)
        subprocess.run(['dpkg-deb', '--root-owner-group', '--build', unpacked, result], check=True, capture_output=True)
        return result

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Authorities and certificates for a test, made by openssl.

    ca = Authority(folder, 'company')                       # ca.pem: its certificate
    pem, key = ca.issue('db1', names=['IP:127.0.0.1'])      # paths
    pem, key = ca.issue('old', expired=True)
"""

import subprocess

EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']


def openssl(*arguments):
        subprocess.run(['openssl', *map(str, arguments)], check=True, capture_output=True)


class Authority:
        def __init__(self, folder, name):
                self.folder = folder
                self.name = name
                self.pem = f'{folder}/{name}.pem'
                self.key = f'{folder}/{name}.key'
                openssl('req', '-x509', *EC, '-days', '2', '-subj', f'/CN={name}', '-keyout', self.key, '-out', self.pem)

        def issue(self, name, names=(), expired=False):
                """The paths of a certificate and of its key. NAMES: subject alternative names, like IP:127.0.0.1."""
                base = f'{self.folder}/{self.name}-{name}'
                openssl('req', *EC, '-subj', f'/CN={name}', '-keyout', f'{base}.key', '-out', f'{base}.csr')
                with open(f'{base}.ext', 'w', encoding='ascii') as f:
                        f.write(f'subjectAltName={",".join(names)}\n' if names else 'basicConstraints=CA:FALSE\n')
                openssl('x509', '-req', '-in', f'{base}.csr', '-CA', self.pem, '-CAkey', self.key, '-CAcreateserial',
                        '-days', '-1' if expired else '2', '-extfile', f'{base}.ext', '-out', f'{base}.pem')
                return f'{base}.pem', f'{base}.key'

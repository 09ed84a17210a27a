#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes the seeds of fuzz-binlog and fuzz-value from the fixtures: make-corpus.py FIXTURES CORPUS."""

import os
import sys

fixtures, corpus = sys.argv[1:]
os.makedirs(f'{corpus}/binlog', exist_ok=True)
os.makedirs(f'{corpus}/value', exist_ok=True)
for name in sorted(os.listdir(fixtures)):
        if not name.endswith('.txt'):
                continue
        with open(f'{fixtures}/{name}', encoding='ascii') as f:
                events = [bytes.fromhex(line.split()[1]) for line in f if line.startswith('event')]
        # One seed per table map with the row event behind it, without their checksums.
        table_map, seen = None, set()
        for event in events:
                event = event[:-4]
                pack = len(event).to_bytes(2, 'little') + event
                if event[4] == 19:
                        table_map = pack
                elif event[4] in (2, 15, 33, 162, 165) and event[4] not in seen:
                        seen.add(event[4])
                        with open(f'{corpus}/binlog/{name[:-4]}-{event[4]}', 'wb') as f:
                                f.write(pack)
                elif table_map and event[4] not in seen and event[4] not in (16, 160) and len(event) < 6000:
                        seen.add(event[4])
                        with open(f'{corpus}/binlog/{name[:-4]}-{event[4]}', 'wb') as f:
                                f.write(table_map + pack)

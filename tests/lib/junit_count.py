#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Prints `PASSED FAILED SKIPPED` of a JUnit file, as meson and pytest write it, and each failed test with the end of what it said
on standard error, where tests/run keeps it for its last words. No such file, or one without a test: one failure."""

import sys
import xml.etree.ElementTree as ElementTree


LINES = 25


def ending(case):
        """The last lines of what the test's failure says, without what it captured."""
        for child in case:
                if child.tag in ('failure', 'error'):
                        lines = (child.text or child.get('message') or '').rstrip().splitlines()
                        return '\n'.join(f'  {line[:300]}' for line in lines[-LINES:])
        return ''


def main():
        passed = failed = skipped = 0
        try:
                cases = list(ElementTree.parse(sys.argv[1]).iter('testcase'))
        except (OSError, ElementTree.ParseError) as e:
                print(f'no result: {e}', file=sys.stderr)
                cases = []
        for case in cases:
                kinds = {child.tag for child in case}
                if kinds & {'failure', 'error'}:
                        failed += 1
                        print(f'FAILED {case.get("classname", "")} {case.get("name", "")}\n{ending(case)}', file=sys.stderr)
                elif 'skipped' in kinds:
                        skipped += 1
                else:
                        passed += 1
        if not cases:
                failed = 1
        print(passed, failed, skipped)


main()

#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Prints `PASSED FAILED SKIPPED` of a JUnit file, as meson and pytest write it, and the failed tests' names on standard
error. No such file, or one without a test: one failure."""

import sys
import xml.etree.ElementTree as ElementTree


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
                        print(f'FAILED {case.get("classname", "")} {case.get("name", "")}', file=sys.stderr)
                elif 'skipped' in kinds:
                        skipped += 1
                else:
                        passed += 1
        if not cases:
                failed = 1
        print(passed, failed, skipped)


main()

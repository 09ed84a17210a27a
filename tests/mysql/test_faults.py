# SPDX-License-Identifier: LGPL-2.1-or-later
"""A selection of the fault matrix (tests/lib/faults.py); tests/matrix runs the whole."""

import faults
from faults import Cell


def selection():
        """Each point of a switch with one fault, or of a rollback, by turns; each fault comes up several times."""
        chosen = []
        for n, point in enumerate(faults.points('switch')):
                operation = faults.CHANGES[n % 2]
                possible = [f for f in faults.FAULTS if faults.applies(operation, *point, f)]
                chosen.append(Cell(operation, *point, possible[(7 * n) % len(possible)]))
        return chosen


# Those that a killed agent begins again pass every point of their operation.
ENDINGS = [Cell('complete', 'drain', 'before', 'agent'), Cell('complete', 'source', 'after', 'writer'), Cell('complete', 'ask', 'before', 'reset-both'),
           Cell('cancel', 'destination', 'before', 'agent'), Cell('cancel', 'source', 'after', 'reader')]


def test_fault_matrix():
        outcomes = {}
        with faults.Matrix() as matrix:

                def run(cell):
                        outcomes[cell] = 'FAILED'
                        outcome = matrix.run(cell)
                        outcomes[cell] = outcome.result
                        print(f'{" ".join(cell)}: {outcome.result}, {outcome.seconds:.1f} s')

                def check_points(operation):
                        """The matrix stops at all there are."""
                        passed = [p for p in matrix.failpoints.passed() if p.startswith(f'{operation}.')]
                        assert passed == [f'{operation}.{s}.{w}' for s, w in faults.points(operation) if s not in faults.UNDO]

                try:
                        for cell in selection():
                                run(cell)
                        for operation in faults.CHANGES:
                                matrix.prepare(operation)
                                matrix.failpoints.passed()
                                matrix.shop.operate(operation.capitalize())
                                check_points(operation)
                        for cell in ENDINGS:
                                matrix.failpoints.passed()
                                run(cell)
                                if cell.fault == 'agent':
                                        check_points(cell.operation)
                finally:
                        print(faults.table(outcomes))

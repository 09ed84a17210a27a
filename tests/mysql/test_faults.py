# SPDX-License-Identifier: LGPL-2.1-or-later
"""A selection of the fault matrix (tests/lib/faults.py); tests/matrix runs the whole."""

import time

import faults
import steps
from faults import Cell


def selection():
        """Each point of a switch with one fault, or of a rollback, by turns; each fault comes up several times."""
        chosen = []
        for n, point in enumerate(faults.points('switch')):
                operation = faults.CHANGES[n % 2]
                possible = [f for f in faults.FAULTS if f not in faults.LONG and faults.applies(operation, *point, f)]
                chosen.append(Cell(operation, *point, possible[(7 * n) % len(possible)]))
        return chosen


# Those that a killed agent begins again pass every point of their operation.
ENDINGS = [Cell('complete', 'drain', 'before', 'agent'), Cell('complete', 'source', 'after', 'writer'), Cell('complete', 'ask', 'before', 'reset-both'),
           Cell('cancel', 'destination', 'before', 'agent'), Cell('cancel', 'source', 'after', 'reader')]


# What only a lost packet does, and cuts that outlast the deadline.
CUT = [Cell('switch', 'reverse-start', 'after', 'reset-both'), Cell('rollback', 'drain', 'before', 'cut-both'), Cell('switch', 'commit', 'before', 'cut-reader'),
       Cell('rollback', 'owner', 'after', 'cut-writer'), Cell('switch', 'fence', 'after', 'cut-reader-long'), Cell('rollback', 'drain', 'before', 'cut-writer-long'),
       Cell('switch', 'owner', 'before', 'cut-writer-long'), Cell('complete', 'drain', 'before', 'cut-reader-long')]
HOOK = [Cell('switch', 'fence', 'after', 'agent'), Cell('rollback', 'drain', 'after', 'writer'), Cell('switch', 'owner', 'after', 'agent-twice'),
        Cell('rollback', 'end-position', 'before', 'abort'), Cell('cancel', 'destination', 'before', 'agent')]


def run_all(matrix, cells):
        for cell in cells:
                outcome = matrix.run(cell)
                print(f'{" ".join(cell)}: {outcome.result}, {outcome.seconds:.1f} s')


def test_cut_by_the_kernel():
        with faults.Matrix(cables='namespaces') as matrix:
                run_all(matrix, CUT)


def test_hook():
        with faults.Matrix(fence='hook') as matrix:
                run_all(matrix, HOOK)


def test_new_connection_behind_the_fence():
        """The other side ends all connections and answers no new one: nobody waits for one beyond the deadline."""
        with faults.Matrix() as matrix:
                matrix.prepare('switch')
                point, cable, source = 'switch.flip.before', matrix.cables[1], matrix.pair[0]
                matrix.failpoints.hold(point)
                operation = steps.begin(matrix.shop, 'Switch', {'deadline': faults.DEADLINE})
                matrix.failpoints.wait(point)
                cable.cut()
                cable.reset()
                began = time.monotonic()
                matrix.failpoints.release(point)
                matrix.shop.wait(lambda: source.variable('read_only') == 0, 60, 'the source open again')
                took = time.monotonic() - began
                print(f'open after {took:.1f} s')
                cable.mend()
                assert took < 8         # a connection is waited for for 10 s
                assert matrix.shop.finish(operation, check=False)[:2] == ('undone', 'DeadlineExceeded')


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

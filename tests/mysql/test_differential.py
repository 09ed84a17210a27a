# SPDX-License-Identifier: LGPL-2.1-or-later
"""The differential test, small: three random schemas in one migration, forward and back. `tests/differential` runs more of them, and
runs one seed again."""

import differential
import generate


def run(pair, seeds, **options):
        with differential.Runner(pair=pair) as runner:
                outcome = runner.run(seeds, **options)
        print(outcome)
        return outcome


def test_three_seeds(pair):
        assert run(pair, [1, 2, 3], statements=2000).equal


# What the agent does not carry has a name; see differential.REFUSED.
def test_seeds_that_found_something(pair):
        """29: a key with ON UPDATE CURRENT_TIMESTAMP. 3, 35: FLOAT(M,D). 42: a SET of 64 members as a key. 14: odd geometry."""
        kinds = generate.CARRIED - {'prefix-keys', 'no-key', 'nullable-key', 'collections'}      # which came later, and would make other tables of these seeds
        assert run(pair, [29, 35, 42, 14], statements=800, features=kinds).equal

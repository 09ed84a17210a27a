# SPDX-License-Identifier: LGPL-2.1-or-later
"""What holds for every verb of polarshiftctl, as its --help lists them."""

import itertools
import json
import re

from test_cli import CTL_ERROR, ERROR, agent, ends, shared      # noqa: F401


def all_verbs(agent):
    """[(words, names of arguments)], as --help lists them."""
    lines = ends(agent.run("--help"), 0).stdout.split("Verbs:\n")[1].split("\n\n")[0].splitlines()
    assert len(lines) > 30
    for line in lines:
        words = line.split()
        count = 2 if words[0] == "cluster" else 1
        yield words[:count], list(itertools.takewhile(re.compile(r"\[?[A-Z=.]+\]?|on\|off").fullmatch, words[count:]))


# What a verb asks for beside its arguments.
MORE_WORDS = {"wait": ["--for=created"], "set-credential": ["--password-file=-"], "watch": ["--timeout=1"],
              **dict.fromkeys(["switch", "rollback", "complete", "cancel"], ["--yes"])}
WORDS = {"OPERATION": "switch", "KEY=VALUE...": "apply-threads=4", "SIDE": "source", "URI": "mysql://m@h/", "COUNT": "0", "TITLE": "x", "on|off": "on"}


def test_every_verb_speaks_json(agent):
    """JSON on standard output and nothing else anywhere, whether it is done, fails, is misused, or there is no such migration."""
    done = set()
    for verb, arguments in all_verbs(agent):
        for name in ("shop", "none"):
            agent.reset()
            words = [WORDS.get(argument, name) for argument in arguments if argument[0] != "[" or argument == "[NAME]"]
            result = agent.run(*verb, *words, *MORE_WORDS.get(verb[0], []), "--json=short", input="secret\n")
            answers = [json.loads(line) for line in result.stdout.splitlines()]
            assert len(answers) == 1 and result.stderr == "", (verb, result)
            if verb[0] == "cluster":
                assert result.returncode == 1 and answers[0]["error"]["name"] == ERROR + "NotSupported"
            elif name == "none" and name in words and verb[0] not in ("create", "set-credential", "remove-credential"):
                assert result.returncode == 5 and answers[0]["error"]["name"] == ERROR + "NoSuchMigration", (verb, result)
            elif result.returncode == 0:
                done.add(verb[0])
        result = ends(agent.run(*verb, "--nonsense", "--json=short"), 2)
        assert json.loads(result.stdout)["error"]["name"] == CTL_ERROR + "Usage" and result.stderr == "", verb
    # There is nothing to abort, and a watch ends by its time-out.
    assert {verb[0] for verb, _ in all_verbs(agent)} - done == {"abort", "watch", "cluster"}


def test_help(agent):
    for words, _ in all_verbs(agent):
        assert "Example:\n  polarshiftctl " + " ".join(words) in ends(agent.run(*words, "--help"), 0).stdout
    assert agent.run("--version").stdout.startswith("polarshiftctl ")

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls every method and sets every property that introspection shows, with random arguments of the right and of wrong types.

    fuzz_calls.py ADDRESS SEED COUNT

Prints one JSON object: how often which answer came. Ends with 1 when an answer did not come at all."""

import collections
import json
import os
import random
import sys
import xml.etree.ElementTree as ET

import dbus
import dbus.lowlevel

NAME = "org.polarshift1"
PATHS = ["/org/polarshift1", "/org/polarshift1/migration/m1", "/org/polarshift1/migration/m2", "/org/freedesktop/LogControl1"]
ODD_PATHS = ["/", "/org/polarshift1/migration", "/org/polarshift1/migration/_", "/org/polarshift1/migration/m1/x", "/org/polarshift1/cluster/c1",
             "/org/polarshift1/migration/_2e_2e_2fm1", "/org/polarshift1/migration/" + "a" * 200]
WORDS = ["", "m1", "m2", "shop", "../../etc/passwd", "a" * 49, "a" * 60000, "%s%n%x", "m1\n\t\x1b[31m", "\u202em1", "☃", "polarshift-key",
         "mysql://agent@db1/?ssl-mode=disabled", "mysql://u:p@h/", "mysql://" + "h," * 500, "source", "destination", "Switch", "Rollback",
         "retry", "[Agent]", "{}", "debug", "org.polarshift1.Migration", "Phase", "`a`.`b`", "*.*"]
KEYS = ["source", "destination", "max-delay", "deadline", "confirm-within", "kill-sessions", "expected-generation", "ddl", "copy-threads",
        "apply-threads", "max-source-load", "max-copy-rate", "expire-after", "include", "exclude", "unfit", "fence", "verify", "disable-binlog",
        "create-type", "cluster", "create-cluster", "allow-list", "source-ca", "destination-key", "source-credential", "", "x" * 300]
NUMBERS = {"y": 8, "n": -16, "q": 16, "i": -32, "u": 32, "x": -64, "t": 64}
SIMPLE = "sssstudbix"


class Fuzz:
    def __init__(self, address, seed):
        self.bus = dbus.bus.BusConnection(address)
        self.rng = random.Random(seed)
        self.answers = collections.Counter()
        self.lost = 0
        self.file = open(os.devnull, "rb")

    def number(self, kind):
        bits = NUMBERS[kind]
        low, high = (-(1 << -bits - 1), (1 << -bits - 1) - 1) if bits < 0 else (0, (1 << bits) - 1)
        return self.rng.choice([low, high, max(low, -1), 0, 1, 2, 3, 30, 60, self.rng.randint(low, high)])

    def value(self, signature):
        """One complete type."""
        kind = signature[0]
        if kind in NUMBERS:
            return self.number(kind)
        if kind == "b":
            return self.rng.random() < 0.5
        if kind == "d":
            return self.rng.choice([0.0, -1.0, 0.5, 30.0, 1e308, -1e308, float("nan"), float("inf"), -0.0, 1e-310])
        if kind == "s":
            return self.rng.choice(WORDS)
        if kind == "o":
            return dbus.ObjectPath(self.rng.choice(PATHS + ODD_PATHS))
        if kind == "g":
            return dbus.Signature(self.rng.choice(["", "s", "a{sv}", "(tsssst)"]))
        if kind == "h":
            return dbus.types.UnixFd(self.file)
        if kind == "v":
            return self.variant(2)
        if signature.startswith("a{sv}"):
            return self.options()
        if kind == "a":
            return dbus.Array([self.value(signature[1:]) for _ in range(self.rng.choice([0, 1, 3, 200]))], signature=signature[1:])
        raise ValueError(signature)

    def variant(self, depth=1):
        kind = self.rng.choice(SIMPLE + "v" * (depth > 0) + "a")
        if kind == "v":
            return dbus.Array([self.variant(depth - 1)], signature="v")
        if kind == "a":
            return dbus.Array([self.rng.choice(WORDS) for _ in range(self.rng.choice([0, 1, 50]))], signature="s")
        types = {"s": dbus.String, "t": dbus.UInt64, "u": dbus.UInt32, "d": dbus.Double, "b": dbus.Boolean, "i": dbus.Int32, "x": dbus.Int64}
        return types[kind](self.value(kind))

    def options(self):
        return dbus.Dictionary({self.rng.choice(KEYS): self.variant() for _ in range(self.rng.choice([0, 0, 1, 2, 5]))}, signature="sv")

    def split(self, signature):
        """Complete types of a signature of arguments."""
        while signature:
            end = 5 if signature.startswith("a{sv}") else 2 if signature[0] == "a" else 1
            yield signature[:end]
            signature = signature[end:]

    def members(self):
        found = []
        for path in PATHS:
            text = self.bus.call_blocking(NAME, path, "org.freedesktop.DBus.Introspectable", "Introspect", "", ())
            for interface in ET.fromstring(text).findall("interface"):
                for method in interface.findall("method"):
                    found.append((path, interface.get("name"), method.get("name"),
                                  "".join(a.get("type") for a in method.findall("arg") if a.get("direction") != "out")))
                for prop in interface.findall("property"):
                    found.append((path, interface.get("name"), "Set " + prop.get("name"), prop.get("type")))
        return found

    def message(self, path, interface, member, signature):
        if member.startswith("Set "):
            message = dbus.lowlevel.MethodCallMessage(NAME, path, "org.freedesktop.DBus.Properties", "Set")
            message.append(interface, member[4:], self.variant(), signature="ssv")
            return message
        if self.rng.random() < 0.1:
            signature = self.rng.choice(["", "s", "t", "a{sv}", "a{sv}t", "sa{sv}t", "v", "ssa{sv}t", signature * 2])
        if self.rng.random() < 0.05:
            path = self.rng.choice(ODD_PATHS)
        message = dbus.lowlevel.MethodCallMessage(NAME, path, interface, member)
        arguments = [self.value(s) for s in self.split(signature)]
        if arguments:
            message.append(*arguments, signature=signature)
        return message

    def run(self, count):
        members = self.members()
        assert len(members) > 40
        for i in range(count):
            # each of them at least once, in the first rounds
            message = self.message(*(members[i] if i < len(members) else self.rng.choice(members)))
            try:
                self.bus.send_message_with_reply_and_block(message, 60)
                self.answers["answered"] += 1
                if message.get_member() not in ("Get", "GetAll", "Introspect", "Ping", "GetMachineId"):
                    self.answers["answered " + message.get_member()] += 1
            except dbus.DBusException as error:
                name = error.get_dbus_name()
                self.answers[name] += 1
                self.lost += name.endswith((".NoReply", ".Disconnected", ".ServiceUnknown", ".NameHasNoOwner"))
        print(json.dumps(self.answers))
        return 1 if self.lost else 0


if __name__ == "__main__":
    sys.exit(Fuzz(sys.argv[1], int(sys.argv[2])).run(int(sys.argv[3])))

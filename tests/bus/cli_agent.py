#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A stand-in for the agent: the Manager and migrations with the contract's signatures, and a control interface at
/mock by which a test says how operations end and reads what was called. It knows nothing of servers."""

import json
import os
import sys

import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

NAME = "org.polarshift1"
ERROR = "org.polarshift1.Error."
MANAGER = "org.polarshift1.Manager"
MIGRATION = "org.polarshift1.Migration"
MOCK = "org.polarshift1.Mock"
PROPERTIES = "org.freedesktop.DBus.Properties"


class Failure(dbus.DBusException):
    def __init__(self, name, message):
        super().__init__(message)
        self._dbus_error_name = name


def plain(value):
    """A call's argument with the D-Bus type it came with."""
    if isinstance(value, dbus.Dictionary):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, dbus.Array):
        return [plain(v) for v in value]
    for kind, letter in ((dbus.Boolean, "b"), (dbus.UInt32, "u"), (dbus.UInt64, "t"), (dbus.Double, "d"),
                         (dbus.String, "s"), (dbus.Int32, "i"), (dbus.Int64, "x")):
        if isinstance(value, kind):
            number = bool(value) if letter == "b" else float(value) if letter == "d" else \
                str(value) if letter == "s" else int(value)
            return [letter, number]
    return str(value)


class World:
    def __init__(self, bus):
        self.bus = bus
        self.reset()

    def reset(self):
        for migration in getattr(self, "migrations", {}).values():
            migration.remove_from_connection()
        self.migrations = {}
        self.calls = []
        self.errors = {}      # method -> [error name, message]
        self.results = {}     # operation -> [result, error name, message]; "hang" = by Finish only
        self.last_id = 6
        self.checks = [("binlog-format", "ok", "ROW", ""), ("charset", "warning", "odd", "look")]
        self.report = json.dumps({"migration": "shop", "tables": [{"name": "a<b>&\"", "rows": 3}], "equal": True})
        self.history = [{"at": 1700000000000000, "event": "created", "message": "by uid 0"},
                        {"at": 1700000001000000, "event": "started", "message": "evil \x1b[31m text"}]
        self.plan = {"operation": "switch", "steps": ["fence", "drain"], "delay": 0.5}
        self.credentials = ["shop.source"]

    def call(self, method, *arguments):
        self.calls.append([method] + [plain(a) for a in arguments])
        if method in self.errors:
            raise Failure(*self.errors[method])

    def add(self, name):
        self.migrations[name] = Migration(self, name)
        return self.migrations[name]


class Manager(dbus.service.Object):
    def __init__(self, world):
        self.world = world
        super().__init__(world.bus, "/org/polarshift1")

    @dbus.service.method(MANAGER, in_signature="sa{sv}t", out_signature="o")
    def CreateMigration(self, name, options, flags):
        self.world.call("CreateMigration", name, options, flags)
        if flags & 1:
            return "/"
        if name in self.world.migrations:
            raise Failure(ERROR + "AlreadyExists", "Migration %s exists." % name)
        return self.world.add(str(name) or "migration-0a1b2c").path

    @dbus.service.method(MANAGER, in_signature="s", out_signature="o")
    def GetMigration(self, name):
        if name not in self.world.migrations:
            raise Failure(ERROR + "NoSuchMigration", "There is no migration %s; see ListMigrations." % name)
        return self.world.migrations[name].path

    @dbus.service.method(MANAGER, out_signature="a(sso)")
    def ListMigrations(self):
        return [(n, m.properties["Phase"], m.path) for n, m in self.world.migrations.items()]

    @dbus.service.method(MANAGER, in_signature="s", out_signature="o")
    def GetCluster(self, name):
        raise Failure(ERROR + "NotSupported", "Clusters are not there yet.")

    @dbus.service.method(MANAGER, out_signature="a(sso)")
    def ListClusters(self):
        raise Failure(ERROR + "NotSupported", "Clusters are not there yet.")

    @dbus.service.method(MANAGER, in_signature="sa{sv}t", out_signature="o")
    def CreateCluster(self, name, options, flags):
        raise Failure(ERROR + "NotSupported", "Clusters are not there yet.")

    @dbus.service.method(MANAGER, in_signature="sha{sv}t")
    def SetCredential(self, name, fd, options, flags):
        with os.fdopen(fd.take(), "rb") as stream:
            secret = stream.read().decode()
        self.world.call("SetCredential", name, dbus.String(secret), options, flags)

    @dbus.service.method(MANAGER, in_signature="sa{sv}t")
    def RemoveCredential(self, name, options, flags):
        self.world.call("RemoveCredential", name, options, flags)

    @dbus.service.method(MANAGER, out_signature="as")
    def ListCredentials(self):
        self.world.call("ListCredentials")
        return self.world.credentials

    @dbus.service.method(MANAGER, out_signature="a{ss}")
    def GetPermissions(self):
        return {"org.polarshift1.switch": "challenge", "org.polarshift1.inspect": "yes"}


class Migration(dbus.service.Object):
    def __init__(self, world, name):
        self.world = world
        self.name = name
        self.path = "/org/polarshift1/migration/" + "".join(
            c if c.isalnum() else "_%02x" % ord(c) for c in name)
        self.properties = {
            "Name": dbus.String(name), "Phase": dbus.String("created"), "PhaseReason": dbus.String(""),
            "Source": dbus.String("db1:3306"), "Destination": dbus.String("db2:3306"),
            "SourceReadWriteStatus": dbus.String("read-write"), "DestinationReadWriteStatus": dbus.String("read-only"),
            "Paused": dbus.Boolean(False), "Generation": dbus.UInt64(3),
            "AllowedActions": dbus.Array(["Start", "Cancel"], signature="s"),
            "Operation": dbus.String(""), "OperationStep": dbus.String(""), "OperationId": dbus.UInt64(0),
            "LastOperation": dbus.Struct((dbus.UInt64(0), "", "", "", "", dbus.UInt64(0)), signature="tsssst"),
            "LastError": dbus.Struct(("", ""), signature="ss"),
            "ReplicationState": dbus.String("stopped"), "ReplicationDirection": dbus.String("none"),
            "ReplicationDelay": dbus.Double(-1), "Progress": dbus.Double(0.25),
            "BytesCopied": dbus.UInt64(1 << 30), "BytesTotal": dbus.UInt64(4 << 30),
            "WriteInterruption": dbus.Double(0.123), "VerificationState": dbus.String("none"),
        }
        super().__init__(world.bus, self.path)

    @dbus.service.method(PROPERTIES, in_signature="s", out_signature="a{sv}")
    def GetAll(self, interface):
        return self.properties

    @dbus.service.signal(PROPERTIES, signature="sa{sv}as")
    def PropertiesChanged(self, interface, changed, invalidated):
        pass

    @dbus.service.signal(MIGRATION, signature="tssss")
    def OperationFinished(self, id, operation, result, error_name, error_message):
        pass

    def set(self, **changed):
        self.properties.update(changed)
        self.PropertiesChanged(MIGRATION, changed, [])

    def begin(self, operation):
        self.world.last_id += 1
        id = self.world.last_id
        self.set(Operation=dbus.String(operation), OperationId=dbus.UInt64(id), OperationStep=dbus.String("guard"))
        end = self.world.results.get(operation, ["done", "", ""])
        if end != "hang":
            GLib.timeout_add(30, self.finish, *end)
        return id

    def finish(self, result, name="", message=""):
        operation, id = self.properties["Operation"], self.properties["OperationId"]
        self.set(Operation=dbus.String(""), OperationId=dbus.UInt64(0), OperationStep=dbus.String(""),
                 LastOperation=dbus.Struct((dbus.UInt64(id), operation, result, name, message,
                                            dbus.UInt64(1700000000000000)), signature="tsssst"))
        self.OperationFinished(id, operation, result, name, message)
        return False

    @dbus.service.method(MIGRATION, out_signature="ta(ssss)")
    def GetChecks(self):
        self.world.call("GetChecks")
        return dbus.UInt64(1700000000000000), dbus.Array(self.world.checks, signature="(ssss)")

    @dbus.service.method(MIGRATION, in_signature="sa{sv}t", out_signature="s")
    def Plan(self, operation, options, flags):
        self.world.call("Plan", operation, options, flags)
        return json.dumps(self.world.plan)

    @dbus.service.method(MIGRATION, out_signature="s")
    def GetPlan(self):
        return json.dumps(dict(self.world.plan, dry_run=True))

    @dbus.service.method(MIGRATION, out_signature="s")
    def GetReport(self):
        return self.world.report

    @dbus.service.method(MIGRATION, in_signature="t", out_signature="s")
    def GetHistory(self, since):
        return json.dumps([e for e in self.world.history if e["at"] >= since])

    @dbus.service.method(MIGRATION, in_signature="ta{sv}t")
    def Abort(self, operation, options, flags):
        self.world.call("Abort", operation, options, flags)
        GLib.timeout_add(30, self.finish, "canceled", "", "")

    @dbus.service.method(MIGRATION, in_signature="ta{sv}t")
    def AcknowledgeForeignWrites(self, count, options, flags):
        self.world.call("AcknowledgeForeignWrites", count, options, flags)

    @dbus.service.method(MIGRATION, in_signature="ssa{sv}t")
    def SetEndpoint(self, side, uri, options, flags):
        self.world.call("SetEndpoint", side, uri, options, flags)


def add_method(name, operation):
    def run(self, options, flags):
        self.world.call(name, options, flags)
        if operation:
            return self.begin(name.lower())
    run.__name__ = name
    decorate = dbus.service.method(MIGRATION, in_signature="a{sv}t", out_signature="t" if operation else "")
    setattr(Migration, name, decorate(run))
    table = Migration._dbus_class_table[Migration.__module__ + ".Migration"]
    table[MIGRATION][name] = getattr(Migration, name)


for method in ("Check", "Start", "Verify", "Repair", "Switch", "Rollback", "Complete", "Cancel"):
    add_method(method, True)
for method in ("Pause", "Resume", "Confirm", "SetLimits", "Remove"):
    add_method(method, False)


class Mock(dbus.service.Object):
    def __init__(self, world):
        self.world = world
        super().__init__(world.bus, "/mock")

    @dbus.service.method(MOCK, in_signature="s")
    def Reset(self, settings):
        self.world.reset()
        for key, value in json.loads(settings).items():
            setattr(self.world, key, value)

    @dbus.service.method(MOCK, in_signature="s")
    def Add(self, name):
        self.world.add(str(name))

    @dbus.service.method(MOCK, in_signature="sss")
    def SetString(self, migration, name, value):
        self.world.migrations[migration].set(**{str(name): value})

    @dbus.service.method(MOCK, in_signature="sss")
    def SetError(self, migration, name, message):
        self.world.migrations[migration].set(LastError=dbus.Struct((name, message), signature="ss"))

    @dbus.service.method(MOCK, in_signature="sst")
    def SetNumber(self, migration, name, value):
        self.world.migrations[migration].properties[str(name)] = dbus.UInt64(value)

    @dbus.service.method(MOCK, in_signature="sts")
    def SetLast(self, migration, id, result):
        self.world.migrations[migration].properties["LastOperation"] = dbus.Struct(
            (id, "switch", result, "", "", dbus.UInt64(1)), signature="tsssst")

    @dbus.service.method(MOCK, in_signature="sss")
    def Finish(self, migration, result, name):
        self.world.migrations[migration].finish(str(result), str(name), "because" if name else "")

    @dbus.service.method(MOCK, out_signature="s")
    def Calls(self):
        return json.dumps(self.world.calls)


def main():
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    bus = dbus.bus.BusConnection(os.environ["DBUS_SYSTEM_BUS_ADDRESS"])
    world = World(bus)
    objects = [Manager(world), Mock(world)]
    if len(sys.argv) > 1:  # restarted: this migration was there before, and its switch ended while we were away
        world.add("shop").properties["LastOperation"] = dbus.Struct(
            (dbus.UInt64(int(sys.argv[1])), "switch", sys.argv[2], "", "", dbus.UInt64(1)), signature="tsssst")
    name = dbus.service.BusName(NAME, bus)
    print("ready", flush=True)
    GLib.MainLoop().run()
    return objects, name


if __name__ == "__main__":
    main()

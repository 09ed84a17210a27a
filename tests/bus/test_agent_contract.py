# SPDX-License-Identifier: LGPL-2.1-or-later
"""The bus interface against what the contract and dbus/*.xml say, and from other clients' command lines."""

import os
import re
import subprocess
import xml.etree.ElementTree as ET

import dbus
import pytest

from conftest import PATH, TOP

MANAGER = {
    "CreateMigration": ("sa{sv}t", "o"), "GetMigration": ("s", "o"), "ListMigrations": ("", "a(sso)"),
    "CreateCluster": ("sa{sv}t", "o"), "GetCluster": ("s", "o"), "ListClusters": ("", "a(sso)"),
    "SetCredential": ("sha{sv}t", ""), "RemoveCredential": ("sa{sv}t", ""), "ListCredentials": ("", "as"),
    "GetPermissions": ("", "a{ss}"),
}
MIGRATION = {
    "Check": ("a{sv}t", "t"), "GetChecks": ("", "ta(ssss)"), "Start": ("a{sv}t", "t"), "Pause": ("a{sv}t", ""),
    "Resume": ("a{sv}t", ""), "Verify": ("a{sv}t", "t"), "Repair": ("a{sv}t", "t"), "Plan": ("sa{sv}t", "s"),
    "GetPlan": ("", "s"), "Switch": ("a{sv}t", "t"), "Confirm": ("a{sv}t", ""), "Rollback": ("a{sv}t", "t"),
    "Complete": ("a{sv}t", "t"), "Cancel": ("a{sv}t", "t"), "Abort": ("ta{sv}t", ""),
    "AcknowledgeForeignWrites": ("ta{sv}t", ""), "SetLimits": ("a{sv}t", ""), "SetEndpoint": ("ssa{sv}t", ""),
    "GetReport": ("", "s"), "GetHistory": ("t", "s"), "Remove": ("a{sv}t", ""),
}
CONST = {"Name": "s", "CreateType": "s", "CreatedAt": "t", "CreatedByUID": "u"}
POLLED = {"Progress": "d", "BytesCopied": "t", "BytesTotal": "t", "RowsCopied": "t", "RowsTotal": "t",
          "TransactionsApplied": "t", "RowsApplied": "t", "EstimatedEnd": "t"}
CHANGING = {
    "Source": "s", "Destination": "s", "Phase": "s", "PhaseReason": "s", "Paused": "b", "Generation": "t",
    "AllowedActions": "as", "Operation": "s", "OperationStep": "s", "OperationId": "t", "LastOperation": "(tsssst)",
    "SourceReadWriteStatus": "s", "DestinationReadWriteStatus": "s", "ReadWriteStatus": "s", "ReplicationState": "s",
    "ReplicationDirection": "s", "ReplicationDelay": "d", "LastError": "(ss)", "VerificationState": "s", "VerifiedAt": "t",
    "WriteInterruption": "d", "ReverseProven": "b", "ForeignWrites": "t", "ExpiresAt": "t", "ConfirmBy": "t",
}


def introspect(agent, path, name):
    text = agent.call("Introspect", path=path, interface="org.freedesktop.DBus.Introspectable")
    return next(i for i in ET.fromstring(text).findall("interface") if i.get("name") == name)


def signatures(interface):
    return {m.get("name"): tuple("".join(a.get("type") for a in m.findall("arg") if a.get("direction") == d)
                                 for d in ("in", "out")) for m in interface.findall("method")}


def emits(prop):
    for a in prop.findall("annotation"):
        if a.get("name") == "org.freedesktop.DBus.Property.EmitsChangedSignal":
            return a.get("value")
    return "true"


def test_contract(agent):
    path = agent.create()
    assert signatures(introspect(agent, PATH, "org.polarshift1.Manager")) == MANAGER
    migration = introspect(agent, path, "org.polarshift1.Migration")
    assert signatures(migration) == MIGRATION
    properties = {p.get("name"): (p.get("type"), emits(p), p.get("access")) for p in migration.findall("property")}
    expected = {n: (t, e, "read") for group, e in ((CONST, "const"), (POLLED, "false"), (CHANGING, "true"))
                for n, t in group.items()}
    assert properties == expected
    (signal,) = migration.findall("signal")
    assert signal.get("name") == "OperationFinished"
    assert [(a.get("type"), a.get("name")) for a in signal.findall("arg")] == [
        ("t", "id"), ("s", "operation"), ("s", "result"), ("s", "error_name"), ("s", "error_message")]
    everything = agent.migration().all()
    assert set(everything) == set(expected)


@pytest.mark.parametrize("name", ["Manager", "Migration"])
def test_xml(agent, name):
    """The files that are installed are what the agent answers."""
    path = agent.create()
    interface = introspect(agent, PATH if name == "Manager" else path, f"org.polarshift1.{name}")
    node = ET.Element("node")
    node.append(interface)
    ET.indent(node, " ")
    text = ("<!DOCTYPE node PUBLIC \"-//freedesktop//DTD D-BUS Object Introspection 1.0//EN\"\n"
            " \"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd\">\n"
            "<!-- SPDX-License-Identifier: LGPL-2.1-or-later -->\n" + ET.tostring(node, encoding="unicode") + "\n")
    file = TOP / f"dbus/org.polarshift1.{name}.xml"
    if os.environ.get("UPDATE_XML"):
        file.write_text(text)
    assert file.read_text() == text


def test_manager_properties(agent):
    def get(name):
        return agent.call("Get", "ss", "org.polarshift1.Manager", name, interface="org.freedesktop.DBus.Properties")
    assert re.fullmatch(r"\d+\.\d+\.\d+", get("Version"))
    assert "migrate" in get("Features")


def test_permissions_of_the_privileged(agent):
    permissions = agent.call("GetPermissions")
    assert set(permissions) == {"org.polarshift1." + a for a in
                                ("inspect", "manage", "set-credential", "switch", "rollback", "complete", "destroy")}
    assert set(permissions.values()) == {"yes"}


def run(agent, *command):
    return subprocess.run(command, env=dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=agent.bus.address), capture_output=True, text=True,
                          timeout=20)


def test_busctl(agent):
    options = ["3", "source", "s", "mysql://a@h1/?ssl-mode=disabled", "destination", "s", "mysql://a@h2/?ssl-mode=disabled",
               "max-delay", "u", "30"]
    r = run(agent, "busctl", "--timeout=120", "call", "org.polarshift1", PATH, "org.polarshift1.Manager", "CreateMigration",
            "sa{sv}t", "shop", *options, "0")
    assert r.returncode == 0 and r.stdout == 'o "/org/polarshift1/migration/shop"\n', r.stderr
    r = run(agent, "busctl", "get-property", "org.polarshift1", "/org/polarshift1/migration/shop", "org.polarshift1.Migration",
            "Phase", "LastOperation")
    assert r.stdout == 's "created"\n(tsssst) 0 "" "" "" "" 0\n'
    r = run(agent, "busctl", "introspect", "org.polarshift1", "/org/polarshift1/migration/shop")
    assert r.returncode == 0 and ".AllowedActions" in r.stdout
    r = run(agent, "busctl", "tree", "org.polarshift1")
    assert "/org/polarshift1/migration/shop" in r.stdout
    r = run(agent, "busctl", "--timeout=120", "call", "org.polarshift1", "/org/polarshift1/migration/shop",
            "org.polarshift1.Migration", "Switch", "a{sv}t", "0", "0")
    assert r.returncode != 0 and "phase created" in r.stderr


def test_gdbus(agent, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    base = ["gdbus", "call", f"--address={agent.bus.address}", "-t", "120", "-d", "org.polarshift1"]
    r = run(agent, *base, "-o", PATH, "-m", "org.polarshift1.Manager.CreateMigration", "shop",
            "{'source': <'mysql://a@h1/?ssl-mode=disabled'>, 'destination': <'mysql://a@h2/?ssl-mode=disabled'>, 'max-delay': <30>}",
            "0")
    assert r.returncode == 0 and "/org/polarshift1/migration/shop" in r.stdout, r.stderr
    with open(secret, encoding="utf-8") as stream:
        r = subprocess.run([*base, "-o", PATH, "-m", "org.polarshift1.Manager.SetCredential", "shop.source", "0", "{}", "0"],
                           stdin=stream, capture_output=True, text=True, timeout=20)
    assert r.returncode == 0, r.stderr
    assert (agent.state / "credentials/shop.source").read_text() == "hunter2"
    r = run(agent, *base, "-o", "/org/polarshift1/migration/shop", "-m", "org.polarshift1.Migration.Nonsense")
    assert r.returncode != 0


def test_log_control(agent):
    def props(method, *args):
        return agent.call(method, "ss" if method == "Get" else "ssv", "org.freedesktop.LogControl1", *args,
                          path="/org/freedesktop/LogControl1", interface="org.freedesktop.DBus.Properties")
    assert props("Get", "LogLevel") == "info" and props("Get", "SyslogIdentifier") == "polarshiftd"
    assert props("Get", "LogTarget") == "console"
    props("Set", "LogLevel", dbus.String("debug", variant_level=1))
    assert props("Get", "LogLevel") == "debug"
    with pytest.raises(dbus.DBusException):
        props("Set", "LogLevel", dbus.String("loud", variant_level=1))


def test_message_ids_and_catalog():
    header = (TOP / "daemon/base/message-ids.h").read_text()
    ids = dict(re.findall(r'#define MESSAGE_ID_(\w+) "([0-9a-f]{32})"', header))
    assert len(set(ids.values())) == len(ids)
    catalog = (TOP / "units/polarshift.catalog").read_text()
    entries = re.findall(r"^-- ([0-9a-f]{32})$", catalog, re.M)
    assert sorted(entries) == sorted(ids.values())
    assert all(len(line) <= 100 for line in catalog.splitlines())
    events = re.findall(r"^        ENGINE_EVENT_(\w+),", (TOP / "daemon/engine/event.h").read_text(), re.M)
    assert {"EVENT_" + e for e in events} == {i for i in ids if i.startswith("EVENT_")}


def test_errors_of_the_contract():
    header = (TOP / "daemon/base/error.c").read_text()
    table = (TOP / "daemon/bus-error.c").read_text()
    for name in re.findall(r'"(\w+)"', header):
        if name not in ("Failed", "Stopped", "LimitsExceeded", "AccessDenied"):
            assert f'NAME("{name}")' in table


def test_polkit_policy_has_the_actions():
    policy = ET.parse(TOP / "polkit/org.polarshift1.policy").getroot()
    actions = {a.get("id"): a for a in policy.findall("action")}
    assert set(actions) == {"org.polarshift1." + a for a in
                            ("inspect", "manage", "set-credential", "switch", "rollback", "complete", "destroy")}
    for name, action in actions.items():
        defaults = {d.tag: d.text for d in action.find("defaults")}
        keep = name.rsplit(".", 1)[1] in ("inspect", "manage")
        assert defaults == {"allow_any": "auth_admin", "allow_inactive": "auth_admin",
                            "allow_active": "auth_admin_keep" if keep else "auth_admin"}
        assert action.find("annotate").text == "unix-user:polarshift"

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The life of a migration over the bus."""

import json
import os
import time

import dbus
import pytest

from conftest import ERROR, URIS, refused, wait_until


def test_life(agent):
    path = agent.create()
    assert path == "/org/polarshift1/migration/m1"
    m = agent.migration()
    assert m.get("Phase") == "created"
    assert m.get("Source") == "db1:3306" and m.get("Destination") == "db2:3307"
    assert m.get("CreatedByUID") == os.getuid()
    m.synchronize()
    assert m.get("ExpiresAt") > time.time() * 1e6
    m.verify()
    assert m.get("VerificationState") == "equal"
    m.switch()
    assert m.get("ReadWriteStatus") == "read-write" and m.get("SourceReadWriteStatus") == "read-only"
    assert m.get("ReplicationDirection") == "reverse"
    assert abs(m.get("WriteInterruption") - 0.123) < 1e-9
    m.verify()
    m.wait_finished(m.Rollback())
    assert m.get("Phase") == "synchronizing"
    m.verify()
    m.switch()
    operation = m.Complete()
    m.wait("Phase", "completed")
    assert m.Complete() == operation, "the earlier id"
    assert m.get("AllowedActions") == ["Remove"]
    assert json.loads(m.GetReport())
    m.Remove()
    with refused("NoSuchMigration"):
        agent.migration()
    assert not (agent.state / "migrations/m1").exists()
    assert agent.call("ListMigrations") == []


def test_made_up_name(agent):
    path = agent.create("")
    assert path.startswith("/org/polarshift1/migration/migration_2d")
    ((name, phase, listed),) = agent.call("ListMigrations")
    assert phase == "created" and listed == path and len(name) == len("migration-") + 6


def test_validate_only(agent):
    assert agent.create(flags=1) == "/"
    assert agent.call("ListMigrations") == []
    with refused("InvalidOption"):
        agent.create(flags=1, source="nonsense")


@pytest.mark.parametrize("options", [
    {"source": "mysql://agent:secret@db1/?ssl-mode=disabled"}, {"source": "http://x"}, {"source": "mysql://agent@db1/"},
    {"nonsense": "1"}, {"max-delay": 61.0}, {"max-delay": 0.0}, {"max-delay": "1"}, {"expire-after": 0},
    {"copy-threads": -1}, {"copy-threads": "4"}, {"fence": "x"}, {"verify": "x"}, {"unfit": "x"}, {"create-type": "x"},
    {"include": "db"}, {"include": ["a.b.c"]}, {"include": ["`a"]}, {"source-credential": "A"}, {"source-cert": "cert"},
    {"allow-list": "10.0.0.0/8"}, {"allow-list": ["10.0.0.1/8"]}, {"allow-list": ["db1"]}, {"allow-list": ["10.0.0.1"] * 1025},
    {"destination": URIS["source"]}, {"source": dbus.ObjectPath("/x")}, {"cluster": 1}, {"create-cluster": "x"},
])
def test_invalid_option(agent, options):
    with refused("InvalidOption") as what:
        agent.create(**options)
    assert "secret" not in what.message and "secret" not in agent.log()
    assert not list((agent.state / "migrations").iterdir())


@pytest.mark.parametrize("options", [
    {"cluster": "c"},
    {"create-cluster": dbus.Dictionary({"engine": "mariadb"}, signature="sv")},
])
def test_not_supported(agent, options):
    with refused("NotSupported"):
        agent.create(**options)


@pytest.mark.parametrize("name", ["M", "1a", "a.b", "a" * 49, "a/b", "ä", " "])
def test_invalid_name(agent, name):
    with refused("InvalidOption"):
        agent.create(name)


def test_integer_types(agent):
    agent.create("a", **{"copy-threads": dbus.Byte(3), "max-delay": dbus.Int32(30), "expire-after": dbus.Int64(60),
                         "max-source-load": dbus.UInt16(7), "max-copy-rate": dbus.Int16(5), "include": ["shop", "`a.b`.t*"]})
    request = json.loads((agent.state / "migrations/a/state.json").read_text())["request"]
    assert request["copy-threads"] == 3 and request["max-delay"] == 30 and request["expire-after"] == 60
    assert request["include"] == ["shop", "`a.b`.t*"]


def test_allow_list(agent):
    agent.create("a", **{"allow-list": ["10.0.0.0/8", "2001:DB8::/32", "10.0.0.0/8", "192.0.2.1"]})
    request = json.loads((agent.state / "migrations/a/state.json").read_text())["request"]
    assert request["allow-list"] == ["10.0.0.0/8", "2001:db8::/32", "192.0.2.1"]
    with refused("InvalidOption") as what:
        agent.create("b", **{"allow-list": ["10.0.0.0/8", "10.0.0.1/8"]})
    assert "'10.0.0.1/8'" in what.message


def test_names_are_unique(agent):
    agent.create()
    with refused("AlreadyExists"):
        agent.create()


def test_clusters(agent):
    with refused("NotSupported"):
        agent.call("CreateCluster", "sa{sv}t", "c", dbus.Dictionary({}, signature="sv"), 0)
    with refused("NotSupported"):
        agent.call("GetCluster", "s", "c")
    with refused("NotSupported"):
        agent.call("ListClusters")


def test_flags_and_options(agent):
    agent.create()
    m = agent.migration()
    for call in (m.Check, m.Start, m.Pause, m.Resume, m.Verify, m.Repair, m.Switch, m.Confirm, m.Rollback, m.Complete, m.Cancel,
                 m.SetLimits, m.Remove):
        with refused("InvalidOption"):
            call(flags=1 << 40)
        with refused("InvalidOption"):
            call(nonsense=1)
    for options in ({"max_delay": 0}, {"max_delay": 61}, {"deadline": -1}, {"deadline": "x"}, {"confirm_within": -1},
                    {"expected_generation": -1}, {"expected_generation": 1.5}, {"kill_sessions": 1}):
        with refused("InvalidOption"):
            m.Switch(**options)
    with refused("InvalidOption"):
        m.Cancel(disable_binlog=True)
    with refused("InvalidOption"):
        m.Plan("nonsense")
    with refused("InvalidOption"):
        m.Resume(ddl="nonsense")


def test_phases(agent):
    agent.create()
    m = agent.migration()
    for call in (m.Verify, m.Repair, m.Switch, m.Rollback, m.Complete, m.Pause, m.Resume, m.Confirm):
        with refused("InvalidPhase"):
            call()
    with refused("InvalidPhase"):
        m.SetEndpoint("source", URIS["source"])
    m.wait_finished(m.Check())
    at, rows = m.GetChecks()
    assert at > 0 and [(str(r[0]), str(r[1])) for r in rows] == [("binlog-format", "ok"), ("standby", "warning")]
    m.synchronize()
    for call in (m.Start, m.Rollback, m.Complete, m.Remove):
        with refused("InvalidPhase"):
            call()
    m.wait_finished(m.Cancel())
    assert m.get("Phase") == "canceled"
    for call in (m.Start, m.Check, m.Switch, lambda: m.SetLimits(max_delay=5)):
        with refused("InvalidPhase"):
            call()


def test_verification_gates_switch(agent):
    agent.create()
    m = agent.migration().synchronize()
    with refused("VerificationFailed"):
        m.Switch()


def test_delay_refuses(agent):
    agent.create(source="mysql://lagging@db1/?ssl-mode=disabled", verify="advisory")
    m = agent.migration().synchronize()
    with refused("DelayTooHigh"):
        m.Switch()


def test_paused(agent):
    agent.create()
    m = agent.migration().synchronize().verify()
    generation = m.get("Generation")
    m.Pause()
    m.Pause()
    m.wait("ReplicationState", "stopped")
    for call in (m.Switch, m.Verify):
        with refused("InvalidPhase"):
            call()
    with refused("InvalidOption"):
        m.SetEndpoint("middle", URIS["source"])
    with refused("InvalidOption"):
        m.SetEndpoint("source", "mysql://a:b@c/")
    m.SetEndpoint("source", "mysql://agent@db9/?ssl-mode=disabled")
    assert m.get("Source") == "db9:3306" and m.get("Generation") == generation + 1
    m.Resume()
    with refused("InvalidPhase"):
        m.SetEndpoint("source", URIS["source"])
    m.Pause()
    m.wait_finished(m.Cancel())
    assert m.get("Phase") == "canceled" and not m.get("Paused")


def test_generation(agent):
    agent.create()
    m = agent.migration().synchronize().verify()
    generation = m.get("Generation")
    with refused("StaleGeneration"):
        m.Switch(expected_generation=generation - 1)
    m.SetLimits(max_delay=5, copy_threads=dbus.UInt32(2))
    assert m.get("Generation") == generation + 1
    with refused("InvalidOption"):
        m.SetLimits(fence="global")
    with refused("InvalidOption"):
        m.SetLimits()
    m.wait_finished(m.Switch(expected_generation=generation + 1))
    assert m.get("Phase") == "switched"


def test_one_operation_at_a_time(make_agent):
    agent = make_agent(env={"FAKE_ENGINE_MSEC": "1000"}).start()
    agent.create()
    m = agent.migration().synchronize().verify()
    operation = m.Switch()
    assert m.get("Operation") == "switch" and m.get("OperationId") == operation
    for call in (m.Switch, m.Check, m.Cancel, m.Pause):
        with refused("OperationInProgress"):
            call()
    with refused("InvalidPhase"):
        m.Abort(operation + 1)
    m.Abort(operation)
    last = m.wait_finished(operation)
    assert last[1:3] == ("switch", "canceled") and m.get("Phase") == "synchronizing"
    operation = m.Cancel()
    assert m.Cancel() == operation, "the running id"
    m.wait_finished(operation)
    assert m.Cancel() == operation, "the earlier id"


def test_failures(agent):
    agent.create("a", source="mysql://broken@db1/?ssl-mode=disabled")
    a = agent.migration("a")
    last = a.wait_finished(a.Start())
    assert last[1:4] == ("start", "failed", ERROR + "AuthenticationFailed") and last[4] and last[5] > 0
    assert a.get("Phase") == "created"
    agent.create("b", source="mysql://undone@db1/?ssl-mode=disabled")
    b = agent.migration("b").synchronize().verify()
    last = b.wait_finished(b.Switch())
    assert last[1:4] == ("switch", "undone", ERROR + "DeadlineExceeded")
    assert b.get("Phase") == "synchronizing"


def test_dry_run(agent):
    agent.create()
    m = agent.migration().synchronize().verify()
    last = m.wait_finished(m.Switch(flags=1))
    assert last[2] == "done" and m.get("Phase") == "synchronizing"
    assert json.loads(m.GetPlan()) == {"dry-run": True}
    assert json.loads(m.Plan("switch"))["operation"] == "switch"
    # whoever confirms an operation with options is shown its plan with them
    assert json.loads(m.Plan("switch", deadline=10, confirm_within=60))["operation"] == "switch"
    assert json.loads(m.Plan("cancel", flags=2))["operation"] == "cancel"
    for options in ({"deadline": -1}, {"bogus": 1}):
        with refused("InvalidOption"):
            m.Plan("switch", **options)


def test_confirm(agent):
    agent.create()
    m = agent.migration().synchronize().verify()
    m.wait_finished(m.Switch(confirm_within=30))
    assert m.get("ConfirmBy") > time.time() * 1e6
    assert "Confirm" in m.get("AllowedActions")
    m.Confirm()
    assert m.get("ConfirmBy") == 0
    with refused("InvalidPhase"):
        m.Confirm()


def test_unconfirmed_rolls_back(agent):
    agent.create()
    m = agent.migration().synchronize().verify()
    m.wait_finished(m.Switch(confirm_within=3))
    m.Pause()
    m.wait("Phase", "synchronizing")
    assert m.get("LastOperation")[1] == "rollback" and m.get("ConfirmBy") == 0 and not m.get("Paused")


def test_unconfirmed_rollback_switches_again(agent):
    agent.create()
    m = agent.migration().synchronize().verify().switch()
    m.wait_finished(m.Rollback(confirm_within=30))
    assert m.get("Phase") == "synchronizing" and m.get("ConfirmBy") > time.time() * 1e6 and "Confirm" in m.get("AllowedActions")
    m.Confirm()
    assert m.get("ConfirmBy") == 0
    m.switch()
    m.wait_finished(m.Rollback(confirm_within=3))
    m.wait("Phase", "switched")
    assert m.get("LastOperation")[1] == "switch" and m.get("ConfirmBy") == 0


@pytest.mark.parametrize("switched", [False, True])
def test_expiry(agent, switched):
    agent.create(**{"expire-after": 100})
    m = agent.migration().synchronize().verify()
    if switched:
        m.switch()
    m.SetLimits(expire_after=1)
    m.wait("Phase", "canceled")
    assert m.get("PhaseReason") == ("expired-switched" if switched else "expired")
    assert m.get("LastOperation")[1] == "expire"
    events = [e["event"] for e in json.loads(m.GetHistory(0))]
    assert "expiry-announced" in events


def test_expiry_while_down(agent):
    agent.create()
    m = agent.migration().synchronize()
    agent.kill()
    path = agent.state / "migrations/m1/state.json"
    state = json.loads(path.read_text())
    state["synchronizing-at"] = 1
    path.write_text(json.dumps(state))
    agent.start()
    m.wait("Phase", "canceled")
    assert m.get("PhaseReason") == "expired"


def test_foreign_writes(agent):
    agent.create()
    m = agent.migration().synchronize()
    agent.kill()
    path = agent.state / "migrations/m1/state.json"
    state = json.loads(path.read_text())
    state["engine"]["foreign-writes"] = 3
    path.write_text(json.dumps(state))
    agent.start()
    m.wait("ForeignWrites", 3)
    for count in (0, 4):
        with refused("InvalidOption"):
            m.AcknowledgeForeignWrites(dbus.UInt64(count))
    m.AcknowledgeForeignWrites(dbus.UInt64(3))
    m.wait("ForeignWrites", 0)


def test_limit_of_migrations(make_agent):
    agent = make_agent()
    agent.config.write_text("[Agent]\nmax-migrations=2\nnonsense=1\n[Migration]\nmax-delay=7\nverify=advisory\nfence=x\n[Other]\na=1\n")
    agent.start()
    for name in ("a", "b"):
        agent.create(name)
    with refused("org.freedesktop.DBus.Error.LimitsExceeded"):
        agent.create("c")
    for word in ("nonsense: unknown key", "fence", "unknown group"):
        assert word in agent.log()
    request = json.loads((agent.state / "migrations/a/state.json").read_text())["request"]
    assert request["max-delay"] == 7 and request["verify"] == "advisory"


def test_hooks(make_agent, tmp_path):
    agent = make_agent()
    hooks = tmp_path / "hooks.d"
    hooks.mkdir()
    agent.config.write_text(f"[Agent]\nhooks={hooks}\n")
    first = hooks / "10-first"
    first.write_text(f"#!/bin/sh\necho \"$1\" >> {tmp_path}/points\ncat > {tmp_path}/input\necho hello from the hook\n")
    first.chmod(0o755)
    agent.start()
    agent.create()
    m = agent.migration().synchronize().verify().switch()
    assert (tmp_path / "points").read_text() == "pre-switch\n"
    assert json.loads((tmp_path / "input").read_text())
    assert agent.logged("hello from the hook")
    second = hooks / "20-second"
    second.write_text("#!/bin/sh\nexit 3\n")
    second.chmod(0o755)
    m.verify()
    last = m.wait_finished(m.Rollback())
    assert last[2:4] == ("undone", ERROR + "HookFailed") and "20-second" in last[4]

    # Whether one of them can do it is not known; without any nobody does.
    m.wait_finished(m.Complete(disable_binlog=True))
    assert m.get("Phase") == "completed"
    agent.create("other")
    for hook in (first, second):
        hook.unlink()
    with refused("InvalidOption") as what:
        agent.migration("other").Cancel(disable_binlog=True)
    assert "hook" in what.message


def test_term_ends_hooks(make_agent, tmp_path):
    agent = make_agent()
    hooks = tmp_path / "hooks.d"
    hooks.mkdir()
    agent.config.write_text(f"[Agent]\nhooks={hooks}\n")
    hook = hooks / "slow"
    hook.write_text("#!/bin/sh\nexec sleep 25\n")
    hook.chmod(0o755)
    agent.start()
    agent.create()
    m = agent.migration().synchronize().verify()
    m.Switch()
    time.sleep(0.2)
    began = time.monotonic()
    assert agent.stop() == 0
    assert time.monotonic() - began < 20


def test_objects_that_are_not_there(agent):
    agent.create()
    for path in ("/org/polarshift1/migration/nobody", "/org/polarshift1/migration/_"):
        with pytest.raises(dbus.DBusException):
            agent.call("Start", "a{sv}t", dbus.Dictionary({}, signature="sv"), 0, path=path, interface="org.polarshift1.Migration")
    with pytest.raises(dbus.DBusException) as error:
        agent.call("Get", "ss", "org.polarshift1.Migration", "Phase", path="/org/polarshift1/migration",
                   interface="org.freedesktop.DBus.Properties")
    assert "Unknown" in error.value.get_dbus_name()
    with refused("NoSuchMigration"):
        agent.call("GetMigration", "s", "nobody")


def test_managed_objects(agent):
    agent.create("a")
    agent.create("b")
    objects = agent.call("GetManagedObjects", interface="org.freedesktop.DBus.ObjectManager")
    assert {"/org/polarshift1/migration/a", "/org/polarshift1/migration/b"} <= set(objects)
    assert objects["/org/polarshift1/migration/a"]["org.polarshift1.Migration"]["Phase"] == "created"


def test_wall_of_remove(make_agent):
    """Removal waits for the engine; meanwhile the migration is not to be had."""
    agent = make_agent().start()
    agent.create()
    m = agent.migration()
    m.Remove()
    assert agent.call("ListMigrations") == []
    agent.create()
    assert wait_until(lambda: agent.migration().get("Phase") == "created", "again")

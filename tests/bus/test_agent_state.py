# SPDX-License-Identifier: LGPL-2.1-or-later
"""What survives: kill -9, unreadable states, signals; and credentials."""

import json
import os
import random
import shutil
import socket
import stat
import subprocess
import time

import dbus
import dbus.mainloop.glib
import pytest
from gi.repository import GLib

from conftest import refused, wait_until


def test_survives_kill(make_agent):
    agent = make_agent(env={"FAKE_ENGINE_MSEC": "30"}).start()
    agent.create()
    m = agent.migration().synchronize().verify()
    before = m.all()
    agent.kill()
    agent.start()
    after = m.all()
    for name in ("Phase", "Generation", "CreatedAt", "ExpiresAt", "LastOperation", "VerificationState", "Source"):
        assert before[name] == after[name], name
    operation = m.Switch()
    agent.kill()
    agent.start()
    last = m.wait_finished(operation)
    assert last[1:3] == ("switch", "done") and m.get("Phase") == "switched"


def test_killed_at_any_moment(make_agent):
    """Whatever was being written: the state is readable, and what was accepted comes to its end."""
    agent = make_agent(env={"FAKE_ENGINE_MSEC": "5"}).start()
    agent.create(verify="advisory")
    m = agent.migration().synchronize()
    chance = random.Random(7)
    for _ in range(12):
        switched = m.get("Phase") == "switched"
        operation = m.Rollback() if switched else m.Switch()
        time.sleep(chance.random() * 0.04)
        agent.kill()
        json.loads((agent.state / "migrations/m1/state.json").read_text())
        agent.start()
        assert m.wait_finished(operation)[2] == "done"
        assert m.get("Phase") == ("synchronizing" if switched else "switched")


def test_state_unreadable(agent):
    agent.create("good")
    for name in ("cut", "newer", "alien", "unknown", "empty"):
        agent.create(name)
    agent.kill()
    folder = agent.state / "migrations"

    def change(name, edit):
        path = folder / name / "state.json"
        path.write_text(edit(path.read_text()))
    change("cut", lambda t: t[:len(t) // 2])
    change("newer", lambda t: t.replace('"version" : 1', '"version" : 2'))
    change("alien", lambda t: t.replace('"alien"', '"other"'))
    change("unknown", lambda t: t.replace('"paused"', '"future" : 1, "paused"'))
    change("empty", lambda t: "")
    (folder / ".new-half").mkdir()
    (folder / ".removed-half").mkdir()
    shutil.copytree(folder / "good", folder / "Not a name")
    texts = {n: (folder / n / "state.json").read_bytes() for n in ("cut", "newer", "alien", "unknown", "empty")}
    agent.start()
    for name, text in texts.items():
        with refused("StateUnreadable"):
            agent.migration(name)
        with refused("StateUnreadable"):
            agent.call("Start", "a{sv}t", dbus.Dictionary({}, signature="sv"), 0, path=f"/org/polarshift1/migration/{name}",
                       interface="org.polarshift1.Migration")
        with refused("StateUnreadable"):
            agent.create(name)
        assert (folder / name / "state.json").read_bytes() == text, "never recreated"
        assert agent.logged(f"migration '{name}': state unreadable")
    agent.migration("good").synchronize()
    assert not (folder / ".new-half").exists() and not (folder / ".removed-half").exists()
    assert (folder / "Not a name").exists()


def test_state_cannot_be_written(agent):
    agent.create()
    m = agent.migration()
    folder = agent.state / "migrations/m1"
    hidden = agent.state / "hidden"
    folder.rename(hidden)
    with refused("org.freedesktop.DBus.Error.Failed"):
        m.Start()
    assert m.get("Phase") == "created" and m.get("OperationId") == 0
    hidden.rename(folder)
    m.synchronize()


def test_end_that_was_not_recorded(agent):
    agent.create()
    m = agent.migration().synchronize()
    operation = m.Cancel()
    m.wait_finished(operation)
    agent.kill()
    path = agent.state / "migrations/m1/state.json"
    state = json.loads(path.read_text())
    state["last-operation"] = None
    state["operation"] = {"id": int(operation), "kind": "cancel", "flags": 0, "max-delay": -1.0, "deadline": 0.0, "kill-sessions": False,
                          "disable-binlog": False, "confirm-within": 0.0}
    path.write_text(json.dumps(state))
    agent.start()
    assert m.wait_finished(operation)[1:3] == ("cancel", "done")
    assert m.get("OperationId") == 0 and m.Cancel() == operation
    m.Remove()


def test_signals(agent):
    loop_connection = dbus.bus.BusConnection(agent.bus.address, mainloop=dbus.mainloop.glib.DBusGMainLoop())
    agent.bus.connections.append(loop_connection)
    seen = []
    loop_connection.add_signal_receiver(lambda *a, member=None, path=None: seen.append((member, path, a)), bus_name="org.polarshift1",
                                        member_keyword="member", path_keyword="path")
    agent.create()
    m = agent.migration()
    operation = m.Start()

    def done():
        GLib.MainContext.default().iteration(False)
        return any(s[0] == "PropertiesChanged" and s[2][1].get("Phase") == "synchronizing" for s in seen) and any(
            s[0] == "OperationFinished" for s in seen)
    wait_until(done, "signals")
    finished = next(s for s in seen if s[0] == "OperationFinished")
    assert finished[2] == (operation, "start", "done", "", "") and finished[1] == m.path
    assert any(s[0] == "InterfacesAdded" and s[2][0] == m.path for s in seen)
    changes = [s[2][1] for s in seen if s[0] == "PropertiesChanged"]
    assert all("Progress" not in c for c in changes)
    assert sum("ReplicationDelay" in c for c in changes) <= 2, "at most once a second"
    m.wait_finished(m.Cancel())
    m.Remove()

    def removed():
        GLib.MainContext.default().iteration(False)
        return any(s[0] == "InterfacesRemoved" and s[2][0] == m.path for s in seen)
    wait_until(removed, "InterfacesRemoved")


def test_history(agent):
    agent.create()
    m = agent.migration().synchronize()
    with refused("InvalidPhase"):
        m.Rollback()
    history = json.loads(m.GetHistory(0))
    assert all({"at", "event", "message", "priority"} <= set(e) for e in history)
    calls = [(e["method"], e["result"], e.get("error"), e["uid"]) for e in history if e["event"] == "call"]
    uid = str(os.getuid())
    assert ("CreateMigration", "accepted", None, uid) in calls
    assert ("Rollback", "refused", "InvalidPhase", uid) in calls
    assert [e["phase"] for e in history if e["event"] == "phase"] == ["copying", "synchronizing"]
    assert {"copy-started", "copy-finished", "operation-finished"} <= {e["event"] for e in history}
    last = history[-1]["at"]
    assert [e for e in json.loads(m.GetHistory(last + 1)) if e["event"] != "call"] == []
    # a line that a crash cut short
    with open(agent.state / "migrations/m1/history.jsonl", "a", encoding="utf-8") as f:
        f.write('{"at":1,"eve')
    assert len(json.loads(m.GetHistory(0))) >= len(history)


def test_term(agent):
    agent.create()
    agent.migration().synchronize()
    assert agent.stop() == 0


def test_notify(make_agent, tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(path)
        notify.settimeout(30)
        agent = make_agent(env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "400000"}).start()
        seen = ""
        while "READY=1" not in seen or "WATCHDOG=1" not in seen:
            seen += notify.recv(4096).decode() + "\n"
        assert "STATUS=0 migrations" in seen
        agent.process.terminate()
        while "STOPPING=1" not in seen:
            seen += notify.recv(4096).decode() + "\n"
        assert agent.stop() == 0


# ---- credentials ----

def set_credential(agent, name, content, flags=0, **options):
    read, write = os.pipe()
    if content is not None:
        os.write(write, content)
        os.close(write)
    try:
        agent.call("SetCredential", "sha{sv}t", name, dbus.types.UnixFd(read), dbus.Dictionary(options, signature="sv"), flags)
    finally:
        os.close(read)
        if content is None:
            os.close(write)


def test_credentials(agent):
    set_credential(agent, "m1.source", b"hunter2\n")
    set_credential(agent, "pem", b"-----BEGIN-----\nabc\n-----END-----\n")
    folder = agent.state / "credentials"
    assert (folder / "m1.source").read_bytes() == b"hunter2"
    assert (folder / "pem").read_bytes().endswith(b"END-----\n")
    assert stat.S_IMODE((folder / "m1.source").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert agent.call("ListCredentials") == ["m1.source", "pem"]
    agent.call("RemoveCredential", "sa{sv}t", "pem", dbus.Dictionary({}, signature="sv"), 0)
    with refused("NoSuchCredential"):
        agent.call("RemoveCredential", "sa{sv}t", "pem", dbus.Dictionary({}, signature="sv"), 0)
    assert agent.call("ListCredentials") == ["m1.source"]
    assert "hunter2" not in agent.log()


def test_bad_credentials(agent):
    for name in ("", "A", "../x", "a.b.c", ".a", "a.", "a" * 49):
        with refused("InvalidOption"):
            set_credential(agent, name, b"x")
    for content in (b"", b"\n", b"a\0b"):
        with refused("InvalidOption"):
            set_credential(agent, "a", content)
    with refused("InvalidOption"):
        set_credential(agent, "a", b"x", flags=1)
    with refused("InvalidOption"):
        set_credential(agent, "a", b"x", force=True)
    assert agent.call("ListCredentials") == []


def test_large_credential(agent, tmp_path):
    path = tmp_path / "large"
    path.write_bytes(b"x" * (1024 * 1024 + 1))
    with open(path, "rb") as stream, refused("org.freedesktop.DBus.Error.LimitsExceeded"):
        agent.call("SetCredential", "sha{sv}t", "a", dbus.types.UnixFd(stream), dbus.Dictionary({}, signature="sv"), 0)
    path.write_bytes(b"x" * 1024 * 1024)
    with open(path, "rb") as stream:
        agent.call("SetCredential", "sha{sv}t", "a", dbus.types.UnixFd(stream), dbus.Dictionary({}, signature="sv"), 0)


def test_credential_that_never_ends(agent):
    """The loop goes on while a descriptor is waited for; after 5 s it is refused."""
    begin = time.monotonic()
    read, write = os.pipe()
    with open(os.devnull, "rb"):
        process = subprocess.Popen(["gdbus", "call", f"--address={agent.bus.address}", "-t", "20", "-d", "org.polarshift1", "-o",
                                    "/org/polarshift1", "-m", "org.polarshift1.Manager.SetCredential", "a", "0", "{}", "0"],
                                   stdin=read, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(0.2)
    assert agent.call("ListMigrations", timeout=4) == []
    _, error = process.communicate(timeout=30)
    os.close(read)
    os.close(write)
    assert "DeadlineExceeded" in error and 4 < time.monotonic() - begin < 18


def test_encrypted_credentials(make_agent, tmp_path):
    """With a polarshift-key nothing is stored in clear, and what was is not any more; the key itself is no credential."""
    given = tmp_path / "given"
    given.mkdir()
    (given / "m1.source").write_text("x")
    agent = make_agent(env={"CREDENTIALS_DIRECTORY": str(given)}).start()
    set_credential(agent, "old", b"hunter1")
    agent.stop()
    (given / "polarshift-key").write_text("0123456789abcdef")
    agent.start()
    stored = agent.state / "credentials"
    set_credential(agent, "new", b"hunter2")
    set_credential(agent, "new2", b"hunter2")
    contents = {name: (stored / name).read_bytes() for name in ("old", "new", "new2")}
    for content in contents.values():
        assert content.startswith(b"polarshift-sealed-1\n") and b"hunter" not in content
    assert contents["new"][20:] != contents["new2"][20:]
    assert stat.S_IMODE((stored / "new").stat().st_mode) == 0o600
    assert agent.call("ListCredentials") == ["m1.source", "new", "new2", "old"]
    with refused("InvalidOption"):
        set_credential(agent, "polarshift-key", b"another key, just as long")
    agent.stop()
    agent.start()
    assert (stored / "old").read_bytes() == contents["old"], "sealed once, not again"


def test_key_too_short(make_agent, tmp_path):
    given = tmp_path / "given"
    given.mkdir()
    (given / "polarshift-key").write_text("k")
    agent = make_agent(env={"CREDENTIALS_DIRECTORY": str(given)}).start()
    with refused("InvalidOption") as r:
        set_credential(agent, "a", b"x")
    assert "polarshift-key" in r.message
    assert agent.call("ListCredentials") == []


def test_starts_only_with_a_bus(make_agent):
    agent = make_agent()
    from conftest import BINARY
    r = subprocess.run([BINARY], env=dict(agent.env, DBUS_SYSTEM_BUS_ADDRESS="unix:path=/nonexistent"), capture_output=True, text=True,
                       timeout=10)
    assert r.returncode == 1 and "system bus" in r.stderr
    agent.start()
    r = subprocess.run([BINARY], env=dict(agent.env, STATE_DIRECTORY=str(agent.folder / "other")), capture_output=True, text=True,
                       timeout=10)
    assert r.returncode == 1 and "org.polarshift1" in r.stderr


@pytest.mark.parametrize("argument,status", [("--version", 0), ("--nonsense", 2)])
def test_arguments(argument, status):
    from conftest import BINARY
    assert subprocess.run([BINARY, argument], capture_output=True, check=False).returncode == status

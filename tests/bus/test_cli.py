# SPDX-License-Identifier: LGPL-2.1-or-later
"""polarshiftctl against a stand-in for the agent (cli_agent.py) on a bus of its own: exit statuses, JSON, what is sent,
confirmation, following an operation through Ctrl-C, time-outs and a restart of the agent."""

import fcntl
import json
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time

import dbus
import dbus.lowlevel
import pytest

HERE = pathlib.Path(__file__).resolve().parent
CTL = os.environ.get("POLARSHIFTCTL", str(HERE.parent.parent / "build/cli/polarshiftctl"))
ERROR = "org.polarshift1.Error."
CTL_ERROR = "org.polarshift1.Ctl.Error."
BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:dir=%s</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
</policy></busconfig>
"""


class Agent:
    def __init__(self, address):
        self.address = address
        self.environment = dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=address, TZ="UTC")
        self.environment.pop("NO_COLOR", None)
        self.process = None

    def start(self, *arguments):
        self.process = subprocess.Popen([sys.executable, str(HERE / "cli_agent.py"), *arguments],
                                        env=self.environment, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"
        self.bus = dbus.bus.BusConnection(self.address)

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.process = None

    def mock(self, method, *arguments):
        return self.bus.call_blocking("org.polarshift1", "/mock", "org.polarshift1.Mock", method, None, arguments)

    def reset(self, **settings):
        if not self.process:
            self.start()
        self.mock("Reset", json.dumps(settings))
        self.mock("Add", "shop")

    def calls(self, *but):
        return [c for c in json.loads(self.mock("Calls")) if c[0] not in but]

    def run(self, *words, **more):
        more.setdefault("stdin", subprocess.DEVNULL if "input" not in more else None)
        if more["stdin"] is None:
            del more["stdin"]
        return subprocess.run([CTL, *words], env=self.environment, capture_output=True, text=True, timeout=20, **more)

    def spawn(self, *words, **more):
        more.setdefault("stdin", subprocess.DEVNULL)
        more.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen([CTL, *words], env=self.environment, stdout=subprocess.PIPE, text=True, **more)

    def wait_for_call(self, method):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if any(c[0] == method for c in self.calls()):
                return
            time.sleep(0.02)
        raise AssertionError("%s was not called" % method)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bus")
    (folder / "bus.conf").write_text(BUS_CONFIG % folder)
    daemon = subprocess.Popen(["dbus-daemon", "--config-file=%s" % (folder / "bus.conf"), "--nofork",
                               "--print-address"], stdout=subprocess.PIPE, text=True)
    agent = Agent(daemon.stdout.readline().strip())
    yield agent
    agent.stop()
    daemon.terminate()
    daemon.wait()


@pytest.fixture
def agent(shared):
    shared.reset()
    return shared


def ends(result, status):
    assert result.returncode == status, (result.returncode, result.stdout, result.stderr)
    return result


def finish(process, status):
    out, err = process.communicate(timeout=20)
    assert process.returncode == status, (process.returncode, out, err)
    return out, err


# What is shown

def test_list(agent):
    agent.mock("Add", "a-b_c")
    out = ends(agent.run("list"), 0).stdout
    assert out.splitlines()[0].split() == ["NAME", "PHASE", "PATH"]
    assert out.splitlines()[1].split() == ["a-b_c", "created", "/org/polarshift1/migration/a_2db_5fc"]
    assert len(ends(agent.run("list", "--no-legend"), 0).stdout.splitlines()) == 2
    assert json.loads(agent.run("list", "--json=short").stdout)[1] == {
        "name": "shop", "phase": "created", "path": "/org/polarshift1/migration/shop"}


def test_status(agent):
    out = ends(agent.run("status", "shop"), 0).stdout
    assert "shop - created" in out and "db1:3306" in out and "25%, 1.0 GiB of 4.0 GiB" in out
    assert "\033" not in out
    assert "shop" in ends(agent.run(), 0).stdout
    many = json.loads(ends(agent.run("status", "--json=pretty"), 0).stdout)
    one = json.loads(ends(agent.run("status", "shop", "-j"), 0).stdout)
    assert many == [one] and one["Phase"] == "created"
    assert one["LastOperation"] == {"id": 0, "operation": "", "result": "", "error_name": "", "error_message": "",
                                    "finished_at": 0}


def test_show(agent):
    assert ends(agent.run("show", "shop", "-p", "Phase", "-p", "Generation"), 0).stdout == "Phase=created\nGeneration=3\n"
    assert agent.run("show", "shop", "-p", "AllowedActions", "--value").stdout == "Start Cancel\n"
    assert json.loads(agent.run("show", "shop", "-p", "Phase", "--json=short").stdout) == {"Phase": "created"}
    assert "LastError=" in agent.run("show", "shop").stdout
    ends(agent.run("show", "shop", "-p", "Nonsense"), 2)


def test_hostile_text_is_harmless(agent):
    agent.mock("SetString", "shop", "PhaseReason", "a\x1b]0;x\x07b\nc\u202ed")
    for words in (["status", "shop"], ["show", "shop", "-p", "PhaseReason"]):
        out = agent.run(*words).stdout
        assert "\x1b" not in out and "\x07" not in out and "\u202e" not in out
    assert "\x1b" not in agent.run("log", "shop").stdout


def test_permissions_and_credentials(agent):
    assert json.loads(agent.run("permissions", "--json=short").stdout)["org.polarshift1.switch"] == "challenge"
    assert agent.run("credentials").stdout == "shop.source\n"
    assert json.loads(agent.run("credentials", "--json=short").stdout) == ["shop.source"]
    ends(agent.run("remove-credential", "shop.source"), 0)
    assert agent.calls("ListCredentials") == [["RemoveCredential", ["s", "shop.source"], {}, ["t", 0]]]


def test_plan_report_log(agent):
    assert json.loads(ends(agent.run("plan", "shop", "switch", "--json=short"), 0).stdout)["steps"] == ["fence", "drain"]
    assert "  - drain" in agent.run("plan", "shop", "switch").stdout
    assert json.loads(agent.run("report", "shop", "--format=json").stdout)["equal"] is True
    assert json.loads(agent.run("report", "shop", "--json=short").stdout)["equal"] is True
    assert "equal: true" in agent.run("report", "shop").stdout
    html = agent.run("report", "shop", "--format=html").stdout
    assert "a&lt;b&gt;&amp;&quot;" in html and "<b>" not in html
    ends(agent.run("report", "shop", "--format=pdf"), 2)
    assert len(json.loads(agent.run("log", "shop", "--json=short").stdout)) == 2
    assert agent.run("log", "shop", "--lines=1").stdout.startswith("2023-11-14 22:13:21  started: evil")


# What a certificate may hold of names that servers and their users made up.
EVIL = "`shop`.`<script>alert('x')</script>`"
CERTIFICATE = {
    "document": "certificate", "migration": "shop", "phase": "completed", "phase_reason": "", "created_at": "2026-01-02T03:04:05Z",
    "source": {"server": "db1:3306", "identity": "uuid-1", "status": "read-only"}, "destination": {"server": "db2:3306", "takes_writes": True},
    "write_interruption": 0.083, "foreign_writes": 0, "later": {"member": "that nobody knows"},
    "verification": {"state": "equal", "at": "2026-01-02T04:00:00Z", "summary": {"tables": 3, "rows": 1234567, "chunks": 9, "different": 0, "seconds": 2.5}},
    "link": {"end_position": {"file": "binlog.000009", "offset": 81123}, "reverse_start": None},
    "replication": {"error": None, "error_message": None},
    "objects": [{"kind": "table", "name": EVIL, "outcome": "carried"},
                {"kind": "table", "name": "`shop`.`m`", "outcome": "not-carried", "why": "its engine is MEMORY", "sql": "ALTER TABLE `shop`.`m` ENGINE=InnoDB;"},
                {"kind": "account", "name": "'<b>'@'%'", "outcome": "changed", "from": "a", "to": "<i>b</i>", "why": "\x1b[31mred"},
                {"kind": "parameter", "name": "wait_timeout", "outcome": "same", "to": "28800", "now": "60"}],
    "checks": [{"check": "sql-mode", "severity": "note", "message": "it <differs>", "hint": "SET GLOBAL sql_mode='';"}],
    "to_do": [{"side": "source", "what": "open it", "sql": "SET GLOBAL read_only=0;\nSELECT '<';"}]}


def test_certificate(agent):
    agent.reset(report=json.dumps(CERTIFICATE))
    page = agent.run("report", "shop", "--format=html").stdout
    body = page.split("</style>")[1]
    assert "<script" not in page and "<b>&lt;" not in page and "&lt;script&gt;" in page and "&lt;i&gt;b&lt;/i&gt;" in page
    assert "http://" not in page and "https://" not in page and " src=" not in page and "\x1b" not in page
    in_order = ["The migration is complete", "What needs attention (2)", "Not carried: table `shop`.`m`", "wait_timeout is 60 now, and was 28800",
                "What is left to do", "SET GLOBAL read_only=0;\nSELECT", "Certificate", "binlog.000009:81123", "Every object", "What the checks found",
                "that nobody knows"]
    places = [body.find(text) for text in in_order]
    assert -1 not in places and places == sorted(places), list(zip(in_order, places))
    for tag in ("table", "div", "details", "ul", "pre", "main", "span", "td", "li"):
        assert len(re.findall(f"<{tag}[ >]", body)) == body.count(f"</{tag}>"), tag
    text = agent.run("report", "shop").stdout
    assert text.startswith("The migration is complete") and "\x1b" not in text
    assert f"  carried      table {EVIL}\n" in text and "  not-carried  table `shop`.`m` – its engine is MEMORY\n" in text
    assert json.loads(agent.run("report", "shop", "--format=json").stdout) == CERTIFICATE
    # Whatever is missing or of another type, there is a page.
    for name in CERTIFICATE:
        for value in (None, [], {}, "x", 7, [7], [[]], {"summary": 3}):
            agent.reset(report=json.dumps({**CERTIFICATE, "document": "certificate", **({name: value} if name != "document" else {})}))
            assert agent.run("report", "shop", "--format=html").stdout.endswith("</html>\n"), (name, value)


def test_malformed_answer(agent):
    agent.reset(report="no json")
    result = ends(agent.run("report", "shop", "--json=short"), 1)
    assert json.loads(result.stdout)["error"]["name"] == CTL_ERROR + "BadReply"


# What is sent

def test_create_types(agent):
    ends(agent.run("create", "new", "--source=mysql://a@b/", "--destination=mysql://a@c/", "--include=a.*,`x,y`.t",
                   "--include=d", "--max-delay=1500ms", "--expire-after=2d", "-o", "copy-threads=4",
                   "-o", "max-copy-rate=10M", "-o", "fence=accounts", "-o", "allow-list=10.0.0.1",
                   "-o", "create-cluster=engine=mariadb", "-o", "create-cluster=binlog=yes", "-o", "novel=7"), 0)
    method, name, options, flags = agent.calls()[0]
    assert (method, name, flags) == ("CreateMigration", ["s", "new"], ["t", 0])
    assert options == {
        "source": ["s", "mysql://a@b/"], "destination": ["s", "mysql://a@c/"],
        "include": [["s", "a.*"], ["s", "`x,y`.t"], ["s", "d"]], "max-delay": ["d", 1.5],
        "expire-after": ["t", 172800], "copy-threads": ["u", 4], "max-copy-rate": ["t", 10 << 20],
        "fence": ["s", "accounts"], "allow-list": [["s", "10.0.0.1"]],
        "create-cluster": {"engine": ["s", "mariadb"], "binlog": ["b", True]}, "novel": ["s", "7"]}


def test_create(agent):
    assert ends(agent.run("create", "new"), 0).stdout == "Migration new: created.\n"
    assert json.loads(agent.run("create", "--json=short").stdout) == {
        "name": "migration-0a1b2c", "path": "/org/polarshift1/migration/migration_2d0a1b2c"}
    ends(agent.run("create", "new"), 6)
    ends(agent.run("create", "other", "--dry-run"), 0)
    assert agent.calls()[-1][3] == ["t", 1]
    assert "other" not in agent.run("list").stdout
    result = ends(agent.run("create", "third", "--start", "--accept-warnings", "--json=short"), 0)
    assert json.loads(result.stdout) == {"migration": "third", "id": 7, "operation": "start", "result": "done"}
    assert agent.calls()[-1] == ["Start", {}, ["t", 1]]


@pytest.mark.parametrize("word", ["copy-threads=x", "copy-threads=4294967296", "max-delay=soon", "expire-after=1500ms",
                                  "max-copy-rate=9Z", "include", "=x", "kill-sessions=maybe", "max-delay=-1",
                                  "max-delay=nan", "max-copy-rate=99999999999999999999"])
def test_bad_settings(agent, word):
    result = ends(agent.run("create", "new", "--json=short", "-o", word), 2)
    assert json.loads(result.stdout)["error"]["name"] == CTL_ERROR + "Usage"
    assert agent.calls() == []


def test_simple_verbs(agent):
    for words, call in (
            (["pause", "shop"], ["Pause", {}, ["t", 0]]),
            (["resume", "shop", "--ddl=skip"], ["Resume", {"ddl": ["s", "skip"]}, ["t", 0]]),
            (["confirm", "shop"], ["Confirm", {}, ["t", 0]]),
            (["limits", "shop", "max-source-load=10", "max-delay=30"],
             ["SetLimits", {"max-source-load": ["u", 10], "max-delay": ["d", 30.0]}, ["t", 0]]),
            (["endpoint", "shop", "source", "mysql://a@b/"],
             ["SetEndpoint", ["s", "source"], ["s", "mysql://a@b/"], {}, ["t", 0]]),
            (["acknowledge", "shop", "3"], ["AcknowledgeForeignWrites", ["t", 3], {}, ["t", 0]]),
            (["remove", "shop"], ["Remove", {}, ["t", 0]])):
        result = ends(agent.run(*words, "--json=short"), 0)
        assert json.loads(result.stdout)["migration"] == "shop"
        assert agent.calls()[-1] == call


# Operations and how they end

def test_operation(agent):
    result = ends(agent.run("start", "shop"), 0)
    assert result.stdout == "shop: start (7) done\n"
    result = ends(agent.run("switch", "shop", "--yes", "--json=short", "--deadline=10s", "--confirm-within=5min",
                            "--kill-sessions", "--max-delay=2", "--expected-generation=3"), 0)
    assert json.loads(result.stdout) == {"migration": "shop", "id": 8, "operation": "switch", "result": "done",
                                         "write_interruption": 0.123}
    assert agent.calls()[-1] == ["Switch", {
        "deadline": ["d", 10.0], "confirm-within": ["d", 300.0], "kill-sessions": ["b", True],
        "max-delay": ["d", 2.0], "expected-generation": ["t", 3]}, ["t", 0]]
    assert "writes stopped for 0.123 s" in agent.run("rollback", "shop", "-y").stdout
    ends(agent.run("complete", "shop", "--yes", "--disable-binlog", "--without-unreachable"), 0)
    assert agent.calls()[-1] == ["Complete", {"disable-binlog": ["b", True]}, ["t", 2]]
    assert ends(agent.run("cancel", "shop", "--yes", "--quiet"), 0).stdout == ""


@pytest.mark.parametrize("end, status", [
    (["failed", ERROR + "SourceUnreachable", "no route"], 1), (["undone", ERROR + "DeadlineExceeded", "too late"], 1),
    (["undone", ERROR + "DelayTooHigh", "late"], 1), (["failed", ERROR + "DelayTooHigh", "late"], 6),
    (["failed", ERROR + "CheckFailed", "see check"], 6), (["canceled", "", ""], 1)])
def test_operation_fails(agent, end, status):
    agent.reset(results={"switch": end})
    result = ends(agent.run("switch", "shop", "--yes", "--json=short"), status)
    answer = json.loads(result.stdout)
    assert answer["result"] == end[0]
    assert answer.get("error") == ({"name": end[1], "message": end[2]} if end[1] else None)
    result = ends(agent.run("switch", "shop", "--yes"), status)
    assert result.stdout == "" and end[0] in result.stderr and end[2] in result.stderr


def test_no_wait(agent):
    agent.reset(results={"verify": "hang"})
    result = ends(agent.run("verify", "shop", "--no-wait", "--json=short"), 0)
    assert json.loads(result.stdout) == {"migration": "shop", "id": 7, "result": "accepted"}


def test_check(agent):
    result = ends(agent.run("check", "shop", "--json=short"), 0)
    answer = json.loads(result.stdout)
    assert answer["result"] == "done" and answer["checks"][1] == {
        "id": "charset", "result": "warning", "message": "odd", "hint": "look"}
    assert "0 errors, 1 warnings." in agent.run("check", "shop").stdout
    agent.reset(checks=[("binlog", "error", "off", "switch it on")])
    assert "switch it on" in ends(agent.run("check", "shop"), 6).stdout
    agent.reset(results={"check": ["failed", ERROR + "SourceUnreachable", "no route"]})
    ends(agent.run("check", "shop"), 1)


def test_verify(agent):
    for state, status in (("equal", 0), ("different", 1)):
        agent.mock("SetString", "shop", "VerificationState", state)
        assert json.loads(ends(agent.run("verify", "shop", "--json=short"), status).stdout)["verification"] == state
        assert "both sides are " + state in ends(agent.run("verify", "shop"), status).stdout


def test_dry_run(agent):
    result = ends(agent.run("switch", "shop", "--dry-run", "--json=short"), 0)
    assert json.loads(result.stdout)["plan"]["dry_run"] is True
    assert agent.calls()[-1] == ["Switch", {}, ["t", 1]]
    result = ends(agent.run("cancel", "shop", "--dry-run"), 0)
    assert "drain" in result.stdout and agent.calls()[-1][0] == "Plan"
    ends(agent.run("pause", "shop", "--dry-run"), 2)
    assert agent.calls()[-1][0] == "Plan"


def test_abort(agent):
    ends(agent.run("abort", "shop"), 6)
    agent.reset(results={"switch": "hang"})
    switch = agent.spawn("switch", "shop", "--yes")
    agent.wait_for_call("Switch")
    assert ends(agent.run("abort", "shop"), 0).stdout == "shop: switch (7) canceled\n"
    finish(switch, 1)
    assert agent.calls()[-1] == ["Abort", ["t", 7], {}, ["t", 0]]


@pytest.mark.parametrize("name, status", [
    (ERROR + "InvalidPhase", 6), (ERROR + "StaleGeneration", 6), (ERROR + "InvalidOption", 2),
    (ERROR + "NoSuchCredential", 5), ("org.freedesktop.DBus.Error.AccessDenied", 4),
    ("org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", 4), (ERROR + "NotSupported", 1),
    (ERROR + "ReverseNotProven", 6), ("org.freedesktop.DBus.Error.LimitsExceeded", 6),
    ("org.freedesktop.DBus.Error.ServiceUnknown", 7)])
def test_call_refused(agent, name, status):
    agent.reset(errors={"Pause": [name, "not \x1b[1m now"]})
    result = ends(agent.run("pause", "shop", "--json=short"), status)
    assert json.loads(result.stdout)["error"]["name"] == name and result.stderr == ""
    result = ends(agent.run("pause", "shop"), status)
    assert result.stdout == "" and "now" in result.stderr and "\x1b" not in result.stderr


def test_no_such_migration(agent):
    for words in (["status"], ["start"], ["switch", "--yes"], ["wait", "--for=switched"], ["watch"], ["log"], ["report"]):
        result = ends(agent.run(words[0], "none", *words[1:], "--json=short"), 5)
        assert json.loads(result.stdout)["error"]["name"] == ERROR + "NoSuchMigration"


def test_clusters(agent):
    for words in (["list"], ["status", "x"], ["create", "x"], ["rename", "x", "y"], ["binlog", "x", "off"],
                  ["allow", "x", "10.0.0.1"], ["stop", "x"], ["start", "x"], ["remove", "x"]):
        result = ends(agent.run("cluster", *words, "--json=short"), 1)
        assert json.loads(result.stdout)["error"]["name"] == ERROR + "NotSupported"


def test_usage(agent):
    for words in (["nonsense"], ["start"], ["list", "x"], ["list", "--nonsense"], ["list", "--json=x"], ["list", "-z"],
                  ["wait", "shop", "--for=nowhere"], ["list", "--start"], ["status", "--timeout=x"],
                  ["limits", "shop", "x"], ["endpoint", "shop", "left", "u"], ["acknowledge", "shop", "-1"],
                  ["abort", "shop", "x"], ["create", "--accept-warnings"], ["wait", "shop", "--for"],
                  ["cluster", "nonsense"]):
        result = ends(agent.run(*words), 2)
        assert result.stdout == "" and result.stderr.startswith("polarshiftctl: ")
    result = ends(agent.run("list", "--nonsense", "--json=short"), 2)
    assert json.loads(result.stdout)["error"]["name"] == CTL_ERROR + "Usage"


def test_unreachable(shared):
    shared.stop()
    result = ends(shared.run("list", "--json=short"), 7)
    assert json.loads(result.stdout)["error"]["name"] == "org.freedesktop.DBus.Error.ServiceUnknown"
    result = ends(shared.run("list", "--json=short", "--address=unix:path=/nonexistent/bus"), 7)
    assert json.loads(result.stdout)["error"]["name"] == CTL_ERROR + "AgentUnreachable"


def test_address(agent):
    environment = dict(agent.environment)
    del environment["DBUS_SYSTEM_BUS_ADDRESS"]
    result = subprocess.run([CTL, "list", "--address=" + agent.address], env=environment, capture_output=True, text=True)
    assert "shop" in ends(result, 0).stdout


# Following

def test_detach(agent):
    agent.reset(results={"switch": "hang"})
    switch = agent.spawn("switch", "shop", "--yes")
    agent.wait_for_call("Switch")
    time.sleep(0.2)
    switch.send_signal(signal.SIGINT)
    out, err = finish(switch, 130)
    assert "polarshiftctl wait shop" in err and "polarshiftctl abort shop" in err
    assert [c[0] for c in agent.calls()] == ["Switch"]
    back = agent.spawn("wait", "shop", "--json=short")
    time.sleep(0.2)
    agent.mock("Finish", "shop", "done", "")
    assert json.loads(finish(back, 0)[0])["id"] == 7
    assert json.loads(ends(agent.run("wait", "shop", "--json=short"), 0).stdout)["id"] == 7


def test_detach_json(agent):
    agent.reset(results={"switch": "hang"})
    switch = agent.spawn("switch", "shop", "--yes", "--json=short")
    agent.wait_for_call("Switch")
    time.sleep(0.1)
    switch.send_signal(signal.SIGINT)
    out, err = finish(switch, 130)
    assert json.loads(out)["error"]["name"] == CTL_ERROR + "Detached" and err == ""


def test_timeout(agent):
    agent.reset(results={"switch": "hang"})
    result = ends(agent.run("switch", "shop", "--yes", "--timeout=3s"), 3)
    assert "polarshiftctl wait shop" in result.stderr
    result = ends(agent.run("wait", "shop", "--for=switched", "--timeout=0.2", "--json=short"), 3)
    assert json.loads(result.stdout)["error"]["name"] == CTL_ERROR + "TimedOut"


def test_wait_for_phase(agent):
    ends(agent.run("wait", "shop", "--for=created"), 0)
    waiting = agent.spawn("wait", "shop", "--for=synchronizing", "--json=short")
    time.sleep(0.2)
    agent.mock("SetString", "shop", "Phase", "copying")
    agent.mock("SetString", "shop", "Phase", "synchronizing")
    assert json.loads(finish(waiting, 0)[0]) == {"migration": "shop", "phase": "synchronizing"}
    waiting = agent.spawn("wait", "shop", "--for=switched", "--json=short")
    time.sleep(0.2)
    agent.mock("SetString", "shop", "Phase", "canceled")
    assert json.loads(finish(waiting, 1)[0])["error"]["name"] == CTL_ERROR + "PhaseExcluded"


def test_progress_lines(agent):
    agent.reset(results={"start": "hang"})
    start = agent.spawn("start", "shop")
    agent.wait_for_call("Start")
    agent.mock("SetString", "shop", "OperationStep", "connect")
    timer = threading.Timer(30, start.kill)
    timer.start()
    err = ""
    while not err.endswith("shop: created, start (connect)\n"):
        line = start.stderr.readline()
        assert line, err
        err += line
    agent.mock("SetString", "shop", "Phase", "copying")
    agent.mock("Finish", "shop", "done", "")
    err += start.stderr.read()
    assert start.wait(20) == 0
    timer.cancel()
    assert "shop: copying, start (connect), 25%, 1.0 GiB of 4.0 GiB\n" in err
    assert "\r" not in err


@pytest.mark.parametrize("result, status", [("done", 0), ("undone", 1)])
def test_agent_restarts(agent, result, status):
    agent.reset(results={"switch": "hang"})
    switch = agent.spawn("switch", "shop", "--yes", "--json=short")
    agent.wait_for_call("Switch")
    time.sleep(0.1)
    agent.stop()
    time.sleep(0.2)
    assert switch.poll() is None
    agent.start("7", result)
    answer = json.loads(finish(switch, status)[0])
    assert answer["id"] == 7 and answer["result"] == result


def test_forged_signal(agent):
    """A signal that anybody can send must not pass for the end of an operation."""
    agent.reset(results={"switch": "hang"})
    others = set(agent.bus.list_names())
    switch = agent.spawn("switch", "shop", "--yes", "--json=short")
    agent.wait_for_call("Switch")
    time.sleep(0.1)
    forged = dbus.lowlevel.SignalMessage("/org/polarshift1/migration/shop", "org.polarshift1.Migration",
                                         "OperationFinished")
    forged.append(7, "switch", "done", "", "", signature="tssss")
    for name in set(agent.bus.list_names()) - others:
        forged.set_destination(name)
        agent.bus.send_message(forged)
    agent.bus.flush()
    time.sleep(0.3)
    assert switch.poll() is None
    agent.mock("Finish", "shop", "undone", ERROR + "DelayTooHigh")
    assert json.loads(finish(switch, 1)[0])["result"] == "undone"


def test_agent_forgets(agent):
    agent.reset(results={"switch": "hang"})
    switch = agent.spawn("switch", "shop", "--yes", "--json=short")
    agent.wait_for_call("Switch")
    time.sleep(0.1)
    agent.stop()
    agent.start("6", "done")
    assert json.loads(finish(switch, 1)[0])["error"]["name"] == CTL_ERROR + "OutcomeUnknown"


def test_agent_stays_away(agent):
    agent.reset(results={"switch": "hang"})
    switch = agent.spawn("switch", "shop", "--yes", "--timeout=5s")
    agent.wait_for_call("Switch")
    agent.stop()
    assert "went away" in finish(switch, 3)[1]


def test_watch(agent):
    watch = agent.spawn("watch", "--json=short")
    assert json.loads(watch.stdout.readline())["changed"]["Phase"] == "created"
    agent.mock("SetString", "shop", "Phase", "copying")
    assert json.loads(watch.stdout.readline()) == {"name": "shop", "changed": {"Phase": "copying"}}
    ends(agent.run("start", "shop"), 0)
    lines = [json.loads(watch.stdout.readline()) for _ in range(3)]
    assert lines[2]["finished"] == {"id": 7, "operation": "start", "result": "done"}
    watch.send_signal(signal.SIGINT)
    finish(watch, 130)


def test_watch_lines(agent):
    watch = agent.spawn("watch", "shop")
    assert watch.stdout.readline() == "shop: created\n"
    agent.mock("SetString", "shop", "Phase", "copying")
    assert watch.stdout.readline() == "shop: copying, 25%, 1.0 GiB of 4.0 GiB\n"
    watch.send_signal(signal.SIGINT)
    finish(watch, 130)


def test_log_follow(agent):
    log = agent.spawn("log", "shop", "-f", "--json=short")
    assert json.loads(log.stdout.readline())["event"] == "created"
    assert json.loads(log.stdout.readline())["event"] == "started"
    log.send_signal(signal.SIGINT)
    finish(log, 130)


# Secrets

def test_set_credential(agent, tmp_path):
    (tmp_path / "password").write_text("s3cret\n")
    ends(agent.run("set-credential", "shop.source", "--password-file=%s" % (tmp_path / "password")), 0)
    ends(agent.run("set-credential", "shop.destination", "--password-file=-", input="other"), 0)
    assert agent.calls() == [["SetCredential", ["s", "shop.source"], ["s", "s3cret\n"], {}, ["t", 0]],
                             ["SetCredential", ["s", "shop.destination"], ["s", "other"], {}, ["t", 0]]]


def test_set_credential_refused(agent, tmp_path):
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "large").write_bytes(b"x" * (1024 * 1024 + 1))
    for words in ([], ["--password-file=%s" % (tmp_path / "absent")], ["--password-file=%s" % (tmp_path / "empty")],
                  ["--password-file=%s" % (tmp_path / "large")]):
        ends(agent.run("set-credential", "shop.source", *words), 2)
    assert agent.calls() == []


# On a terminal

class Terminal:
    def __init__(self, agent, *words, columns=140):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen([CTL, *words], env=dict(agent.environment, TERM="xterm", LINES="24"),
                                        stdin=slave, stdout=slave, stderr=slave, close_fds=True)
        os.close(slave)
        self.text = ""

    def expect(self, text):
        deadline = time.monotonic() + 30
        while text not in self.text and time.monotonic() < deadline:
            self.read()
        assert text in self.text

    def read(self):
        if select.select([self.master], [], [], 0.1)[0]:
            try:
                self.text += os.read(self.master, 4096).decode()
            except OSError:
                return False
        return True

    def type(self, text):
        os.write(self.master, text.encode())

    def end(self):
        while self.read() and self.process.poll() is None:
            pass
        while select.select([self.master], [], [], 0)[0] and self.read():
            pass
        os.close(self.master)
        return self.process.wait(timeout=10)


def test_confirmation(agent):
    terminal = Terminal(agent, "switch", "shop")
    terminal.expect("Type the migration's name (shop) to switch")
    assert "- drain" in terminal.text
    terminal.type("shop\n")
    assert terminal.end() == 0
    assert agent.calls("Plan") == [["Switch", {"expected-generation": ["t", 3]}, ["t", 0]]]


def test_confirmation_refused(agent):
    for answer, status in (("shopp\n", 1), ("\n", 1), ("\x04", 1), ("\x03", 130)):
        terminal = Terminal(agent, "cancel", "shop")
        terminal.expect("to cancel")
        if answer == "\x03":
            terminal.process.send_signal(signal.SIGINT)
        else:
            terminal.type(answer)
        assert terminal.end() == status
    assert agent.calls("Plan") == []


def test_confirmation_without_terminal(agent):
    for verb in ("switch", "rollback", "complete", "cancel"):
        assert "--yes" in ends(agent.run(verb, "shop"), 2).stderr
    assert agent.calls() == []


def test_check_is_folded(agent):
    """No line is wider than the terminal; nothing is lost, and no name between quotes is torn apart."""
    message = "the source's log keeps `a name with blanks`.`t` for it's 'own reasons', and " + "many more words " * 9 + "é☃ end"
    hint = "SET GLOBAL binlog_format = 'ROW AND MORE OF IT'; on the source, then " + "x" * 90 + " alone"
    agent.reset(checks=[("binlog-format", "ok", "ROW", ""), ("charset", "error", message, hint)])
    for columns in (80, 20):
        terminal = Terminal(agent, "check", "shop", "--no-pager", columns=columns)
        assert terminal.end() == 6
        lines = terminal.text.replace("\r", "").splitlines()
        if columns == 80:
            assert all(len(line) <= 80 or "x" * 90 in line for line in lines), lines
            assert any("`a name with blanks`.`t`" in line for line in lines) and any("'ROW AND MORE OF IT';" in line for line in lines)
        flat = " ".join(" ".join(lines).split())
        assert message in flat and "→ " + hint in flat and "1 errors" in flat
    assert sum(message in line and hint in line for line in agent.run("check", "shop").stdout.splitlines()) == 1


def test_prompt_does_not_echo(agent):
    terminal = Terminal(agent, "set-credential", "shop.source")
    terminal.type("\x13")            # the prompt has to wait, and there is no echo before it
    deadline = time.monotonic() + 30
    while termios.tcgetattr(terminal.master)[3] & termios.ECHO:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    terminal.type("\x11")
    terminal.expect("Password for credential shop.source: ")
    terminal.type("s3cret\n")
    assert terminal.end() == 0
    assert "s3cret" not in terminal.text
    assert agent.calls() == [["SetCredential", ["s", "shop.source"], ["s", "s3cret\n"], {}, ["t", 0]]]


def test_bar_and_colours(agent):
    agent.mock("SetString", "shop", "Phase", "copying")
    terminal = Terminal(agent, "wait", "shop", "--for=synchronizing")
    terminal.expect("[#######.......................]")
    agent.mock("SetString", "shop", "Phase", "synchronizing")
    assert terminal.end() == 0
    terminal = Terminal(agent, "status", "shop")
    assert terminal.end() == 0 and "\033[32m" in terminal.text
    agent.environment["NO_COLOR"] = "1"
    terminal = Terminal(agent, "status", "shop")
    del agent.environment["NO_COLOR"]
    assert terminal.end() == 0 and "\033" not in terminal.text


def test_pager(agent):
    agent.reset(report=json.dumps({"rows": list(range(50))}))
    agent.environment["PAGER"] = "sed s/^/PAGED/"
    terminal = Terminal(agent, "report", "shop")
    assert terminal.end() == 0 and "PAGEDrows:" in terminal.text
    terminal = Terminal(agent, "report", "shop", "--no-pager")
    del agent.environment["PAGER"]
    assert terminal.end() == 0 and "\r\n  - 49" in terminal.text and "PAGED" not in terminal.text


def test_watch_on_a_terminal(agent):
    agent.mock("SetString", "shop", "Phase", "copying")
    terminal = Terminal(agent, "watch")
    terminal.expect("VERIFIED")
    terminal.expect("#")                            # a bar
    copied, rates = 0, 0
    for _ in range(100):                            # a rate, once there were two looks
        copied += 50 << 20
        agent.mock("SetNumber", "shop", "BytesCopied", dbus.UInt64(copied))
        terminal.read()
        rates = terminal.text.count("MiB/s") + terminal.text.count("GiB/s")
        if rates:
            break
        time.sleep(0.1)
    assert rates, terminal.text
    agent.mock("SetNumber", "shop", "ConfirmBy", dbus.UInt64(int((time.time() + 3000) * 1e6)))
    agent.mock("SetString", "shop", "Phase", "switched")
    terminal.expect("switched")
    terminal.expect("confirm in ")
    assert terminal.text.count("\033[2J") == 1, "it is drawn over itself, without a flicker"
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130


def test_watch_one_on_a_terminal(agent):
    agent.mock("SetString", "shop", "Phase", "copying")
    terminal = Terminal(agent, "watch", "shop")
    for text in ("Rate: ", "Progress: ", "Verification: ", "Replication: "):
        terminal.expect(text)
    agent.stop()
    terminal.expect("The agent is not there; waiting for it.")
    agent.start()
    agent.reset()
    terminal.text = ""
    terminal.expect("Replication: ")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130


def screen(text):
    """The lines of the last picture that was drawn whole."""
    drawn = [frame for frame in text.split("\033[H") if "\033[J" in frame][-1]
    return re.sub(r"\033\[[0-9;]*[A-Za-z]", "", drawn).replace("\r", "").split("\n")


def test_watch_on_a_narrow_terminal(agent):
    """80 columns show the state of each migration, and all of what is wrong."""
    trouble = "the source cannot be reached: db1:3306: cannot connect (2002, HY000); look whether it runs, and at the network"
    agent.mock("SetString", "shop", "Phase", "copying")
    agent.mock("SetString", "shop", "ReplicationState", "retrying")
    agent.mock("SetError", "shop", ERROR + "SourceUnreachable", trouble)
    for words in (("watch",), ("watch", "shop")):
        terminal = Terminal(agent, *words, columns=80)
        terminal.expect("the network")
        terminal.expect("\033[J")
        lines = screen(terminal.text)
        assert max(map(len, lines)) <= 80, lines
        assert trouble in " ".join(" ".join(lines).split()), lines
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == 130
        if words == ("watch",):
            heading, row = lines[2].split(), lines[3].split()
            assert heading[:4] == ["NAME", "PHASE", "LINK", "DELAY"] and row[:4] == ["shop", "copying", "retrying", "!"], lines
            assert "#" in lines[3] and "OPERATION" not in heading and "DEADLINE" not in heading, lines

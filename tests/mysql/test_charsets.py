# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every character set of MySQL 5.6 with all that its bytes can be, and TIMESTAMPs under server zones that differ, forward and back."""

import os

import pytest

import agent as agent_module
import equal
import generate
import servers
import steps

CHARSETS = {name: (collations, letters) for name, (collations, letters) in generate.CHARSETS.items() if name != 'binary'}
ALL_BYTES = bytes(range(1, 256))
ZONES = ('+05:30', '-08:00')


def missing_charsets(server):
        there = {name for (name,) in server.admin('SELECT character_set_name FROM information_schema.character_sets')}
        return there - set(generate.CHARSETS)


def rows_of(charset):
        """SQL expressions: what has to survive as it is."""
        letters = CHARSETS[charset][1]
        rows = ["''", "'a'", "' a '", f"_utf8mb4 x'{letters.encode().hex()}'"] + [f"_utf8mb4 x'{c.encode().hex()}'" for c in letters]
        if charset not in generate.WIDTH:               # any byte is a character, or stands for none
                bytes_ = ALL_BYTES[:127] if charset in ('ascii', 'swe7') else ALL_BYTES
                rows += [f"x'{bytes_[i:i + 16].hex()}'" for i in range(0, len(bytes_), 16)]
                rows.append(f"x'{'ÄÖÜ€日本'.encode().hex()}'" if charset not in ('ascii', 'swe7') else "'plain'")     # bytes of UTF-8
        return rows


def create(server):
        script = ["SET sql_mode=''", 'CREATE DATABASE sets CHARACTER SET latin1', 'USE sets']
        for charset, (collations, letters) in CHARSETS.items():
                # Not the same members twice: in ucs2 and the like MySQL 5.6 then spoils them, ('a','b') becomes ('','b').
                member = next(c for c in reversed(letters) if c < '\U00010000')
                columns = ', '.join(f'v{n} VARCHAR(40) CHARACTER SET {charset} COLLATE {c}' for n, c in enumerate(collations))
                script.append(f'CREATE TABLE {charset} (id INT PRIMARY KEY AUTO_INCREMENT, {columns}, c CHAR(16) CHARACTER SET {charset}, '
                              f"t MEDIUMTEXT CHARACTER SET {charset}, e ENUM('a', 'b{member}') CHARACTER SET {charset}, "
                              f"s SET('c', 'd{member}') CHARACTER SET {charset}, KEY (v0), KEY (t(10)))")
        script.append('CREATE TABLE moments (id INT PRIMARY KEY AUTO_INCREMENT, t TIMESTAMP NULL, u TIMESTAMP(6) NULL, '
                      'n TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, d DATETIME(3))')
        server.script(script)


def write(server, part):
        script = ["SET sql_mode=''", 'SET NAMES utf8mb4', 'USE sets']
        for charset, (collations, _) in CHARSETS.items():
                columns = ', '.join([f'v{n}' for n in range(len(collations))] + ['c', 't', 'e', 's'])
                rows = ', '.join('(' + ', '.join([value] * (len(collations) + 1) + [f'REPEAT({value}, {part})', str(n % 3), str(n % 4)]) + ')'
                                 for n, value in enumerate(rows_of(charset)))
                script += [f'INSERT INTO {charset} ({columns}) VALUES {rows}', f'UPDATE {charset} SET c = v0, v0 = NULL ORDER BY id DESC LIMIT 3',
                           f'UPDATE {charset} SET t = CONCAT(t, v0, c) WHERE id % 4 = 1', f'DELETE FROM {charset} WHERE id % 5 = {part} LIMIT 2']
        for zone in ('SYSTEM', '+00:00', '+13:00', '-11:30', *ZONES):
                script += [f"SET time_zone='{zone}'", "INSERT INTO moments (t, u, d) VALUES ('2014-03-30 02:30:00', '1999-12-31 23:59:59.999999', NOW(3)), "
                           "('1970-01-02 00:00:01', '2038-01-18 03:14:07', '2014-03-30 02:30:00'), ('0000-00-00 00:00:00', NULL, NULL)",
                           'UPDATE moments SET t = t + INTERVAL 1 HOUR ORDER BY id DESC LIMIT 2']
        server.script(script)


@pytest.fixture(params=['mariadb', 'mysql97', 'mariadb118'])
def sides(request, server, pair):
        """The pair that tests share, or the source of it and a newer server."""
        source, destination = pair
        if request.param != 'mariadb':
                missing = servers.FLAVORS[request.param].missing()
                if missing and os.environ.get('POLARSHIFT_TEST_ALL') != '1':
                        pytest.skip(missing)
                destination = server(servers.FLAVORS[request.param])
        before = [s.variable('time_zone') for s in (source, destination)]
        for side, zone in zip((source, destination), ZONES):
                side.admin(f"SET GLOBAL time_zone = '{zone}'")
        yield source, destination
        for side, zone in zip((source, destination), before):
                side.admin(f"SET GLOBAL time_zone = '{zone}'")


def test_charsets_and_zones(sides, link):
        source, destination = sides
        assert not missing_charsets(source)
        create(source)
        write(source, 1)
        shop = link(source, destination)
        steps.start(shop)
        assert equal.compare(source, destination, ['sets']) == []       # what was copied
        write(source, 2)
        equal.wait_equal(source, destination, ['sets'])
        steps.change_side(shop, 'Switch')
        write(destination, 3)
        equal.wait_equal(source, destination, ['sets'])
        steps.change_side(shop, 'Rollback')
        write(source, 4)
        equal.wait_equal(source, destination, ['sets'])


def test_bytes_that_no_longer_fit(sides, link):
        """MySQL 5.6 lets any byte into a column of ascii, 9.7 does not: said with the table's name, and never stored otherwise."""
        source, destination = sides
        source.script(['CREATE DATABASE sets', 'CREATE TABLE sets.t (id INT PRIMARY KEY, v VARCHAR(10) CHARACTER SET ascii)',
                       "INSERT INTO sets.t VALUES (1, x'41e4')"])
        shop = link(source, destination)
        if destination.flavor == 'mariadb':
                steps.start(shop)
                assert equal.compare(source, destination, ['sets']) == []
                return
        shop.operate('Start', flags=1)
        shop.wait(lambda: shop.get('ReplicationState') == 'failed', 30, 'the stop')
        name, message = shop.get('LastError')
        assert name == agent_module.ERROR + 'DataMismatch' and '`sets`.`t`' in message


def test_member_that_no_server_shows(link, pair):
        """An emoji in an ENUM: SHOW CREATE TABLE has a question mark for it, and so would the other side."""
        source, destination = pair
        source.script(['SET NAMES utf8mb4', 'CREATE DATABASE sets', "CREATE TABLE sets.t (id INT PRIMARY KEY, e ENUM('a', 'b😀') CHARACTER SET utf8mb4)",
                       'INSERT INTO sets.t VALUES (1, 2)', 'CREATE TABLE sets.u (id INT PRIMARY KEY)'])
        with pytest.raises(agent_module.OperationFailed) as failed:
                link(source, destination, unfit='refuse', include=['sets']).operate('Start', flags=1)
        assert failed.value.short == 'UnsupportedObject' and '`sets`.`t`' in failed.value.message

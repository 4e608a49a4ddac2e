"""What somebody who means harm, or has had an accident, would type: queries that try to write, names that steer."""

HOSTILE = [
    # Plain writes.
    "DELETE FROM t",
    "UPDATE t SET v = 'x'",
    "INSERT INTO t VALUES (9, 'x')",
    "INSERT INTO `db/main`.t VALUES (9, 'x')",
    "REPLACE INTO `db`.t VALUES (1, 'z')",
    "TRUNCATE t",
    "DROP TABLE t",
    "DROP VIEW vw",
    "DROP DATABASE `db`",
    "ALTER TABLE t ADD COLUMN z INT",
    "RENAME TABLE t TO u",
    "CREATE TABLE evil (id INT PRIMARY KEY)",
    "CREATE TABLE `db/other`.evil (id INT PRIMARY KEY)",
    "CREATE TEMPORARY TABLE evil (id INT)",
    "CREATE TABLE evil AS SELECT * FROM t",
    "CREATE VIEW evil AS SELECT 1",
    "CREATE DATABASE evil",
    "CREATE USER evil",
    "CREATE TRIGGER evil BEFORE INSERT ON t FOR EACH ROW SET NEW.v = 'x'",
    "CREATE PROCEDURE evil() SELECT 1",
    "CREATE EVENT evil ON SCHEDULE EVERY 1 SECOND DO DELETE FROM t",
    "LOAD DATA INFILE '{load}/x' INTO TABLE t",
    "LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE t",
    "ANALYZE TABLE t",
    "EXPLAIN ANALYZE DELETE FROM t",
    "EXPLAIN DELETE FROM t",
    "HANDLER t OPEN",
    "LOCK TABLES t WRITE",
    "IMPORT TABLE FROM 't.sdi'",
    # Dolt's procedures, also as functions.
    "CALL DOLT_BRANCH('evil')",
    "CALL DOLT_BRANCH('-D', 'other')",
    "CALL DOLT_COMMIT('--allow-empty', '-m', 'evil')",
    "CALL DOLT_RESET('--hard', 'HEAD~1')",
    "CALL DOLT_CHECKOUT('other')",
    "CALL DOLT_TAG('evil')",
    "CALL DOLT_TAG('-d', 'v1')",
    "CALL DOLT_REMOTE('add', 'evil', 'file://{out}')",
    "CALL DOLT_BACKUP('sync-url', 'file://{out}')",
    "CALL DOLT_CLONE('file://{out}')",
    "CALL DOLT_GC()",
    "CALL DOLT_STASH('push', 'evil')",
    "CALL DOLT_PURGE_DROPPED_DATABASES()",
    "CALL `db/main`.DOLT_BRANCH('evil')",
    "CALL change_it()",
    "SELECT DOLT_COMMIT('-m', 'x')",
    "SELECT `dolt_branch`('evil')",
    "SELECT (CALL DOLT_BRANCH('evil'))",
    "SELECT * FROM dolt_query_diff('DELETE FROM t', 'SELECT 1')",
    # The server and the session.
    "SET @a = 1",
    "SET GLOBAL max_connections = 1",
    "SET PERSIST max_connections = 77",
    "SET @@PERSIST.autocommit = 0",
    "SET GLOBAL dolt_read_replica_remote = 'evil'",
    "SET PASSWORD = 'x'",
    "ALTER USER doltflow_reader@'%' IDENTIFIED BY 'x'",
    "GRANT ALL ON *.* TO doltflow_reader@'%'",
    "REVOKE ALL ON *.* FROM root",
    "FLUSH PRIVILEGES",
    "KILL 1",
    "SHUTDOWN",
    "USE `db/main`",
    "BEGIN",
    "PREPARE s FROM 'DELETE FROM t'",
    "EXECUTE s",
    "DO SLEEP(0)",
    "DELIMITER //",
    "SELECT @a := 1",
    "SELECT @@secure_file_priv",
    "SELECT /*+ SET_VAR(sql_mode = '') */ 1",
    # Files.
    "SELECT 'x' INTO OUTFILE '{out}/x'",
    "SELECT 'x' INTO DUMPFILE '{out}/y'",
    "SELECT v FROM t INTO OUTFILE '{load}/x'",
    "SELECT 'x' INTO DUMPFILE '{load}-x'",
    "SELECT 'x' INTO DUMPFILE '{folder}/.dolt/temptf/x'",
    "SELECT 'x' INTO DUMPFILE '{folder}/.dolt/x'",
    "SELECT 'x' INTO OUTFILE 'evil.txt'",
    "SELECT 'x' INTO @a",
    "(SELECT 'x') INTO OUTFILE '{out}/z'",
    "SELECT 1 UNION SELECT 2 INTO OUTFILE '{out}/u'",
    "SELECT 'x' /**/INTO/**/OUTFILE/**/'{out}/c'",
    "SELECT LOAD_FILE('/etc/hostname')",
    "TABLE t INTO OUTFILE '{out}/t'",
    "VALUES ROW('x') INTO OUTFILE '{out}/v'",
    # Several statements, and what hides them.
    "SELECT 1; DELETE FROM t",
    "SELECT 1;\nDROP TABLE t;",
    "SELECT 1; -- x\nDELETE FROM t",
    "SELECT 1;; DELETE FROM t",
    "; DELETE FROM t",
    "/* SELECT 1 */ DELETE FROM t",
    "-- SELECT 1\nDELETE FROM t",
    "# SELECT 1\nDELETE FROM t",
    "SELECT 1 -- ; DELETE FROM t",
    "SELECT 1 /* '; DELETE FROM t; ' */",
    "SELECT 1 --; DELETE FROM t",
    "SELECT 1 /*! ; DELETE FROM t */",
    "/*! DELETE FROM t */",
    "/*!50000 DELETE FROM t */",
    "/*!99999 SELECT */ /*! DELETE */ FROM t",
    "SELECT 1 /*!INTO OUTFILE '{out}/e'*/",
    "/* /* */ DELETE FROM t -- */",
    "SELECT 'a'' ; DELETE FROM t; -- ",
    "SELECT 1 // ; DELETE FROM t",
    # Reads that lock, wait, or change.
    "SELECT * FROM t FOR UPDATE",
    "SELECT * FROM t LOCK IN SHARE MODE",
    "SELECT GET_LOCK('x', 0)",
    "SELECT RELEASE_ALL_LOCKS()",
    "SELECT SLEEP(0.001)",
    "SELECT BENCHMARK(1, 1)",
    "SELECT LAST_INSERT_ID(5)",
    "WITH q AS (SELECT 1) DELETE FROM t",
    "WITH q AS (DELETE FROM t) SELECT 1",
    "WITH q AS (SELECT 1) INSERT INTO t SELECT 9, 'x'",
    "WITH q AS (SELECT 1) UPDATE t SET v = 'x'",
    "SELECT * FROM (DELETE FROM t) q",
    # Letters, blanks and bytes that look like others.
    "\uff24\uff25\uff2c\uff25\uff34\uff25 FROM t",  # DELETE, full width
    "D\u0395L\u0395T\u0395 FROM t",  # Greek letters
    "DELETE\u00a0FROM\u00a0t",
    "\ufeffDELETE FROM t",
    "\u200bDELETE FROM t",
    "DELETE\x0bFROM\x0bt",
    "DELETE\x0cFROM\x0ct",
    "DELETE\x00FROM t",
    "SELECT 1\x00; DELETE FROM t",
    "SELECT '\ud800'; DELETE FROM t",
    "SELECT 1\u037e DELETE FROM t",  # the Greek question mark
    "SELECT 1 \u2028 DELETE FROM t",
    "\u202eDELETE FROM t",
    "SELECT 1 `; DELETE FROM t",
]
"""Where `{out}` is a folder to write to, `{folder}` the database's and `{load}` the one that its server loads from."""

WHERE = [
    "1 = 1; DELETE FROM t",
    "1 = 1) INTO OUTFILE '{out}/x' -- ",
    "1 = 1 INTO OUTFILE '{out}/x'",
    "1 = 1) INTO DUMPFILE '{load}/x' #",
    "true) UNION SELECT 1 INTO OUTFILE '{load}/y' -- ",
    "1 = 1 FOR UPDATE",
    "1 = 1 LIMIT 1 INTO @a",
    "1 = 1); DROP TABLE t; -- ",
    "id IN (DELETE FROM t)",
    "LOAD_FILE('/etc/hostname') IS NULL",
    "GET_LOCK('x', 0) = 1",
    "SLEEP(0.001) = 0",
    "(SELECT DOLT_BRANCH('evil')) = 1",
    "id = 1 /*! INTO OUTFILE '{out}/z' */",
    "@a := 1",
    "1 = 1 PROCEDURE ANALYSE()",
    "1 = 1\x00",
    "v = '\ud800'",
]

STEERING = "\x1b[31m\x1b]0;owned\x07\x08\r\x7f\x85\x9b31m\u202e\u2066\u200b\u200f\ufeff"
"""What would colour, retitle, erase, reorder or hide on a terminal."""

NAMES = [
    "it's",
    "b`t",
    'q"q',
    "a;b",
    "a,b",
    "a.b",
    "a b",
    "../x",
    "--help",
    "-D",
    "#x",
    "a%sb",
    "a\\b",
    "*",
    "select",
    "[bold]{x}$y",
    "\u0634\u0643\u0631\u0627",
    f"e{STEERING}\n-- n",
]
"""Names that Dolt takes for tables and columns."""


def steers(text: str) -> list[str]:
    """The characters of a text that a terminal must not be given."""
    allowed = "\n"
    steering = "\u061c\u200b\u200e\u200f\u2028\u2029\ufeff"
    return sorted(
        {
            char
            for char in text
            if (ord(char) < 0x20 and char not in allowed)
            or 0x7F <= ord(char) <= 0x9F
            or 0x202A <= ord(char) <= 0x202E
            or 0x2060 <= ord(char) <= 0x206F
            or char in steering
        }
    )

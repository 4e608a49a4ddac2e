"""`doltflow.sql`: what a query reads, that it only reads, and that Dolt is as the lists in it say."""

import csv
import io
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import sqlglot
from conftest import dolt, head, isolated, make_database
from hypothesis import given
from hypothesis import strategies as st

from doltflow.errors import QueryError
from doltflow.sql import QueryReads, RefRead, analyse, check_predicate, literal, quote, tables_of

SCHEMA = {"T": ["id", "a", "b"], "u": ["id", "C"], "w": ["k", "d"]}


def reads(*tables: str, **columns: str | None) -> QueryReads:
    """Reads at the pinned commit: a table's columns in one string, None for all of them."""
    told = {name: None if names is None else tuple(names.split()) for name, names in columns.items()}
    return QueryReads(tables=tables, columns=tuple((table, told.get(table)) for table in tables))


def as_of(table: str, ref: str, database: str | None = None) -> RefRead:
    return RefRead(table, ref, database, "as_of")


def revision(table: str, ref: str, database: str) -> RefRead:
    return RefRead(table, ref, database, "revision")


def argument(table: str, ref: str) -> RefRead:
    return RefRead(table, ref, None, "function")


PLAIN = [
    ("SELECT 1", reads()),
    ("select 1 from dual", reads()),
    ("SELECT a, b FROM t WHERE c = 1 ORDER BY d", reads("t", t="a b c d")),
    ("SELECT * FROM t", reads("t")),
    ("TABLE t", reads("t")),
    ("(SELECT a FROM t)", reads("t", t="a")),
    ("SELECT count(*) FROM t", reads("t", t="")),
    ("SELECT x.* FROM t x", reads("t")),
    ("SELECT a FROM t;", reads("t", t="a")),
    ("SELECT a FROM t ; -- the end\n", reads("t", t="a")),
    ("VALUES ROW(1, 2), ROW(3, 4)", reads()),
    ("SELECT * FROM (VALUES ROW(1, 2)) AS v (x, y)", reads()),
    ("SELECT t.a, u.c FROM t JOIN u ON t.id = u.id", reads("t", "u", t="a id", u="c id")),
    ("SELECT t.a FROM t, u WHERE t.id = u.id", reads("t", "u", t="a id", u="id")),
    ("SELECT t.a FROM t STRAIGHT_JOIN u ON t.id = u.id", reads("t", "u", t="a id", u="id")),
    ("SELECT STRAIGHT_JOIN SQL_NO_CACHE DISTINCT a FROM t", reads("t", t="a")),
    ("SELECT t.a FROM t JOIN u USING (id)", reads("t", "u", t="a id", u="id")),
    ("SELECT id FROM t JOIN u USING (id)", reads("t", "u", t="id", u="id")),
    ("SELECT t.a FROM (t JOIN u ON t.id = u.id)", reads("t", "u", t="a id", u="id")),
    ("SELECT x.a FROM t USE INDEX (i) JOIN t x ON t.id = x.k", reads("t", t="a id k")),
    ("SELECT x.a, y.b FROM t x JOIN t y ON x.id = y.id", reads("t", t="a b id")),
    ("SELECT a FROM t UNION ALL SELECT c FROM u EXCEPT SELECT k FROM w", reads("t", "u", "w", t="a", u="c", w="k")),
    ("(SELECT a FROM t ORDER BY b) UNION (SELECT c FROM u) ORDER BY 1", reads("t", "u", t="a b", u="c")),
    ("WITH q AS (SELECT a FROM t) SELECT * FROM q", reads("t", t="a")),
    ("WITH q (x) AS (SELECT a FROM t), r AS (SELECT x FROM q) SELECT x FROM r", reads("t", t="a")),
    ("WITH t AS (SELECT a FROM t) SELECT a FROM t", reads("t", t="a")),
    ("WITH T AS (SELECT c FROM u) SELECT * FROM t", reads("u", u="c")),
    ("WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT n FROM t", reads()),
    ("SELECT a FROM (SELECT a, b FROM t) d", reads("t", t="a b")),
    ("SELECT d.x FROM (SELECT a FROM t) d (x)", reads("t", t="a")),
    ("SELECT l.c FROM t, LATERAL (SELECT u.c FROM u WHERE u.id = t.id) l", reads("t", "u", t="id", u="c id")),
    ("SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.id = t.id)", reads("t", "u", t="id", u="id")),
    ("SELECT t.a, (SELECT max(u.c) FROM u) FROM t", reads("t", "u", t="a", u="c")),
    ("SELECT t.a FROM t WHERE (t.a, t.b) IN (TABLE u)", reads("t", "u", t="a b")),
    ("SELECT sum(a) OVER w, rank() OVER (ORDER BY b) FROM t WINDOW w AS (PARTITION BY c)", reads("t", t="a b c")),
    ("SELECT a AS x, b FROM t ORDER BY x", reads("t", t="a b")),
    ("SELECT a AS x FROM t GROUP BY a HAVING count(b) > 1", reads("t", t="a b")),
    ("SELECT a AS a FROM t GROUP BY a", reads("t", t="a")),
    ("SELECT A, a, t.A FROM t", reads("t", t="A")),
    ("SELECT x.a FROM T x, t y WHERE y.b = 1", reads("T", T="a b")),
    ("SELECT j.n, t.a FROM t, JSON_TABLE(t.b, '$[*]' COLUMNS (n INT PATH '$')) j", reads("t", t="a b")),
    (
        "SELECT a COLLATE utf8mb4_bin, _utf8mb4'x', INTERVAL 1 DAY + b, CAST(c AS DECIMAL(9,2)) FROM t",
        reads("t", t="a b c"),
    ),
    (
        "SELECT timestampdiff(month, a, b), extract(year_month FROM c), trim(both 'x' FROM d) FROM t",
        reads("t", t="a b c d"),
    ),
    (
        "SELECT `a``b`, \"no column\", 'it''s', 'x\\'; y' FROM `select`",
        QueryReads(("select",), (("select", ("a`b",)),)),
    ),
    ("SELECT `größe` FROM `Übung 1`", QueryReads(("Übung 1",), (("Übung 1", ("größe",)),))),
    ("SELECT a # it's not -- /*\nFROM t", reads("t", t="a")),
    ("SELECT /* FROM u */ a -- FROM u\n FROM /*+ LOOKUP_JOIN(t,u) */ t", reads("t", t="a")),
    ("SELECT ' -- ', \" # \", '/*', a, `*/`, ';' FROM t", QueryReads(("t",), (("t", ("*/", "a")),))),
]

UNTOLD = [
    ("SELECT a FROM t JOIN u ON t.id = u.id", reads("t", "u")),
    ("SELECT t.a FROM t JOIN u ON t.id = u.id WHERE b = 1", reads("t", "u")),
    ("SELECT t.a FROM t WHERE t.b IN (SELECT c FROM u)", reads("t", "u")),
    ("SELECT a, x FROM t, (SELECT c AS x FROM u) d", reads("t", "u", t="a", u="c")),
    ("SELECT a FROM t, (SELECT * FROM u) d", reads("t", "u")),
    ("SELECT t.a FROM t NATURAL JOIN u", reads("t", "u")),
    ("SELECT year(a) AS y FROM t GROUP BY y", reads("t")),
]

TOLD_BY_SCHEMA = [
    ("SELECT a, c FROM t JOIN u ON t.id = u.id", reads("t", "u", t="a id", u="C id")),
    ("SELECT a FROM t WHERE b IN (SELECT c FROM u)", reads("t", "u", t="a b", u="C")),
    ("SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE c = b)", reads("t", "u", t="a b", u="C")),
    ("SELECT A, d FROM t, w", reads("t", "w", t="a", w="d")),
    ("SELECT a, x FROM t JOIN v ON true", reads("t", "v", t="a", v="x")),
    ("SELECT a FROM t JOIN v ON v.z", reads("t", "v", t="a", v="z")),
    ("SELECT x FROM v JOIN v2 ON true", reads("v", "v2")),
    ("SELECT id FROM t JOIN u USING (id) JOIN w ON w.k = id", reads("t", "u", "w", t="id", u="id", w="k")),
    ("SELECT year(b) AS y, avg(a) AS m FROM t GROUP BY y HAVING m > 1 ORDER BY y", reads("t", t="a b")),
    ("SELECT max(a) AS b FROM t GROUP BY b", reads("t")),
    ("SELECT * FROM t JOIN u ON c = a", reads("t", "u")),
    ("SELECT a, c FROM t AS OF 'v1' JOIN u ON true", QueryReads(("u",), (("u", ("C",)),), (as_of("t", "v1"),))),
]

ELSEWHERE = [
    ("SELECT * FROM t AS OF 'main'", QueryReads(refs=(as_of("t", "main"),))),
    ("SELECT x.a FROM t AS OF 'main~1' AS x WHERE x.b = 1", QueryReads(refs=(as_of("t", "main~1"),))),
    ("SELECT x.a FROM t AS OF main x", QueryReads(refs=(as_of("t", "main"),))),
    ("SELECT a FROM t as/**/of 'ma' \"in\"", QueryReads(refs=(as_of("t", "main"),))),
    ("SELECT a FROM t FOR VERSION AS OF 'v1'", QueryReads(refs=(as_of("t", "v1"),))),
    ("SELECT a FROM t FOR SYSTEM_TIME AS OF 'it''s'", QueryReads(refs=(as_of("t", "it's"),))),
    (
        "SELECT a FROM t AS OF TIMESTAMP('2024-01-31')",
        QueryReads(refs=(as_of("t", "TIMESTAMP('2024-01-31')"),)),
    ),
    (
        "SELECT a FROM t AS OF CAST('2024-01-31' AS DATETIME(6)) x",
        QueryReads(refs=(as_of("t", "CAST('2024-01-31' AS DATETIME(6))"),)),
    ),
    (
        "SELECT t.a FROM t JOIN `a b` AS OF 'v1' o ON o.id = t.id",
        QueryReads(("t",), (("t", ("a", "id")),), (as_of("a b", "v1"),)),
    ),
    (
        "WITH q AS (SELECT a FROM t AS OF 'v1') SELECT a FROM q UNION SELECT b FROM u AS OF 'v2' WHERE b IN "
        "(SELECT c FROM w AS OF 'v3')",
        QueryReads(refs=(as_of("t", "v1"), as_of("u", "v2"), as_of("w", "v3"))),
    ),
    ("SELECT x.a, t.b FROM t, t AS OF 'v1' x", QueryReads(("t",), (("t", ("b",)),), (as_of("t", "v1"),))),
    ("SELECT a FROM (t AS OF 'v1', t AS OF 'v1' x)", QueryReads(refs=(as_of("t", "v1"),))),
    ("SELECT 'x AS OF y', a `AS OF` FROM t -- AS OF 'main'", reads("t", t="a")),
    ("SELECT a FROM t AS `of`", reads("t", t="a")),
    ("SELECT a FROM `db/main`.t", QueryReads(refs=(revision("t", "main", "db"),))),
    ("SELECT a FROM `db@feature/x`.t", QueryReads(refs=(revision("t", "feature/x", "db"),))),
    ("SELECT `db/v1`.t.a, t.b FROM `db/v1` . `t`", QueryReads(refs=(revision("t", "v1", "db"),))),
    (
        "SELECT u.a FROM u LEFT JOIN `db/v1`.t ON (SELECT 1 FROM `db/v2`.w LIMIT 1) = u.b",
        QueryReads(("u",), (("u", ("a", "b")),), (revision("t", "v1", "db"), revision("w", "v2", "db"))),
    ),
    ("SELECT a FROM db.t, Other.u", QueryReads(databases=("Other", "db"))),
    ("SELECT db.t.a FROM db.t AS OF 'v1'", QueryReads(refs=(as_of("t", "v1", "db"),))),
    ("SELECT a/b AS `a/b` FROM t x", reads("t", t="a b")),
]

DOLTS_OWN = [
    ("SELECT message FROM dolt_log", QueryReads()),
    ("SELECT * FROM DOLT_LOG()", QueryReads()),
    ("SELECT * FROM dolt_log('main')", QueryReads(refs=(argument("dolt_log", "main"),))),
    (
        "SELECT * FROM dolt_log('a..b', '--tables', 't,u', '--parents')",
        QueryReads(refs=(argument("t", "a"), argument("t", "b"), argument("u", "a"), argument("u", "b"))),
    ),
    ("SELECT 1 FROM dolt_log('--tables', 't')", QueryReads(("t",), (("t", None),))),
    (
        "SELECT 1 FROM dolt_log('main', '^v1')",
        QueryReads(refs=(argument("dolt_log", "main"), argument("dolt_log", "v1"))),
    ),
    (
        "SELECT 1 FROM dolt_diff('a', 'b', 't')",
        QueryReads(refs=(argument("t", "a"), argument("t", "b"))),
    ),
    (
        "SELECT 1 FROM dolt_diff('a...b', 't', '-sk')",
        QueryReads(refs=(argument("t", "a"), argument("t", "b"))),
    ),
    (
        "SELECT 1 FROM dolt_patch('a', 'b')",
        QueryReads(refs=(argument("dolt_patch", "a"), argument("dolt_patch", "b"))),
    ),
    (
        "SELECT a FROM dolt_diff_t x, dolt_blame_U",
        QueryReads(("U", "t"), (("U", None), ("t", None))),
    ),
    (
        "SELECT a, commit_date FROM dolt_history_t WHERE id = 1",
        QueryReads(("t",), (("t", None),)),
    ),
    (
        "SELECT commit_hash AS h FROM dolt_history_t GROUP BY commit_hash ORDER BY h",
        QueryReads(("t",), (("t", None),)),
    ),
    (
        "SELECT d.a FROM (SELECT a FROM dolt_history_t) d",
        QueryReads(("t",), (("t", None),)),
    ),
    ("SELECT 1 FROM dolt_history_t AS OF 'v1'", QueryReads(refs=(as_of("t", "v1"),))),
    ("SELECT 1 FROM `db/v1`.dolt_log", QueryReads(refs=(revision("dolt_log", "v1", "db"),))),
    ("SELECT dolt_hashof('main')", QueryReads(refs=(argument("dolt_hashof", "main"),))),
    ("SELECT dolt_hashof('HEAD'), dolt_hashof_db()", QueryReads()),
    ("SELECT dolt_hashof_table('t')", QueryReads(("t",), (("t", None),))),
    ("SELECT has_ancestor('a', 'b')", QueryReads(refs=(argument("has_ancestor", "a"), argument("has_ancestor", "b")))),
    (
        "SELECT NOW(), `rand`(), uuid(), current_date, unix_timestamp(), t.now FROM t",
        QueryReads(("t",), (("t", ("now",)),)),
    ),
    ("SELECT unix_timestamp(a) FROM t", reads("t", t="a")),
]


@pytest.mark.parametrize(("query", "expected"), PLAIN + UNTOLD + ELSEWHERE + DOLTS_OWN)
def test_what_a_query_reads(query: str, expected: QueryReads) -> None:
    assert replace(analyse(query), whole=()) == expected


@pytest.mark.parametrize(("query", "expected"), TOLD_BY_SCHEMA)
def test_a_schema_tells_unqualified_columns_apart(query: str, expected: QueryReads) -> None:
    assert replace(analyse(query, SCHEMA), whole=()) == expected


REFUSED = [
    ("", "is empty"),
    ("  -- nothing\n;", "is empty"),
    ("SELEC 1", "is no SELECT: it begins with `SELEC 1`"),
    ("SELECT a FRM t WHERE", "cannot be parsed at `t WHERE`"),
    ("SELECT (1", "cannot be parsed"),
    ("SELECT date_add(, interval 1 day)", "cannot be parsed"),
    ("SELECT " + "(" * 3000 + "1" + ")" * 3000, "nested too deeply"),
    # Everything that is no read.
    *(
        (f"{start} x", "is no SELECT")
        for start in (
            "INSERT INTO t VALUES (1),",
            "UPDATE t SET a = 1,",
            "DELETE FROM t,",
            "REPLACE INTO t VALUES (1),",
            "CREATE TABLE",
            "DROP TABLE",
            "ALTER TABLE t ADD",
            "TRUNCATE",
            "CALL dolt_commit(),",
            "SET",
            "USE",
            "LOAD DATA INFILE 'f' INTO TABLE",
            "GRANT ALL ON t TO",
            "SHOW TABLES LIKE",
            "DESCRIBE",
            "EXPLAIN SELECT",
            "BEGIN",
            "DO",
            "DELIMITER",
            "PREPARE",
        )
    ),
    ("WITH q AS (SELECT 1) UPDATE t SET a = 1", "UPDATE"),
    ("WITH q AS (SELECT 1) DELETE FROM t", "DELETE"),
    ("WITH q AS (SELECT 1) INSERT INTO t SELECT 1", "inserts"),
    ("SELECT 1; SELECT 2", "several statements"),
    ("SELECT 1;;", "several statements"),
    ("SELECT 1; DROP TABLE t", "several statements: a `;` stands at `; DROP TABLE t`"),
    ("SELECT a FROM t INTO OUTFILE '/tmp/x'", "INTO"),
    ("SELECT a FROM t INTO DUMPFILE '/tmp/x'", "INTO"),
    ("SELECT 1 INTO x", "INTO"),
    ("SELECT a FROM t FOR UPDATE", "UPDATE"),
    ("SELECT a FROM t FOR SHARE", "locks"),
    ("SELECT a FROM t LOCK IN SHARE MODE", "LOCK"),
    # Variables, placeholders, comments that run.
    ("SELECT @x := 1", "variable"),
    ("SELECT @@db_head", "variable"),
    ("SELECT a FROM t WHERE a = ?", "placeholder"),
    ("SELECT :a", "placeholder"),
    ("SELECT /*! 1 */ 2", "hides SQL"),
    ("SELECT /*M! 1 */ 2", "hides SQL"),
    ("SELECT /*!50000 a */ FROM t", "hides SQL"),
    ("SELECT /*+ SET_VAR(sql_mode = '') */ 1", "sets a variable"),
    # Text that Dolt, its command line and MySQL read differently.
    ("SELECT 1 -- ; DROP TABLE t", "comment"),
    ("SELECT 1 /* ; DROP TABLE t */", "comment"),
    ("SELECT 1; -- ; DROP TABLE t", "comment"),
    ("SELECT 1 /* it's */, '; DROP TABLE t; -- '", "comment"),
    ("SELECT 1--1", "`--` without a blank"),
    ("SELECT 4 // 2", "`//`"),
    ("SELECT 'abc", "does not end"),
    ("SELECT `abc", "does not end"),
    ("SELECT 1 /* abc", "does not end"),
    ("SELECT '\\'", "does not end"),
    ("SELECT größe FROM t", "must be quoted at `größe FROM t`"),
    ("SELECT 2019_x FROM t", "must be quoted"),
    ("SELECT N'abc'", "two ways"),
    ("SELECT {d '2024-01-31'}", "no meaning"),
    ("SELECT\u00a01", "no meaning"),
    ("SELECT '\0'", "NUL"),
    ("SELECT '\ud800'", "broken character"),
    ("SELECT 1 FROM ``", "empty name"),
    ("SELECT * FROM t, tablesample", "`tablesample`"),
    ("SELECT * FROM t, qualify u", "`qualify`"),
    ("SELECT * FROM t PIVOT (sum(a) FOR b IN ('x'))", "PIVOT"),
    ("SELECT a FROM x.y.z", "cannot be told"),
    ("SELECT x.a FROM t", "no table or alias"),
    ("SELECT other.t.a FROM t", "no table or alias"),
    ("SELECT t.a FROM (SELECT 1 FROM t) d", "no table or alias"),
    # Functions.
    ("SELECT load_file('/etc/passwd')", "reads a file"),
    ("SELECT `LOAD_FILE` ('/etc/passwd')", "reads a file"),
    ("SELECT 1 FROM t WHERE get_lock('x', 1)", "lock"),
    ("SELECT release_lock/**/('x')", "lock"),
    ("SELECT sleep(1)", "waits"),
    ("SELECT benchmark(9, 1)", "takes time"),
    ("SELECT last_insert_id(5)", "session"),
    ("SELECT frobnicate(1)", "does not know"),
    ("SELECT dolt_commit('-m', 'x')", "does not know"),
    ("SELECT db.now()", "no table or alias"),
    ("SELECT * FROM frobnicate('x')", "FROBNICATE"),
    ("SELECT * FROM dolt_query_diff('DROP TABLE t', 'SELECT 1')", "runs SQL"),
    ("SELECT * FROM dolt_test_run()", "runs SQL"),
    ("SELECT * FROM dolt_reflog()", "branches"),
    ("SELECT * FROM dolt_log(concat('ma', 'in'))", "computes an argument"),
    ("SELECT * FROM dolt_log('main' 'x', )", "computes an argument|cannot be parsed"),
    ("SELECT * FROM dolt_log('--all')", "--all"),
    ("SELECT * FROM dolt_log('--decorate', 'full')", "--decorate"),
    ("SELECT * FROM dolt_log('HEAD~1')", "HEAD"),
    ("SELECT * FROM dolt_log('main..')", "without an end"),
    ("SELECT * FROM dolt_diff('WORKING', 'main', 't')", "working set"),
    ("SELECT * FROM dolt_diff('main', 't')", "does not take"),
    ("SELECT dolt_hashof(a) FROM t", "computes an argument"),
    # Revisions that nobody can resolve, or Dolt resolves otherwise.
    ("SELECT * FROM t AS OF 'HEAD'", "HEAD"),
    ("SELECT * FROM t AS OF head", "head"),
    ("SELECT * FROM t AS OF 'HEAD~2'", "HEAD~2"),
    ("SELECT * FROM t AS OF 'WORKING'", "working set"),
    ("SELECT * FROM t AS OF 'STAGED'", "working set"),
    ("SELECT * FROM t AS OF ''", "no ref"),
    ("SELECT * FROM t AS OF", "without a ref"),
    ("SELECT * FROM t AS OF concat('ma', 'in')", "computes a ref"),
    ("SELECT * FROM t AS OF now()", "computes a ref"),
    ("SELECT * FROM t AS OF current_timestamp", "computes a ref"),
    ("SELECT * FROM t AS OF NULL", "computes a ref"),
    ("SELECT * FROM t AS OF x'6D61696E'", "no ref"),
    ("SELECT * FROM t AS OF _utf8mb4'main'", "computes a ref"),
    ("SELECT * FROM t AS OF TIMESTAMP(now())", "computes a ref"),
    ("SELECT * FROM t AS OF 'a' + 'b'", "computes a ref"),
    ("SELECT * FROM t AS OF 'a' DIV 2", "computes a ref"),
    ("SELECT * FROM t AS OF 'a' 'b' + 'c'", "computes a ref"),
    ("SELECT * FROM t FOR SYSTEM_TIME ALL", "range of versions"),
    ("SELECT * FROM t FOR VERSION BETWEEN 'a' AND 'b'", "range of versions"),
    ("SELECT * FROM t VERSIONS BETWEEN 'a' AND 'b'", "cannot be parsed"),
    ("SELECT * FROM (SELECT 1) AS OF 'main'", "not a table"),
    ("SELECT a AS OF FROM t", "not a table"),
    ("SELECT * FROM t x AS OF 'main'", "not a table"),
    ("WITH t AS (SELECT 1) SELECT * FROM t AS OF 'main'", "takes the CTE"),
    ("WITH t AS (SELECT 1) SELECT * FROM `db/main`.t", "takes the CTE"),
    ("SELECT * FROM `db/v1`.t AS OF 'main'", "two revisions"),
    ("SELECT * FROM `db/`.t", "no ref"),
    ("SELECT * FROM `/main`.t", "no database"),
    ("SELECT * FROM `db/HEAD`.t", "HEAD"),
    ("SELECT * FROM `db@WORKING`.t", "working set"),
    # Tables that do not belong to a commit.
    *(
        (f"SELECT * FROM {name}", "can change|server's own")
        for name in (
            "dolt_branches",
            "DOLT_BRANCHES",
            "`dolt_remote_branches`",
            "dolt_remotes",
            "dolt_status",
            "dolt_tags",
            "dolt_commits",
            "dolt_commit_ancestors",
            "dolt_workspace_t",
            "dolt_conflicts",
            "dolt_conflicts_t",
            "dolt_commit_diff_t",
            "dolt_stashes",
            "dolt_statistics",
            "dolt_backups",
            "dolt_branch_activity",
            "dolt_merge_status",
            "dolt_branch_control",
            "dolt_no_such",
            "dolt_history_dolt_branches",
            "dolt_diff_",
            "`db/main`.dolt_branches",
            "db.dolt_status",
            "information_schema.tables",
            "INFORMATION_SCHEMA.columns",
            "mysql.user",
            "performance_schema.x",
            "sys.x",
        )
    ),
    # Tables of history by which any commit can be found.
    ("SELECT * FROM dolt_history_t WHERE commit_hash = 'x'", "commit_hash"),
    ("SELECT * FROM dolt_diff WHERE `Commit_Hash` = 'x'", "commit_hash"),
    ("SELECT commit_hash c FROM dolt_history_t HAVING c = 'x'", "commit_hash"),
    ("SELECT 1 FROM dolt_history_t h JOIN w ON w.k = h.commit_hash", "commit_hash"),
    ("SELECT 1 FROM dolt_history_t h JOIN w USING (commit_hash)", "commit_hash"),
    ("SELECT 1 FROM dolt_history_t h NATURAL JOIN w", "commit_hash"),
    ("SELECT c FROM (SELECT commit_hash AS c FROM dolt_history_t) d WHERE c = 'x'", "commit_hash"),
    ("SELECT x FROM (SELECT * FROM dolt_history_t) d (p, q, r, x, y, z) WHERE x = 'x'", "commit_hash"),
    ("WITH d (p, x) AS (SELECT h.* FROM dolt_history_t h) SELECT * FROM d WHERE x = 'x'", "commit_hash"),
    ("SELECT (SELECT 1 FROM w WHERE w.k = commit_hash) FROM dolt_history_t", "commit_hash"),
]


@pytest.mark.parametrize(("query", "message"), REFUSED)
def test_what_is_refused(query: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        analyse(query)
    assert tables_of(query) is None


def test_tables_of() -> None:
    assert tables_of("SELECT * FROM b JOIN a USING (id)") == ("a", "b")


@pytest.mark.parametrize(
    "text",
    [
        "a = 1",
        "NOT a",
        "a AND TRUE",
        "coalesce(a, b)",
        "t.a > 1 AND (b LIKE '%;--%' OR `c d` IS NOT NULL)",
        "state IN ('NY', \"it's\") AND d BETWEEN '2024-01-01' AND now()",
        "NOT (a, b) IN ((1, 2), (3, 4))",
        "(a = 1) OR (b = 2)",
        "CASE WHEN a THEN b ELSE left(c, 1) = 'x' END",
    ],
)
def test_predicates(text: str) -> None:
    check_predicate(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("a = 1; DROP TABLE t", "goes on"),
        ("a = 1;", "goes on"),
        ("a = 1) OR (b = 2", "goes on"),
        ("a = 1) UNION SELECT (1", "goes on"),
        ("(a = 1", "not closed"),
        ("a = 1 -- x", "comment"),
        ("a = 1 # x", "comment"),
        ("a = /* x */ 1", "comment"),
        ("a = /*! 1 */ 1", "hides SQL"),
        ("a = 1 ORDER BY b", "predicate cannot be parsed|no predicate"),
        ("a = 1 LIMIT 1", "predicate cannot be parsed|no predicate"),
        ("a, b", "no predicate"),
        ("a AS b", "cannot be parsed at `AS b`"),
        ("SELECT 1", "cannot be parsed at `SELECT 1`"),
        ("a IN (SELECT c FROM u)", "subquery"),
        ("EXISTS (TABLE u)", "subquery"),
        ("a = 1 INTO OUTFILE 'x'", "INTO"),
        ("a = load_file('x')", "reads a file"),
        ("a = @x", "variable"),
        ("a = 'x", "does not end"),
        ("a AS OF 'main'", "revision"),
        ("a =", "predicate cannot be parsed at `=`\\.$"),
        ("a = 1\nlimit 1", "^`a = 1 limit 1` is no predicate\\. Give"),
        ("a = b and and c", "predicate cannot be parsed at `and c`\\."),
        ("a", "^`a` is a column and no predicate\\. Compare"),
        ("((t.`a`))", "^`\\(\\(t.`a`\\)\\)` is a column and no predicate\\. Compare"),
        ("'x'", "is a value and no predicate\\. Compare"),
        ("-1", "is a value and no predicate\\. Compare"),
        ("a + 1", "is a value and no predicate\\. Compare"),
        ("(" * 3000 + "a" + ")" * 3000, "too deeply"),
    ],
)
def test_refused_predicates(text: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        check_predicate(text)


def test_a_long_condition_is_no_deep_one() -> None:
    assert analyse("SELECT a FROM t WHERE " + " OR ".join(f"b = {n}" for n in range(3000))) == reads("t", t="a b")


def test_sqlglot_is_imported_late() -> None:
    program = "import sys, doltflow.sql; print('sqlglot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "False\n"


def test_sqlglot_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    queries = ["WITH q AS (FETCH x) SELECT 1", "SELECT a->'$[last]' FROM t"]
    subprocess.run([sys.executable, "-c", f"import doltflow.sql as s; print(*map(s.tables_of, {queries}))"], check=True)
    assert capfd.readouterr() == ("None ('t',)\n", "")


# Properties

NAMES = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=12).filter(
    lambda name: name.strip() and not name.lower().startswith("dolt_") and name.lower() != "dual"
)
TEXTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=30)


@given(name=NAMES, text=TEXTS)
def test_quoted_names_and_literals_stay_whole(name: str, text: str) -> None:
    kinds = [(t.token_type, t.text) for t in sqlglot.tokenize(f"{literal(text)} {quote(name)}", read="mysql")]
    assert kinds == [(sqlglot.TokenType.STRING, text), (sqlglot.TokenType.IDENTIFIER, name)]


@given(names=st.lists(NAMES, min_size=1, max_size=4, unique_by=str.lower), text=TEXTS, ref=TEXTS.filter(str.strip))
def test_the_tables_of_any_names_are_found(names: list[str], text: str, ref: str) -> None:
    first, *others = names
    joins = "".join(f" JOIN {quote(name)} ON {literal(text)} = 1" for name in others)
    query = f"WITH cte__ AS (SELECT * FROM {quote(first)}{joins}) SELECT {literal(text)} FROM cte__"
    assert replace(analyse(query), whole=()) == reads(*sorted(names))
    if ref.strip().lower().partition("~")[0].partition("^")[0] not in ("head", "@", "working", "staged", ""):
        past = analyse(f"SELECT x.a FROM {quote(first)} AS OF {literal(ref)} AS x")
        assert past == QueryReads(refs=(as_of(first, ref),))


SOUP = """
select from where , ( ) . as of 'x' "y" `t` t u * + - -- # /* */ /*+ ; with union join on using group by a b 1 `d/v`. d.
dolt_log dolt_branches dolt_hashof( table values into for update @x now() case when end interval date \\ ' "
"""


@given(st.lists(st.sampled_from([*SOUP.split(), "\n"]), max_size=25), st.sampled_from(["select", "with q as (", "a ="]))
def test_any_soup_of_words_is_read_or_refused(words: list[str], start: str) -> None:
    text = " ".join([start, *words])
    for read in (analyse, check_predicate):
        with suppress(QueryError):
            read(text)


# Dolt itself

OF_THE_COMMIT = [
    *("dolt_log", "dolt_diff", "dolt_column_diff", "dolt_diff_t", "dolt_history_t", "dolt_blame_t", "dolt_schemas"),
    *("dolt_docs", "dolt_procedures", "dolt_ignore", "dolt_query_catalog", "dolt_tests", "dolt_nonlocal_tables"),
    *("dolt_constraint_violations", "dolt_constraint_violations_t", "dolt_history_dolt_schemas", "dolt_log()"),
    *("dolt_diff_dolt_schemas", "dolt_history_dolt_procedures", "dolt_diff_dolt_procedures"),
]
CHANGING = [
    *("dolt_branches", "dolt_tags", "dolt_commits", "dolt_commit_ancestors", "dolt_branch_control", "dolt_reflog()"),
    *("information_schema.tables",),
]


@dataclass(frozen=True)
class Scratch:
    """A database whose `main` has moved on from the pinned commit, and what tables held before it did."""

    folder: Path
    pinned: str
    moved: str
    before: dict[str, list[list[str]]]

    def rows(self, *queries: str) -> list[list[str]]:
        """What queries give at the pinned commit, one after the other and without headers' order."""
        return at_commit(self.folder, self.pinned, *queries)


def at_commit(folder: Path, commit: str, *queries: str) -> list[list[str]]:
    out = dolt(folder, "--use-db", f"db/{commit}", "sql", "-r", "csv", "-q", ";\n".join(queries))
    return list(csv.reader(io.StringIO(out)))


def contents(folder: Path, commit: str, names: list[str]) -> dict[str, list[list[str]]]:
    rows = at_commit(folder, commit, *(f"select '{n}' as `--`; select * from {n}" for n in names))
    found: dict[str, list[list[str]]] = {}
    for row, behind in zip(rows, [*rows[1:], []], strict=True):
        if row == ["--"]:
            current = found.setdefault(behind[0], [])
        elif row:
            current.append(row)
    return {name: sorted(rows) for name, rows in found.items()}


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Scratch:
    home = tmp_path_factory.mktemp("sql")
    patch = pytest.MonkeyPatch()
    for name, value in isolated(home / "home").items():
        patch.setenv(name, value)
    try:
        folder = make_database(
            home / "db",
            "create table t (id int primary key, a int)",
            "create table u (id int primary key, c int)",
            "create view v as select * from t",
            "insert into t values (1, 1), (2, 2)",
            "call dolt_commit('-Am', 'one')",
            "insert into t values (3, 3)",
        )
        pinned = head(folder)
        before = contents(folder, pinned, OF_THE_COMMIT + CHANGING)
        dolt(
            folder,
            "sql",
            "-q",
            "insert into t values (4, 4); create view v2 as select 1; create procedure p() select 1;"
            "call dolt_commit('-Am', 'two'); call dolt_tag('v2'); call dolt_branch('b2');"
            "insert into dolt_docs values ('README.md', 'x'); insert into dolt_ignore values ('x', 1);"
            "create table uncommitted (i int); insert into t values (5, 5)",
        )
        return Scratch(folder, pinned, head(folder), before)
    finally:
        patch.undo()


def test_allowed_tables_do_not_change_with_branches_tags_or_the_working_set(scratch: Scratch) -> None:
    for name in OF_THE_COMMIT:
        analyse(f"SELECT 1 FROM {name}")
    after = contents(scratch.folder, scratch.pinned, OF_THE_COMMIT)
    assert after == {name: scratch.before[name] for name in OF_THE_COMMIT}


def test_refused_tables_do(scratch: Scratch) -> None:
    after = contents(scratch.folder, scratch.pinned, CHANGING)
    assert [name for name in CHANGING if after[name] == scratch.before[name]] == []


def test_dolt_takes_head_and_times_for_the_default_branchs(scratch: Scratch) -> None:
    counts = [
        scratch.rows(f"select count(*) from t{clause}")[1]
        for clause in ("", " as of 'HEAD'", " as of timestamp('2100-01-01')")
    ]
    assert counts == [["3"], ["4"], ["4"]]


def test_dolt_reads_a_branchs_working_set_through_a_qualifier(scratch: Scratch) -> None:
    for delimiter in "/@":
        assert scratch.rows(f"select max(id) from `db{delimiter}main`.t")[1] == ["5"]


def test_dolt_finds_commits_outside_the_history_by_hash(scratch: Scratch) -> None:
    where = f"where c = '{scratch.moved}'"
    for query in (
        f"select max(id) from (select id, commit_hash as c from dolt_history_t) d {where}",
        f"select count(*) + 3 from (select table_name, commit_hash as c from dolt_diff) d {where} and table_name = 't'",
    ):
        assert scratch.rows(query)[1] == ["4"]
        with pytest.raises(QueryError):
            analyse(query)


def test_dolt_prefers_a_cte_to_a_revision(scratch: Scratch) -> None:
    query = "with t as (select 9 as id) select id from t as of 'main' union select id from `db/main`.t"
    assert scratch.rows(query)[1:] == [["9"]]


def test_dolts_command_line_runs_what_stands_in_a_comment(scratch: Scratch) -> None:
    assert scratch.rows("select 1 as a -- ; select 2")[-1] == ["2"]


def test_dolt_takes_head_for_the_pinned_commit_in_its_hash_functions(scratch: Scratch) -> None:
    assert scratch.rows("select dolt_hashof('HEAD')")[1] == [scratch.pinned]
    assert scratch.rows("select dolt_hashof_db('HEAD') = dolt_hashof_db() as same")[1] == ["true"]


def test_dolt_runs_what_is_accepted(scratch: Scratch) -> None:
    queries = [
        "SELECT a FROM t AS OF 'main~1' UNION SELECT c FROM u",
        "TABLE t",
        "VALUES ROW(1, 2)",
        "SELECT SQL_NO_CACHE x.a FROM t AS OF main x STRAIGHT_JOIN t ON x.id = t.id",
        "SELECT a FROM t FOR VERSION AS OF 'main'",
        "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT n FROM r",
        "SELECT l.c FROM t, LATERAL (SELECT u.c FROM u WHERE u.id = t.id) l",
        "SELECT ';', \"it's\", 'a\\'b', `a` FROM t # x",
        "SELECT commit_hash FROM dolt_history_t WHERE id = 1 ORDER BY commit_hash",
        "SELECT to_id FROM dolt_diff('main~1', 'main', 't')",
        "SELECT message FROM dolt_log('main', '--tables', 't')",
    ]
    for query in queries:
        analyse(query)
        scratch.rows(query)

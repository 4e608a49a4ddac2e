"""Which functions and which of Dolt's own tables a query may use: those whose answer the pinned commit decides.

Functions are allowed by name, so that one which a later Dolt adds is refused until someone has looked at it. The claims
about Dolt's tables and functions were tried on Dolt 1.83.2, on a connection whose database is `db/H`;
`tests/test_sql.py` tries them again.
"""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FUNCTIONS = _words(
    """
    abs acos adddate addtime aes_decrypt aes_encrypt any_value ascii asin atan atan2 avg bin bin_to_uuid bit_and
    bit_count bit_length bit_or bit_xor cast ceil ceiling char char_length character_length charset coalesce
    coercibility collation compress concat concat_ws conv convert convert_tz cos cot count crc32 cume_dist date
    date_add date_format date_sub datediff datetime day dayname dayofmonth dayofweek dayofyear default degrees
    dense_rank distance dolt_json_diff elt exp export_set extract extractvalue field find_in_set first first_value
    floor format format_bytes from_base64 from_days from_unixtime from_vector geomcollection geometrycollection
    get_format greatest group_concat grouping gtid_subset gtid_subtract hex hour if ifnull inet6_aton inet6_ntoa
    inet_aton inet_ntoa insert instr interval is_binary is_ipv4 is_ipv4_compat is_ipv4_mapped is_ipv6 is_uuid isnull
    json_array json_array_append json_array_insert json_arrayagg json_contains json_contains_path json_depth
    json_extract json_insert json_keys json_length json_merge json_merge_patch json_merge_preserve json_object
    json_objectagg json_overlaps json_pretty json_quote json_remove json_replace json_schema_valid
    json_schema_validation_report json_search json_set json_storage_free json_storage_size json_table json_type
    json_unquote json_valid json_value lag last last_day last_value lcase lead least left length linestring ln
    locate log log10 log2 lower lpad ltrim make_set makedate maketime match max md5 microsecond mid min minute mod
    month monthname multilinestring multipoint multipolygon name_const nth_value ntile nullif oct octet_length ord
    percent_rank period_add period_diff pi point polygon position pow power quarter quote radians rank regexp_instr
    regexp_like regexp_replace regexp_substr repeat replace reverse right round row_number rpad rtrim sec_to_time
    second sha sha1 sha2 sign sin soundex space sqrt st_area st_asbinary st_asgeojson st_astext st_aswkb st_aswkt
    st_contains st_dimension st_distance st_endpoint st_equal st_equals st_geomcollfromtext st_geomcollfromtxt
    st_geomcollfromwkb st_geometrycollectionfromtext st_geometrycollectionfromwkb st_geometryfromtext
    st_geometryfromwkb st_geomfromgeojson st_geomfromtext st_geomfromwkb st_intersects st_isclosed st_latitude
    st_length st_linefromtext st_linefromwkb st_linestringfromtext st_linestringfromwkb st_longitude
    st_mlinefromtext st_mlinefromwkb st_mpointfromtext st_mpointfromwkb st_mpolyfromtext st_mpolyfromwkb
    st_multilinestringfromtext st_multilinestringfromwkb st_multipointfromtext st_multipointfromwkb
    st_multipolygonfromtext st_multipolygonfromwkb st_perimeter st_pointfromtext st_pointfromwkb st_polyfromtext
    st_polyfromwkb st_polygonfromtext st_polygonfromwkb st_srid st_startpoint st_swapxy st_within st_x st_y std
    stddev stddev_pop stddev_samp str_to_date strcmp string_to_vector subdate substr substring substring_index
    subtime sum tan time time_format time_to_sec timediff timestamp timestampadd timestampdiff to_base64 to_days
    to_seconds to_vector trim truncate ucase uncompress uncompressed_length unhex unix_timestamp updatexml upper
    uuid_to_bin validate_password_strength values var_pop var_samp variance vec_distance vec_distance_cosine
    vec_distance_euclidean vec_distance_l2_squared vec_fromtext vec_totext vector_to_string week weekday weekofyear
    weight_string year yearweek
    """
)
"""Functions whose result their arguments decide."""

AGGREGATES = _words(
    """
    any_value avg bit_and bit_or bit_xor count group_concat json_arrayagg json_objectagg max min std stddev stddev_pop
    stddev_samp sum var_pop var_samp variance
    """
)
"""Functions of those that make one value of many rows."""

VOLATILE = _words(
    """
    active_branch connection_id curdate current_date current_role current_time current_timestamp current_user
    curtime database dolt_storage_format dolt_version localtime localtimestamp now ps_current_thread_id rand
    random_bytes schema session_user sysdate system_user user utc_date utc_time utc_timestamp uuid uuid_short
    version
    """
)
"""Functions that read nothing but the clock, chance or the session."""

BARE_FUNCTIONS = _words(
    """
    current_date current_role current_time current_timestamp current_user localtime localtimestamp utc_date utc_time
    utc_timestamp
    """
)
"""Functions that need no parentheses."""

_LOCKS = "it takes or asks for a lock of the server"
_SESSION = "it tells of earlier statements of the session"
_RUNS = "it runs SQL that it is given as text"
_BRANCHES = "it tells of branches, which change while the commit stays the same"
REFUSED_FUNCTIONS = {
    "load_file": "it reads a file of the server",
    "get_lock": _LOCKS,
    "release_lock": _LOCKS,
    "release_all_locks": _LOCKS,
    "is_free_lock": _LOCKS,
    "is_used_lock": _LOCKS,
    "sleep": "it only waits",
    "benchmark": "it only takes time",
    "last_insert_id": _SESSION,
    "last_insert_uuid": _SESSION,
    "found_rows": _SESSION,
    "row_count": _SESSION,
    "dolt_query_diff": _RUNS,
    "dolt_test_run": _RUNS,
    "dolt_join_cost": _RUNS,
    "dolt_reflog": _BRANCHES,
    "dolt_branch_status": _BRANCHES,
    "dolt_preview_merge_conflicts": _BRANCHES,
    "dolt_preview_merge_conflicts_summary": _BRANCHES,
}
"""Functions that a query may not call, and why."""

TABLE_FUNCTIONS = _words(
    "dolt_diff dolt_diff_stat dolt_diff_summary dolt_json_diff dolt_log dolt_patch dolt_schema_diff json_table"
)
"""Functions that may stand in place of a table."""

SYNTAX = _words(
    """
    against all and any as between bigint binary bit blob by case character columns dec decimal desc distinct
    distinctrow div double else escape except exists fixed float from having in index int integer intersect is join
    json key lateral like limit mediumint nchar not numeric nvarchar of offset on or over partition real regexp
    rlike row select separator signed smallint some straight_join text then tinyint union unsigned using varbinary
    varchar when where with xor
    """
)
"""Words that may stand before a parenthesis without being a function: syntax and types."""

KEYWORDS = _words(
    """
    asc ascii boolean both char charset collate columns cross current date datetime day day_hour day_microsecond
    day_minute day_second default empty end error expansion false following for force full group hour
    hour_microsecond hour_minute hour_second if ignore inner integer interval language last leading left longblob
    longtext match mediumblob mediumtext member microsecond minute minute_microsecond minute_second mod mode month
    natural nested null order ordinality outer path preceding precision primary quarter query range recursive
    returning right rollup rows second second_microsecond set sounds table time timestamp tinyblob tinytext trailing
    true unbounded unicode unknown use values week window year year_month
    """
).union(SYNTAX, BARE_FUNCTIONS)
"""Words that may stand in a query without naming anything. The others that sqlglot knows are names to Dolt."""

CLAUSES = _words("except for group having intersect join limit offset on order union using where window")
"""Words that begin a clause, and so cannot follow a comma."""

SELECT_OPTIONS = _words(
    "high_priority sql_big_result sql_buffer_result sql_cache sql_calc_found_rows sql_no_cache sql_small_result"
    " straight_join"
)
"""Words behind SELECT that change how a query runs, not what it reads."""

REFUSED_WORDS = {
    "into": "It writes its result somewhere (INTO).",
    "update": "It updates, or locks what it reads (UPDATE).",
    "delete": "It deletes (DELETE).",
    "lock": "It locks what it reads (LOCK).",
}
"""Reserved words that no read has, and what they tell of a statement."""

STARTS = frozenset({"select", "with", "values", "table"})
"""How a read may begin, parentheses aside."""

INTERNAL_DATABASES = frozenset({"information_schema", "mysql", "performance_schema", "sys", "dolt_cluster"})
"""Databases that hold the server's state, not data."""

_OF_THE_COMMIT = _words(
    """
    dolt_column_diff dolt_constraint_violations dolt_diff dolt_diff_dolt_procedures dolt_diff_dolt_schemas dolt_docs
    dolt_history_dolt_procedures dolt_history_dolt_schemas dolt_ignore dolt_log dolt_nonlocal_tables dolt_procedures
    dolt_query_catalog dolt_schemas dolt_tests
    """
)
_OF_A_TABLE = ("dolt_history_", "dolt_diff_", "dolt_blame_", "dolt_constraint_violations_")


def is_system_table(name: str) -> bool:
    """Whether a table is one of Dolt's own: it lets nobody else name a table so."""
    return name.lower().startswith("dolt_")


def base_of_system_table(name: str) -> str | None:
    """The user's table that a table of Dolt's own is about, such as `t` of `dolt_history_t`; None for all others."""
    prefix = next((prefix for prefix in _OF_A_TABLE if name.lower().startswith(prefix)), "")
    base = name[len(prefix) :]
    return base if prefix and not is_system_table(base) else None


def is_of_the_commit(name: str) -> bool:
    """Whether the commit alone decides what a table of Dolt's own holds, on a connection that is pinned to it."""
    return name.lower() in _OF_THE_COMMIT or bool(base_of_system_table(name))


def finds_any_commit(name: str) -> bool:
    """Whether a table of Dolt's own, asked for a `commit_hash`, finds commits that the pinned one does not contain."""
    lower = name.lower()
    return lower == "dolt_diff" or (lower.startswith("dolt_history_") and lower not in _OF_THE_COMMIT)

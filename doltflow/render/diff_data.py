"""What differs between two ends, and why, as JSON: the `data` of the envelope."""

from typing import TYPE_CHECKING, Any

from doltflow.render.cells import exact, exact_row
from doltflow.render.plain import fields

if TYPE_CHECKING:
    from doltflow.causes import Cause, Causes
    from doltflow.compare.summary import ColumnDifference, RowDifference
    from doltflow.compare.versions import Version
    from doltflow.diff import DiffResult, DiffTable


def diff_data(result: "DiffResult") -> dict[str, Any]:
    """`before`, `after`, `identical`, `summary`, `tables`, `causes`, `same`, `unknown` and so on."""
    return {
        "before": result.before,
        "after": result.after,
        "identical": result.identical,
        "summary": result.summary,
        "tables": [table_data(table) for table in result.tables],
        "causes": [_cause_data(found, cause) for found in result.causes for cause in found.causes],
        "same": [{"runs": [found.before, found.after], "kind": kind} for found in result.causes for kind in found.same],
        "unknown": [
            {"runs": [found.before, found.after], "kind": kind, "why": why}
            for found in result.causes
            for kind, why in found.unknown
        ],
        "asked": {
            "where": result.asked.where,
            "columns": list(result.asked.columns),
            "tolerance": result.asked.tolerance.text if result.asked.tolerance is not None else None,
        },
        "unexplained": [
            {"database": database, "table": table, "rows": rows} for database, table, rows in result.unexplained
        ],
        "explained": [fields(one) | {"log": str(one.log)} for one in result.explained],
        "warnings": list(result.warnings),
    }


def table_data(table: "DiffTable") -> dict[str, Any]:
    """A table at both ends, and how it differs."""
    found = table.difference
    data: dict[str, Any] = {
        "database": table.database,
        "table": table.table,
        "before": _version_data(table.before),
        "after": _version_data(table.after),
    }
    if found is None:
        return data
    return data | {
        "identical": not found.is_different,
        "added": found.added,
        "removed": found.removed,
        "modified": found.modified,
        "schema_changes": [fields(change) for change in found.schema_changes],
        "columns": [_column_data(column) for column in found.columns],
        "sample": [row_data(row) for row in found.sample],
        "more": found.more,
    }


def _version_data(version: "Version | None") -> dict[str, Any] | None:
    if version is None:
        return None
    return {"database": version.database, "table": version.table, "commit": version.commit, "run": version.run}


def _column_data(column: "ColumnDifference") -> dict[str, Any]:
    largest = column.largest
    return {
        "name": column.name,
        "numeric": column.is_numeric,
        "changed": column.changed,
        "count": column.count,
        "mean": column.mean,
        "median": column.median,
        "largest": None
        if largest is None
        else {
            "change": exact(largest.change),
            "before": exact(largest.before),
            "after": exact(largest.after),
            "key": exact_row(largest.key),
        },
    }


def row_data(row: "RowDifference") -> dict[str, Any]:
    """A row that differs; decimals, dates and bytes as text, so that nothing is lost."""
    return {
        "change": row.change,
        "key": exact_row(row.key),
        "before": exact_row(row.before),
        "after": exact_row(row.after),
        "columns": list(row.columns),
    }


def _cause_data(found: "Causes", cause: "Cause") -> dict[str, Any]:
    data = {
        "runs": [found.before, found.after],
        "kind": cause.kind,
        "name": cause.name,
        "before": cause.before,
        "after": cause.after,
        "only": cause.only,
    }
    if cause.kind == "code":
        data["files"] = [fields(file) for file in cause.files]
    if cause.kind == "data":
        data |= {
            "database": cause.database,
            "table": cause.table,
            "added": cause.added,
            "removed": cause.removed,
            "modified": cause.modified,
            "schema_changed": cause.schema_changed,
            "direction": cause.direction,
            "kept": cause.kept,
            "commits": [
                {
                    "hash": commit.hash,
                    "author": commit.author,
                    "date": commit.date,
                    "message": commit.message,
                    "run": str(commit.run.pathspec) if commit.run is not None else None,
                }
                for commit in cause.commits
            ],
            "more": cause.more,
        }
    return data

"""Metaflow: the task that is running (`running`) and the runs that were (`store`). Imports metaflow only when asked."""

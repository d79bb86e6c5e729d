"""The farm's database: its tables, its migrations, and queries and changes by name.

Callers never see a table or a statement: they ask `jobs.submit(...)` or `claims.claim(...)` and get frozen records.
"""

"""The farm's database: its tables, its migrations, and the questions and changes in words.

Callers never see a table or a statement: they ask `jobs.submit(...)` or `claims.claim(...)` and get frozen records.
"""

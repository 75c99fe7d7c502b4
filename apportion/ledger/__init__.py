"""The DuckDB file that holds everything, and the only door to it.

Modules: `connection` opens it and converts times, `migrations` brings it to this version, `step` fills tables from
`.sql` files inside audited transactions, `book` syncs the config into dated reference data.
"""

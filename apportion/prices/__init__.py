"""Prices of external providers: catalogs are looked up once for each model that the ledger has seen, and kept in `book`."""

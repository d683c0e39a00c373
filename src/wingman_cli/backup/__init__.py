"""Backups: the database at one moment with the signed head of its audit log, and the ledger, in one file."""

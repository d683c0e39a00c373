"""The audit log as its readers see it: pages of records, checkpoints, receipts. Written by gateways alone."""

"""What happens, told in order to whoever follows: outbox, feed, consumers, and the watch over the audit log."""

"""Rate limits that all API processes share."""

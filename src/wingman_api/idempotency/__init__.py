"""Requests that are sent again: one effect, and the same answer."""

"""Requests for approval: asked with previews, decided by people, kept with their history."""

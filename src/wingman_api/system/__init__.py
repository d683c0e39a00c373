"""What the API says of itself, and its one pool of database connections."""

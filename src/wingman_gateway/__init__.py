"""The execution gateway: the one process that holds the Docker socket."""

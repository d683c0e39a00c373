"""The command line: starts Wingman on one machine, and speaks to it."""

"""`brakeline doctor`: every prerequisite looked at, with what to do where one is missing."""

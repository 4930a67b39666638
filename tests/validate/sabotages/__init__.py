"""Models that must not pass: how each is made, and the gate that is meant for it."""

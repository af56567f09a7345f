"""Threads, forks and event loops: calls that block, locks that survive a fork, waits that lose no cancellation."""

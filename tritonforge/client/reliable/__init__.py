"""One transport over one or several servers: retries, balancing, circuits."""

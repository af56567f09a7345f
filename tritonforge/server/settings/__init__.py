"""How a server is to run: settings, their checks, and the flags that they become."""

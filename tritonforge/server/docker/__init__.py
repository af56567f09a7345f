"""Servers in containers: started, watched and ended through Docker's API."""

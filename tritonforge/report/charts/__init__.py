"""Plots as SVG text, drawn here: no library, nothing to load, light and dark by the page's style."""

"""`python -m tritonforge`."""

from tritonforge.cli import main

main()

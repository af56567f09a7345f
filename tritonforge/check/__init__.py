"""Static checks of any model repository: what Triton would refuse, with the place and the mend."""

from tritonforge.check.checker import DEFAULT_TARGET, Report, check_repository
from tritonforge.check.finding import Finding

__all__ = ["DEFAULT_TARGET", "Finding", "Report", "check_repository"]

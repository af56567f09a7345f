"""What this machine has for Triton, what it lacks, and how to get that."""

from tritonforge.server.doctor.examine import Checkup, Status, examine
from tritonforge.server.doctor.surroundings import Surroundings, look_around
from tritonforge.server.doctor.trial import try_server

__all__ = ["Checkup", "Status", "Surroundings", "examine", "look_around", "try_server"]

"""Names by which a container, its guard, and whoever launches both find each other."""

__all__ = ["CREATING", "LABEL", "READY"]

LABEL = "io.tritonforge"
"""Labels of containers: `.server` (its name), `.repository`, `.launch`, `.guard` (see `owners`); of images:
`.image`, the kind of ours."""

CREATING = "creating"
"""The file in a workspace's folder that tells its guard that Docker is about to create the container."""

READY = "guarding"
"""The file by which a container's guard says that it is there, in its workspace's folder."""

"""Name, backend and platform, version policy, max_batch_size."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from tritonforge.check.finding import Found, error, warning
from tritonforge.check.model import ENSEMBLE, Model

__all__ = ["check_backend", "check_max_batch_size", "check_name", "check_version_policy"]

PLATFORMS = {
    "onnxruntime": ("onnxruntime_onnx",),
    "pytorch": ("pytorch_libtorch",),
    "tensorflow": ("tensorflow_graphdef", "tensorflow_savedmodel"),
    "tensorrt": ("tensorrt_plan",),
}
"""The platforms that each of the backends takes that Triton knows by name."""

_BACKENDS = (*PLATFORMS, "dali", "fil", "identity", "openvino", "python", "repeat", "square", "tensorrtllm", "vllm")
"""Backends that are around; any other name may be one too."""


def check_name(model: Model) -> Iterator[Found]:
    """Hold the name in config.pbtxt against the folder's."""
    name = model.document.message.name
    if name and name != model.name:
        message = f'the name is "{name}", but the folder is {model.name}: they must be equal'
        yield error("TF610", "name", message, "rename the folder, or leave `name` out")


def check_backend(model: Model) -> Iterator[Found]:
    """Check that there is a backend, and that the platform is one of its own."""
    config = model.config
    backend, platform = config.backend, config.platform
    if not backend and platform != ENSEMBLE:
        if platform:
            message = f'the platform "{platform}" names no backend that Triton knows'
            known = ", ".join(sorted(name for names in PLATFORMS.values() for name in names))
            yield error("TF611", "platform", message, f"set backend instead; known platforms are ensemble, {known}")
        else:
            message = "there is no backend, and no file in a version folder tells it"
            yield error("TF611", "backend", message, 'set backend: "python", "onnxruntime", …')
    elif backend and platform == ENSEMBLE:
        yield error("TF611", "backend", f'an ensemble has no backend; found "{backend}"', "take backend out")
    elif backend in PLATFORMS and platform not in PLATFORMS[backend]:
        allowed = " or ".join(PLATFORMS[backend])
        message = f'the backend "{backend}" doesn\'t go with the platform "{platform}"'
        field = "platform" if platform else "backend"
        yield error("TF611", field, message, f'leave platform out, or set "{allowed}"')
    elif backend and model.document.wrote("backend"):
        yield from _check_known(model)


def _check_known(model: Model) -> Iterator[Found]:
    """Warn of a backend's name that is nearly another's, unless the model brings the backend itself."""
    backend = model.config.backend
    near = [] if backend in _BACKENDS else get_close_matches(backend.lower(), _BACKENDS, n=1, cutoff=0.75)
    library = f"libtriton_{backend}.so"
    own = library in model.folder.files or any(library in model.folder.listing(each) for each in model.folder.versions)
    if near and not own:
        message = f'the backend "{backend}" is none that is around'
        yield warning("TF695", "backend", message, f'did you mean "{near[0]}"?')


def check_max_batch_size(model: Model) -> Iterator[Found]:
    """Check that max_batch_size is a size."""
    if model.config.max_batch_size < 0:
        message = f"max_batch_size is {model.config.max_batch_size}; it must be 0 (no batching) or more"
        yield error("TF612", "max_batch_size", message, "0 for a model without a batch dimension")


def check_version_policy(model: Model) -> Iterator[Found]:
    """Check that the policy picks at least one of the versions that there are."""
    versions, policy = model.folder.versions, model.config.version_policy
    if not versions:
        return
    choice = policy.WhichOneof("policy_choice")
    if choice == "specific":
        wanted = list(policy.specific.versions)
        missing = [version for version in wanted if version not in versions]
        if len(missing) == len(wanted):
            listed = ", ".join(map(str, versions))
            message = f"none of the versions {wanted} is there; there are {listed}"
            yield error("TF613", "version_policy.specific.versions", message, "name a version that has a folder")
        elif missing:
            listed = ", ".join(map(str, missing))
            message = (
                f"Triton passes over what isn't there, version {listed}; there are {', '.join(map(str, versions))}"
            )
            yield warning("TF613", "version_policy.specific.versions", message, "name versions that have a folder")
    elif choice == "latest" and policy.latest.num_versions == 0 and model.document.wrote("version_policy"):
        message = "the latest 0 versions are none"
        yield error("TF613", "version_policy.latest.num_versions", message, "1 or more")

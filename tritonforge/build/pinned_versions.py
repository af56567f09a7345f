"""Versions that ensembles name: a build writes one of each model, so that others become models of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tritonforge.ir import ModelConfig

__all__ = ["Pinned", "of_one_version", "pinned_versions", "point_steps"]


@dataclass(frozen=True, slots=True)
class Pinned:
    """A version of a model, with the configuration that serves it under a name of its own."""

    folder: Path
    version: int
    config: ModelConfig


def pinned_versions(configs: Mapping[Path, ModelConfig], kept: Mapping[str, int]) -> dict[tuple[str, int], Pinned]:
    """Find the versions that steps name beside the one `kept` of each model, where there are files of them."""
    folders = {config.name: folder for folder, config in configs.items()}
    taken = set(folders)
    found: dict[tuple[str, int], Pinned] = {}
    for name, version in sorted(set(_named(configs))):
        folder = folders.get(name)
        if folder is None or version == kept[name] or not _has_files(folder / str(version)):
            continue
        config = configs[folder]
        policy = None if config.version_policy and config.version_policy.specific else config.version_policy
        own = _free(f"{name}_v{version}", taken)
        found[name, version] = Pinned(folder, version, replace(config, name=own, version_policy=policy))
    return found


def of_one_version(config: ModelConfig, version: int | None) -> ModelConfig:
    """Leave out a policy that picks other versions beside the one that a build has; without it, that one is served."""
    policy = config.version_policy
    if policy is None or not policy.specific or version not in policy.specific or set(policy.specific) == {version}:
        return config
    return replace(config, version_policy=None)


def point_steps(config: ModelConfig, pinned: Mapping[tuple[str, int], Pinned]) -> ModelConfig:
    """Have the steps of an ensemble take those models."""
    if config.ensemble is None:
        return config
    steps = tuple(
        replace(step, model_name=pinned[key].config.name, model_version=-1)
        if (key := (step.model_name, step.model_version)) in pinned and not step.model_namespace
        else step
        for step in config.ensemble.steps
    )
    return replace(config, ensemble=replace(config.ensemble, steps=steps))


def _named(configs: Mapping[Path, ModelConfig]) -> Iterator[tuple[str, int]]:
    for config in configs.values():
        for step in config.ensemble.steps if config.ensemble else ():
            if step.model_version > 0 and not step.model_namespace:
                yield step.model_name, step.model_version


def _has_files(folder: Path) -> bool:
    return any(path.is_file() for path in folder.rglob("*"))


def _free(name: str, taken: set[str]) -> str:
    """Take a name that no model has."""
    own, number = name, 2
    while own in taken:
        own, number = f"{name}_{number}", number + 1
    taken.add(own)
    return own

"""What the server has told of its models, kept so that each is asked for once."""

from __future__ import annotations

from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import ClientError, InvalidRequest, ModelNotFound, ServerUnavailable, Target
from tritonforge.client.metadata import ServedModel, read_served_model
from tritonforge.client.names import near_names
from tritonforge.client.questions import Question
from tritonforge.client.transport import AsyncTransport, Json

__all__ = ["Catalog"]


class Catalog:
    """Served models by name and version, usable from several threads and tasks: at worst two ask for the same one."""

    __slots__ = ("_models", "_transport")

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport
        self._models: dict[tuple[str, str], ServedModel] = {}

    def known(self, target: Target) -> ServedModel | None:
        """Give what is known already."""
        return self._models.get((target.model, target.version))

    def forget(self, target: Target) -> None:
        """Have the model asked for again next time."""
        self._models.pop((target.model, target.version), None)

    async def fetch(self, target: Target, deadline: Deadline) -> ServedModel:
        """Ask the server. Raise any ClientError, ModelNotFound and ModelNotReady among them."""
        self.forget(target)
        metadata = await self._metadata(target, deadline)
        try:
            served = read_served_model(metadata, await self._config(target, deadline))
        except ClientError:
            raise
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ServerUnavailable(f"the model's metadata are not Triton's: {error!r}", target) from error
        self._models[target.model, target.version] = served
        return served

    async def _metadata(self, target: Target, deadline: Deadline) -> Json:
        """Fetch the metadata; of a model that isn't there, name those that are."""
        try:
            metadata: Json = await self._transport.ask(
                Question("model_metadata", target.model, target.version), deadline
            )
        except ModelNotFound as error:
            try:
                index: list[Json] = await self._transport.ask(Question("index"), deadline)
                there = {str(entry["name"]) for entry in index}
            except (ClientError, LookupError, TypeError):
                raise error from None
            raise ModelNotFound(f"{error.reason}{near_names(target.model, there)}", target) from error
        return metadata

    async def _config(self, target: Target, deadline: Deadline) -> Json:
        """Fetch the configuration: an extension of Triton's, which other servers of the protocol don't have."""
        try:
            config: Json = await self._transport.ask(Question("model_config", target.model, target.version), deadline)
        except (ModelNotFound, InvalidRequest):
            return {}
        return config

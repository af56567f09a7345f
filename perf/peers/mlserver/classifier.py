"""A runtime of one's own: https://docs.seldon.ai/mlserver/user-guide/custom."""

from __future__ import annotations

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from peer_model import load_model


class Classifier(MLModel):
    async def load(self) -> bool:
        self.model = load_model()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        label, probability = self.model(NumpyCodec.decode_input(payload.inputs[0]))
        return InferenceResponse(
            model_name=self.name,
            outputs=[NumpyCodec.encode_output("label", label), NumpyCodec.encode_output("probability", probability)],
        )

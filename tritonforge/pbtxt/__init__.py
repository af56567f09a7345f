"""ModelConfig text (config.pbtxt) and the representation: the only room that knows Triton's protobuf schema."""

from tritonforge.pbtxt.message import from_message, to_message
from tritonforge.pbtxt.text import emit, parse

__all__ = ["emit", "from_message", "parse", "to_message"]

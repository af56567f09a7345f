"""ModelConfig text (config.pbtxt) and the representation: the only room that knows Triton's protobuf schema."""

from tritonforge.pbtxt.message import fields, from_dict, from_message, to_dict, to_message
from tritonforge.pbtxt.text import emit, parse

__all__ = ["emit", "fields", "from_dict", "from_message", "parse", "to_dict", "to_message"]

"""config.pbtxt as it was written: the message, the line of every field, and all that is wrong with the text.

Unlike protobuf's own parser this one goes on after an unknown field, and remembers where each was. It takes what the
C++ parser of Triton takes: `<>` for `{}`, `;` or `,` between fields, strings in parts, enums by number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from tritonclient.grpc import model_config_pb2 as schema

from tritonforge.pbtxt.scalars import ScalarError, read_scalar
from tritonforge.pbtxt.spelling import suggest_field, suggest_scalar
from tritonforge.text_format import END, Token, TokenError, tokenize

__all__ = ["Document", "Problem", "enum_name", "read_document"]

_CLOSING = {"{": "}", "<": ">"}
_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that the text can't say: where, the path of the field, what is wrong, and how to mend it."""

    kind: Literal["syntax", "unknown", "value", "twice"]
    line: int
    field: str
    message: str
    hint: str = ""


@dataclass(frozen=True)
class Document:
    """A configuration with its places. With `problems` the message is only what could be read.

    `lines` has the line of each field by its path: `input[0].dims`, `ensemble_scheduling.step[1].input_map["x"]`.
    """

    message: Any = field(default_factory=schema.ModelConfig)
    lines: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def line(self, path: str) -> int:
        """Give the line of a field, or of the nearest field around it that was written; 1 where none was."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return 1

    def wrote(self, path: str) -> bool:
        """Tell whether a field is in the text."""
        return path in self.lines


def read_document(text: str) -> Document:
    """Read config.pbtxt; mistakes are in the result's `problems`, in the order of the text."""
    message = schema.ModelConfig()
    reader = _Reader()
    try:
        reader.start(text)
        reader.read_fields(message, "", end=END)
    except _SyntaxProblem as error:
        reader.problems.append(error.problem)
    except TokenError as error:
        reader.problems.append(Problem("syntax", error.line, "", str(error)))
    return Document(message, reader.lines, tuple(reader.problems))


def enum_name(message: Any, field: str) -> str:
    """Give the name of a message's enum value; its number where the schema has no name for it."""
    number = getattr(message, field)
    value = message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number.get(number)
    return str(number) if value is None else str(value.name)


class _SyntaxProblem(Exception):
    """A place after which nothing can be read any more."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(problem.message)


class _Reader:
    """Reads the tokens of one text into messages."""

    def __init__(self) -> None:
        self.lines: dict[str, int] = {}
        self.problems: list[Problem] = []
        self._tokens: list[Token] = []
        self._next = 0

    def start(self, text: str) -> None:
        self._tokens = list(tokenize(text))

    def read_fields(self, message: Any, path: str, *, end: str) -> None:
        """Read fields up to the closing bracket, which is taken."""
        seen: dict[str, str] = {}
        while not self._take(end):
            if self._peek.kind == END:
                raise self._syntax(path, f"the text ends where {end} is missing", "close what was opened")
            self._read_field(message, path, seen)
            if not self._take(";"):
                self._take(",")

    def _read_field(self, message: Any, path: str, seen: dict[str, str]) -> None:
        name = self._peek
        if name.kind != "name":
            if name.text.startswith(_BYTE_ORDER_MARK):
                raise self._syntax(path, "the file begins with a byte order mark", "save it as UTF-8 without one")
            raise self._syntax(path, f"expected a field's name, found {name.text}", "each field is `name: value`")
        self._next += 1
        descriptor: Descriptor = message.DESCRIPTOR
        known = descriptor.fields_by_name.get(name.text)
        inside = f"{path}.{name.text}" if path else name.text
        if known is None:
            what = f"{descriptor.name} has no field {name.text}"
            self.problems.append(Problem("unknown", name.line, inside, what, suggest_field(name.text, descriptor)))
            self._skip_value(inside)
            return
        self._check_single(message, known, name, inside, seen)
        self.lines.setdefault(inside, name.line)
        is_message = known.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE
        if not self._take(":") and not is_message:
            raise self._syntax(inside, f"expected : after {name.text}, found {self._peek.text or 'the end'}")
        if known.is_repeated and self._take("["):
            self._read_list(message, known, inside)
        elif is_message:
            self._read_message(message, known, inside)
        else:
            self._read_scalar(message, known, inside)

    def _read_list(self, message: Any, known: FieldDescriptor, path: str) -> None:
        while not self._take("]"):
            if known.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
                self._read_message(message, known, path)
            else:
                self._read_scalar(message, known, path)
            if not self._take(",") and self._peek.text != "]":
                raise self._syntax(path, f"expected , or ] in the list, found {self._peek.text or 'the end'}")
            if self._tokens[self._next - 1].text == "," and self._peek.text == "]":
                raise self._syntax(path, "the list ends with a comma", "take the last comma out")

    def _read_message(self, message: Any, known: FieldDescriptor, path: str) -> None:
        opening = self._peek
        if opening.text not in _CLOSING or opening.kind != "symbol":
            holds_text = opening.kind == "string" and "string_value" in known.message_type.fields_by_name
            hint = f"{known.name} {{ string_value: {opening.text} }}" if holds_text else ""
            raise self._syntax(path, f"expected {{ after {known.name}, found {opening.text or 'the end'}", hint)
        self._next += 1
        end = _CLOSING[opening.text]
        if known.message_type.GetOptions().map_entry:
            self._read_entry(message, known, path, opening.line, end)
        elif known.is_repeated:
            values = getattr(message, known.name)
            inside = f"{path}[{len(values)}]"
            self.lines[inside] = opening.line
            self.read_fields(values.add(), inside, end=end)
        else:
            value = getattr(message, known.name)
            value.SetInParent()
            self.read_fields(value, path, end=end)

    def _read_entry(self, message: Any, known: FieldDescriptor, path: str, line: int, end: str) -> None:
        """Read one entry of a map; its path has the key, `input_map["x"]`."""
        entry = known.message_type._concrete_class()
        outside, self.lines, known_problems = self.lines, {}, len(self.problems)
        self.read_fields(entry, "", end=end)
        place = f'{path}["{entry.key}"]'
        for number, problem in enumerate(self.problems[known_problems:], known_problems):
            self.problems[number] = replace(problem, field=f"{place}.{problem.field.removeprefix('value.')}")
        outside[place] = line
        for inner, where in self.lines.items():
            if inner.startswith("value."):
                outside[place + inner[len("value") :]] = where
        self.lines = outside
        values = getattr(message, known.name)
        if known.message_type.fields_by_name["value"].cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
            values[entry.key].CopyFrom(entry.value)
        else:
            values[entry.key] = entry.value

    def _read_scalar(self, message: Any, known: FieldDescriptor, path: str) -> None:
        first = self._peek
        try:
            value, self._next = read_scalar(self._tokens, self._next, known)
        except ScalarError as error:
            hint = suggest_scalar(first.text, known)
            self.problems.append(Problem("value", first.line, path, str(error), hint))
            self._skip_value(path)
            return
        if known.is_repeated:
            values = getattr(message, known.name)
            self.lines[f"{path}[{len(values)}]"] = first.line
            values.append(value)
        else:
            setattr(message, known.name, value)

    def _check_single(self, message: Any, known: FieldDescriptor, name: Token, path: str, seen: dict[str, str]) -> None:
        """Complain of a single field that is there twice, and of two fields that exclude each other.

        As C++ does, a scalar that had its default is let pass.
        """
        if known.is_repeated:
            return
        choice = known.containing_oneof
        had_one = message.HasField(known.name) if known.has_presence else getattr(message, known.name)
        if known.name in seen and had_one:
            what = f"{name.text} is given twice; first at line {self.lines.get(path, 0)}"
            self.problems.append(Problem("twice", name.line, path, what, "keep one of them"))
        elif choice is not None and seen.get(choice.name, known.name) != known.name:
            what = f"{name.text} is given beside {seen[choice.name]}; they exclude each other"
            self.problems.append(Problem("twice", name.line, path, what, "keep one of them"))
        seen[known.name] = known.name
        if choice is not None:
            seen.setdefault(choice.name, known.name)

    def _skip_value(self, path: str) -> None:
        """Pass over a value whose field isn't known: a scalar, a list, or a message with all that is in it."""
        self._take(":")
        open_brackets = 0
        while self._peek.kind != END:
            text, kind = self._peek.text, self._peek.kind
            if kind == "symbol" and text in "{<[":
                open_brackets += 1
            elif kind == "symbol" and text in "}>]":
                if not open_brackets:
                    return
                open_brackets -= 1
            self._next += 1
            if not open_brackets and not (text == "-" or (kind == "string" and self._peek.kind == "string")):
                return
        if open_brackets:
            raise self._syntax(path, "the text ends inside this value", "close what was opened")

    @property
    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _take(self, text: str) -> bool:
        """Take the next token if it is this symbol (or `END`)."""
        token = self._peek
        if (token.kind == "symbol" and token.text == text) or (text == END and token.kind == END):
            self._next += 1
            return True
        return False

    def _syntax(self, path: str, message: str, hint: str = "") -> _SyntaxProblem:
        return _SyntaxProblem(Problem("syntax", self._peek.line, path, message, hint))

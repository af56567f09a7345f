"""Whatever a config.pbtxt says, the definitions that are imported from it say the same."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from schema_messages import messages

from tritonforge import pbtxt
from tritonforge.build.importer import import_repository
from tritonforge.define import ModelFiles
from tritonforge.lower import lower_files


@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=60)
@given(messages())
def test_imported_definitions_build_to_an_equal_configuration(message: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        repository, output = Path(folder, "repository"), Path(folder, "serving.py")
        (repository / "m").mkdir(parents=True)
        (repository / "m" / "config.pbtxt").write_text(pbtxt.emit(pbtxt.from_message(message)), encoding="utf-8")
        source = import_repository(repository, output).source
        namespace: dict[str, Any] = {"__name__": "serving", "__file__": str(output)}
        exec(compile(source, str(output), "exec"), namespace)
        definition = next(value for value in namespace.values() if isinstance(value, ModelFiles))
        message.name = message.name or "m"
        assert pbtxt.to_message(lower_files(definition).config) == message

"""Reading Triton's log, with lines as release 24.10 writes them."""

from __future__ import annotations

from tritonforge.server.diagnosis.log import Failure, last_words, loading_models, read_failures, read_notices
from tritonforge.server.diagnosis.python_error import Frame, PythonError, crash_frames, parse_error

PROTOBUF = "[libprotobuf ERROR /src/text_format.cc:337] Error parsing text-format inference.ModelConfig: "
LOG = rf"""
I1123 22:00:14.312304 4483 cuda_memory_manager.cc:117] "CUDA memory pool disabled"
{PROTOBUF}3:1: Message type "inference.ModelConfig" has no field named "max_batch_sise".
E1123 22:00:14.313149 4483 model_repository_manager.cc:1460] "Poll failed for model directory 'bad': failed to read text proto from /r/bad/config.pbtxt"
E1123 22:00:14.313914 4483 model_repository_manager.cc:1460] "Poll failed for model directory 'pref': dynamic batching preferred size must be <= max batch size for pref"
E1123 22:00:14.314368 4483 model_repository_manager.cc:703] "Invalid argument: ensemble flow contains models that are not available or ambiguous: gone"
I1123 22:00:14.314394 4483 model_lifecycle.cc:472] "loading: esc:1"
I1123 22:00:14.314434 4483 model_lifecycle.cc:472] "loading: slow:2"
I1123 22:00:14.314749 4483 model_lifecycle.cc:472] "loading: ok:1"
E1123 22:00:14.314737 4483 model_repository_manager.cc:724] "failed to load model 'nover': at least one version must be available under the version policy of model 'nover'"
W1123 22:00:14.414737 4483 metrics.cc:798] "DCGM unable to start: DCGM initialization error"
E1123 22:00:14.365391 4483 model_lifecycle.cc:642] "failed to load 'esc' version 1: Internal: ValueError: a \\n lit \"quoted\" c:\\dir\n\nAt:\n  /r/esc/1/model.py(1): <module>\n"
I1123 22:00:14.365433 4483 model_lifecycle.cc:777] "failed to load 'esc'"
I1123 22:00:15.854354 4483 model_lifecycle.cc:839] "successfully loaded 'ok'"
+-------+---------+
| Model | Version |
"""  # noqa: E501


def test_reads_each_models_failure() -> None:
    """Escapes are undone; a syntax error is put down to the configuration that it precedes."""
    unread = "failed to read text proto from /r/bad/config.pbtxt"
    complaint = '3:1: Message type "inference.ModelConfig" has no field named "max_batch_sise".'
    quoted = 'Internal: ValueError: a \\n lit "quoted" c:\\dir\n\nAt:\n  /r/esc/1/model.py(1): <module>\n'
    assert read_failures(LOG) == [
        Failure("bad", unread, syntax=complaint),
        Failure("pref", "dynamic batching preferred size must be <= max batch size for pref"),
        Failure("flow", "Invalid argument: ensemble flow contains models that are not available or ambiguous: gone"),
        Failure("nover", "at least one version must be available under the version policy of model 'nover'"),
        Failure("esc", quoted, version="1"),
    ]


def test_knows_what_is_still_loading() -> None:
    """Neither the failed nor the loaded ones are."""
    assert loading_models(LOG) == ["slow"]


def test_last_words_are_without_noise() -> None:
    """Tables, drivers that aren't there, and empty lines say nothing."""
    assert last_words(LOG, lines=2).splitlines() == [
        "I1123 22:00:14.365433 4483 model_lifecycle.cc:777] \"failed to load 'esc'\"",
        "I1123 22:00:15.854354 4483 model_lifecycle.cc:839] \"successfully loaded 'ok'\"",
    ]
    assert "DCGM" not in last_words(LOG)


def test_last_words_of_a_server_that_served_are_no_information() -> None:
    """How it started, and what it loaded, doesn't tell why it died."""
    log = f'{LOG}2024-11-23T22:00:15Z I 4483 server.cc:5] "fine"\nSignal (11) received.\n 0# 0x00 in tritonserver\n'
    words = last_words(log, information=False).splitlines()
    assert words[-3].endswith('<module>\\n"')
    assert words[-2:] == ["Signal (11) received.", " 0# 0x00 in tritonserver"]


def test_last_words_before_the_usage_name_the_wrong_flag() -> None:
    usage = "Usage: tritonserver [options]\n" + "  --flag <integer>\n" * 400
    assert last_words(f"tritonserver: unrecognized option '--nonsense=1'\n{usage}").endswith("'--nonsense=1'")


def test_parses_pybind11s_traceback() -> None:
    """It begins with the innermost frame."""
    reason = "Internal: KeyError: 'mean'\n\nAt:\n  /r/m/1/a.py(2): load\n  <frozen importlib._bootstrap>(241): _call\n"
    frames = (Frame("/r/m/1/a.py", 2, "load"), Frame("<frozen importlib._bootstrap>", 241, "_call"))
    assert parse_error(reason) == PythonError("KeyError: 'mean'", frames)


def test_parses_the_runtimes_traceback_of_the_cause() -> None:
    """The message that the runtime makes is taken apart again; the frames above it are the runtime's own."""
    reason = (
        "Internal: LoadError: ValueError: no rows\nat all  (fraud.py:27 in load)\nTraceback (most recent call last):\n"
        '  File "/r/m/1/source/fraud.py", line 30, in <module>\n    load()\n'
        '  File "/r/m/1/source/fraud.py", line 27, in load\n    raise ValueError\n'
        "ValueError: no rows\nat all\n\nAt:\n  /r/m/1/tritonforge_runtime/source.py(40): find\n"
    )
    frames = (Frame("/r/m/1/source/fraud.py", 27, "load"), Frame("/r/m/1/source/fraud.py", 30, "<module>"))
    assert parse_error(reason) == PythonError("ValueError: no rows\nat all", frames)


def test_parses_a_syntax_error() -> None:
    """Its place is in its text only."""
    error = parse_error("Internal: SyntaxError: invalid syntax (fraud.py, line 12)")
    assert error.frames == (Frame("fraud.py", 12),)


def test_reads_the_place_of_a_crash() -> None:
    """As Python's faulthandler writes it, between other lines."""
    log = (
        "Fatal Python error: Segmentation fault\n\nCurrent thread 0x00007f (most recent call first):\n"
        '  File "/lib/ctypes/__init__.py", line 519 in string_at\n  File "/r/m/1/model.py", line 3 in f\n\n'
        "Extension modules: numpy (total: 1)\nother\n"
    )
    assert crash_frames(log) == (
        Frame("/lib/ctypes/__init__.py", 519, "string_at"),
        Frame("/r/m/1/model.py", 3, "f"),
    )
    assert crash_frames("all is well") == ()


def test_what_stand_ins_warn_of_is_read_once_in_both_formats() -> None:
    """Other warnings, and what a model of the user's logs, are none of theirs."""
    said = r'wire.py:114] "net: parameter \"threads\" does nothing"'
    log = f"""W1129 07:14:49.588927 32739 {said}
2026-11-29T07:14:56Z W 939 {said}
I1129 07:14:49.588927 32739 wire.py:114] "net: as it should be"
W1129 07:14:49.588927 32739 model.py:3] "net: look out"
W1129 07:14:49.589047 32739 metrics.cc:798] "DCGM unable to start"
"""
    assert read_notices(log) == ['net: parameter "threads" does nothing']

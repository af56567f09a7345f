"""Settings that a kind of definition doesn't take: what it takes is listed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tritonforge import model_files, onnx, torchscript
from tritonforge.define.faults import UnknownSetting


def of_torchscript(**settings: Any) -> object:
    return torchscript("net.pt", inputs={}, outputs={}, **settings)


def of_onnx(**settings: Any) -> object:
    return onnx("net.onnx", **settings)


def of_files(**settings: Any) -> object:
    return model_files("net", backend="python", **settings)


@pytest.mark.parametrize("define", [of_torchscript, of_onnx, of_files])
def test_weights_are_told_all_settings_that_they_take(define: Callable[..., object]) -> None:
    with pytest.raises(UnknownSetting, match="its settings are") as raised:
        define(zzz=1)
    listed = re.split(r",\s*", str(raised.value).partition("its settings are ")[2])
    assert {"batching", "instances", "name", "inputs", "outputs", "response_cache"} <= set(listed)


@pytest.mark.parametrize("define", [of_torchscript, of_onnx, of_files])
def test_a_mistyped_one_is_recognized(define: Callable[..., object]) -> None:
    with pytest.raises(UnknownSetting, match=r'no setting "bacthing"; did you mean "batching"\?'):
        define(bacthing=1)
    with pytest.raises(UnknownSetting, match='no setting "max_queue_delay_us": that is one of batching'):
        define(max_queue_delay_us=1)


@pytest.mark.parametrize("define", [of_torchscript, of_onnx])
@pytest.mark.parametrize("padding", [{"pad": {"seq": 0}}, {"pad_to": [32]}])
def test_padding_is_told_as_a_setting_of_models(define: Callable[..., object], padding: dict[str, Any]) -> None:
    (name,) = padding
    with pytest.raises(UnknownSetting, match=f'it has no setting "{name}": that is one of @model') as raised:
        define(**padding)
    assert raised.value.hint == "leave it out; a @model with it, before this one in a pipeline, can fill up"

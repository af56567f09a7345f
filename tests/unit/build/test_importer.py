"""Repositories made by hand, imported and built again: equal configurations, and the same files."""

from __future__ import annotations

from textwrap import dedent

import pytest
from onnx import TensorProto, helper
from projects import Project, read_config, write

from tritonforge.build import build
from tritonforge.build.importer import import_repository
from tritonforge.errors import DiagnosticError

CODE = "class TritonPythonModel: ...\n"


def scores_of_images() -> bytes:
    """Make the graph of a net: the mean of each channel, times weights."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 224, 224])
    scores = helper.make_tensor_value_info("1:scores", TensorProto.FLOAT, ["n", 1000])
    weights = helper.make_tensor("weights", TensorProto.FLOAT, [3, 1000], bytes(12_000), raw=True)
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["means"]),
        helper.make_node("Flatten", ["means"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["1:scores"]),
    ]
    graph = helper.make_graph(nodes, "net", [image], [scores], [weights])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(made.SerializeToString())


REPOSITORIES: dict[str, dict[str, str | bytes]] = {
    "python models, an ensemble, priorities": {
        "scale/config.pbtxt": """
            backend: "python"
            max_batch_size: 8
            input [ { name: "x" data_type: TYPE_FP32 dims: [ 3 ] } ]
            output [ { name: "y" data_type: TYPE_FP32 dims: [ 3 ] label_filename: "names.txt" } ]
            dynamic_batching {
              preferred_batch_size: [ 4, 8 ]
              max_queue_delay_microseconds: 100
              priority_levels: 2
              default_priority_level: 1
              priority_queue_policy { key: 2 value { timeout_action: DELAY default_timeout_microseconds: 5 } }
            }
            instance_group [ { kind: KIND_CPU count: 2 } ]
            parameters { key: "say" value { string_value: "b \\"q\\" \\n" } }
            model_warmup {
              name: "w" batch_size: 2
              inputs { key: "x" value { data_type: TYPE_FP32 dims: [ 3 ] input_data_file: "row" } }
            }
            response_cache { enable: true }
            """,
        "scale/names.txt": "a\nb\nc",
        "scale/warmup/row": "123456789012",
        "scale/1/model.py": CODE,
        "scale/1/helpers/inner.py": "x = 1",
        "both/config.pbtxt": """
            name: "both"
            platform: "ensemble"
            max_batch_size: 8
            input [ { name: "x" data_type: TYPE_FP32 dims: [ 3 ] } ]
            output [ { name: "y" data_type: TYPE_FP32 dims: [ 3 ] } ]
            ensemble_scheduling {
              step [ { model_name: "scale" model_version: -1
                       input_map { key: "x" value: "x" } output_map { key: "y" value: "y" } } ]
            }
            """,
    },
    "weights, GPUs, optimization": {
        "res-net.v2/config.pbtxt": """
            platform: "onnxruntime_onnx"
            max_batch_size: 16
            input { name: "image" data_type: TYPE_FP32 format: FORMAT_NCHW dims: [ 3, 224, 224 ] }
            output { name: "1:scores" data_type: TYPE_FP32 dims: [ 1, 1000 ] reshape { shape: [ 1000 ] } }
            instance_group [ { kind: KIND_GPU count: 1 gpus: [ 0 ] rate_limiter { resources { name: "r" count: 1 } } },
                             { kind: KIND_CPU count: 4 } ]
            optimization {
              execution_accelerators {
                gpu_execution_accelerator { name: "tensorrt" parameters { key: "precision_mode" value: "FP16" } }
              }
              graph { level: 1 }
            }
            version_policy { all {} }
            default_model_filename: "net.onnx"
            metric_tags { key: "team" value: "vision" }
            """,
        "res-net.v2/3/net.onnx": scores_of_images(),
    },
    "a queue policy that Triton takes, and that says nothing": {
        "scale/config.pbtxt": """
            backend: "python"
            max_batch_size: 8
            input [ { name: "x" data_type: TYPE_FP32 dims: [ 3 ] } ]
            output [ { name: "y" data_type: TYPE_FP32 dims: [ 3 ] } ]
            dynamic_batching { default_queue_policy { allow_timeout_override: true } }
            """,
        "scale/1/model.py": CODE,
    },
    "sequences, and what typed settings refuse": {
        "talk/config.pbtxt": """
            backend: "custom"
            max_batch_size: 0
            input { name: "t" data_type: TYPE_STRING dims: [ -1, 1 ] reshape { shape: [ -1 ] } }
            output { name: "t" data_type: TYPE_STRING dims: [ 1 ] }
            sequence_batching {
              max_sequence_idle_microseconds: 5000000
              oldest { max_candidate_sequences: 4 }
              control_input [ { name: "START" control [ { kind: CONTROL_SEQUENCE_START int32_false_true: [ 0, 1 ] } ] },
                              { name: "ODD" control [] } ]
              state { input_name: "i" output_name: "o" data_type: TYPE_INT64 dims: [ 1 ]
                      initial_state { name: "zero" data_type: TYPE_INT64 dims: [ 1 ] zero_data: true } }
            }
            model_transaction_policy {}
            instance_group { count: -1 }
            model_repository_agents {}
            """,
        "talk/1/libtriton_custom.so": "code",
    },
    "names": {
        "class/config.pbtxt": 'backend: "python" max_batch_size: 0',
        "class/1/model.py": CODE,
        "2nd/config.pbtxt": 'backend: "python" max_batch_size: 4 dynamic_batching {}',
        "2nd/1/model.py": CODE,
        "a-b/config.pbtxt": 'backend: "python"',
        "a-b/1/model.py": CODE,
        "a_b/config.pbtxt": 'backend: "python"',
        "a_b/1/model.py": CODE,
    },
}


@pytest.mark.parametrize("files", REPOSITORIES.values(), ids=REPOSITORIES)
def test_what_is_imported_builds_to_an_equal_repository(project: Project, files: dict[str, str | bytes]) -> None:
    hand = project.root / "hand"
    write(hand, files)
    project.write({"serving.py": import_repository(hand, project.root / "serving.py").source})
    build([project.root / "serving.py"], project.output)
    for path in files:
        if path.endswith("config.pbtxt"):
            assert read_config(project.output / path) == read_config(hand / path)
        else:
            assert (project.output / path).read_bytes() == (hand / path).read_bytes()


def test_settings_are_typed_and_the_rest_is_kept_in_extra(project: Project) -> None:
    write(project.root / "hand", REPOSITORIES["sequences, and what typed settings refuse"])
    assert import_repository(project.root / "hand", project.root / "serving.py").source == dedent(
        '''\
        """The models in hand, imported; `tritonforge build` makes a repository of them again."""

        from tritonforge import (
            Control,
            ControlInput,
            InitialState,
            Oldest,
            SequenceBatching,
            State,
            Tensor,
            model_files,
        )

        talk = model_files(
            "hand/talk",
            inputs={"t": Tensor(data_type="BYTES", dims=(-1, 1), reshape=(-1,))},
            outputs={"t": Tensor(data_type="BYTES", dims=(1,))},
            backend="custom",
            sequence_batching=SequenceBatching(
                oldest=Oldest(max_candidate_sequences=4),
                max_sequence_idle_us=5000000,
                control_inputs=(
                    ControlInput(name="START", controls=(Control(kind="start", int32_false_true=(0, 1)),)),
                    ControlInput(name="ODD", controls=()),
                ),
                states=(
                    State(
                        input_name="i",
                        output_name="o",
                        data_type="INT64",
                        dims=(1,),
                        initial_states=(InitialState(name="zero", data_type="INT64", dims=(1,), zero_data=True),),
                    ),
                ),
            ),
            decoupled=False,
            extra={"instance_group": [{"count": -1}], "model_repository_agents": {}},
        )
        '''
    )


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "hand: no folder in it has a config.pbtxt\n  hint: name a model repository  [TF406]"),
        (
            {"m/config.pbtxt": 'name: "m"\nmax_batchsize: 8'},
            'hand/m/config.pbtxt:2 m: it is no ModelConfig: 2:1 : Message type "inference.ModelConfig" has no field',
        ),
    ],
)
def test_what_cannot_be_imported_is_told(project: Project, files: dict[str, str], message: str) -> None:
    hand = project.root / "hand"
    hand.mkdir()
    write(hand, files)
    with pytest.raises(DiagnosticError) as raised:
        import_repository(hand, project.root / "serving.py")
    assert message in str(raised.value)


def test_a_model_of_files_without_its_version_is_told(project: Project) -> None:
    (project.root / "empty").mkdir()
    project.write({"serving.py": 'from tritonforge import model_files\n\nm = model_files("empty", backend="python")\n'})
    assert project.refused() == (
        'serving.py:3 m: "empty" has no version at all; there is none\n'
        "  hint: a model's files are in folders 1, 2, …  [TF301]"
    )


def test_an_onnx_file_is_referenced_as_such_where_its_graph_says_the_tensors(project: Project) -> None:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ("batch", 3)) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "graph", [x], [y])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    tensors = """
        max_batch_size: 8
        input { name: "x" data_type: TYPE_FP32 dims: [ 3 ] }
        output { name: "y" data_type: TYPE_FP32 dims: [ 3 ] }
        """
    hand = project.root / "hand"
    write(hand, {"net/config.pbtxt": f'backend: "onnxruntime" {tensors} response_cache {{ enable: true }}'})
    write(hand, {"older/config.pbtxt": f'platform: "onnxruntime_onnx" {tensors}'})
    for name in ("net", "older"):
        (hand / name / "1").mkdir()
        (hand / name / "1" / "model.onnx").write_bytes(proto.SerializeToString())
    source = import_repository(hand, project.root / "serving.py").source
    assert source.startswith(
        dedent(
            '''\
            """The models in hand, imported; `tritonforge build` makes a repository of them again."""

            from tritonforge import Batching, Tensor, model_files, onnx

            net = onnx(
                "hand/net/1/model.onnx",
                response_cache=True,
                batching=Batching(max_batch_size=8, dynamic=False),
            )
            older = model_files(
                "hand/older",
            '''
        )
    )
    project.write({"built.py": source})
    build([project.root / "built.py"], project.output)
    for name in ("net", "older"):
        assert read_config(project.output / name / "config.pbtxt") == read_config(hand / name / "config.pbtxt")


def test_what_an_import_leaves_behind_is_told(project: Project) -> None:
    hand = project.root / "hand"
    steps = 'step { model_name: "m" model_version: 1 } step { model_name: "gone" model_version: -1 }'
    newest = 'step { model_name: "m" model_version: -1 } step { model_name: "m" model_version: 2 }'
    newest += ' step { model_name: "m" model_version: 7 }'
    files = {
        "m/config.pbtxt": 'backend: "python" version_policy { specific { versions: [ 1, 2 ] } }',
        "m/3/model.py": "three",
        "m/1/model.py": "one",
        "m/2/model.py": "two",
        "both/config.pbtxt": f'platform: "ensemble" ensemble_scheduling {{ {steps} {newest} }}',
        "123-x y/config.pbtxt": 'backend: "python"',
        "123-x y/1/model.py": "",
        "plain/3/model.onnx": "not read",
        "b-c/1/model.plan": "not read",
        "docs/readme.md": "no model",
    }
    write(hand, files)
    imported = import_repository(hand, project.root / "serving.py")
    assert [(one.code, one.where.subject, one.message, one.hint) for one in imported.warnings] == [
        (
            "TF407",
            "m",
            'Triton serves versions 1, 2 of it; a build has 2 as "m", and 1 as "m_v1"',
            'have clients that ask "m" for a version ask for "m_v1" in place of version 1',
        ),
        (
            "TF407",
            "m",
            "only versions 1, 2 are referenced; a build leaves out 3",
            'define one that is to be served: model_files("…/m", version=3, name="m_v3", …). A build refuses folders '
            "that it hasn't written: copy them only into what is deployed",
        ),
        (
            "TF408",
            "both",
            'step 0 takes "m" version 1; that is now a model of its own, "m_v1"',
            "a build writes one version of each model; rename it in its definition and the step, if you like",
        ),
        (
            "TF408",
            "both",
            'step 1 takes "gone", which isn\'t imported',
            "define gone, or load it from another repository",
        ),
        (
            "TF408",
            "both",
            'step 4 takes "m" version 7, and only version 2 is imported',
            "take model_version=-1, the version that is built",
        ),
        (
            "TF410",
            "123-x y",
            'a build refuses the name "123-x y", which no URL can have',
            "rename the folder to letters of ASCII, digits, _ . and -, the first one no - or .",
        ),
        (
            "TF409",
            "b-c",
            "it has no config.pbtxt, and isn't imported",
            'write model_files("hand/b-c", backend="…", inputs={…}, outputs={…})',
        ),
        (
            "TF409",
            "plain",
            "it has no config.pbtxt, and isn't imported",
            'write plain = onnx("hand/plain/3/model.onnx")',
        ),
    ]
    assert {one.severity for one in imported.warnings} == {"warning"}

"""Options of a sweep, from files and from words."""

from __future__ import annotations

from pathlib import Path

import pytest

from tritonforge.load import Data, InvalidLoad, Load, ModelLoad, Slo
from tritonforge.report.options import BadOption, in_options
from tritonforge.report.scenario import BadScenario, Scenario, read_scenario, scenario_of

URL = "http://127.0.0.1:1"


def test_defaults_are_the_engines() -> None:
    settings = Scenario("fraud").settings(URL)
    assert (settings.url, settings.models, settings.loads) == (URL, (ModelLoad("fraud"),), (Load("concurrency", 1),))
    assert settings.window_s is None


def test_options_reach_the_settings() -> None:
    options = {
        "model": "fraud:2=3,digits", "rate": "100,200", "arrivals": "poisson", "batch-size": 4, "slo": "p99=5ms",
        "data": "zeros", "shape": ["seq=128", "x=3,224,224"], "window": 0.5, "duration": 2, "header": "X-Key: a:b",
        "processes": 2, "seed": 9, "tolerance": 0.5, "check": True,
    }  # fmt: skip
    settings = scenario_of(options).settings(URL)
    data = Data("zeros", shapes={"seq": (128,), "x": (3, 224, 224)}, check=True, tolerance=0.5)
    assert settings.models == (ModelLoad("fraud", "2", 3.0, 4, 0, data), ModelLoad("digits", "", 1.0, 4, 0, data))
    assert settings.loads == (Load("rate", 100), Load("rate", 200))
    assert settings.slo == (Slo("p99", 5000.0),)
    assert (settings.arrivals, settings.window_s, settings.duration_s) == ("poisson", 0.5, 2)
    assert (settings.headers, settings.processes, settings.seed) == ({"X-Key": "a:b"}, 2, 9)


@pytest.mark.parametrize(
    "given",
    [
        ["tenant:a:b:string", "top:-3:int", "share:5e-1:Double", "raw:True:bool", "none::string"],
        {"tenant": "a:b", "top": -3, "share": 0.5, "raw": True, "none": ""},
    ],
    ids=["list", "table"],
)
def test_parameters_of_requests_have_types(given: object) -> None:
    parameters = scenario_of({"model": "m", "request-parameter": given}).settings(URL).parameters
    wanted = {"tenant": "a:b", "top": -3, "share": 0.5, "raw": True, "none": ""}
    assert repr(parameters) == repr(wanted)  # 1 is true, and 1.0 is 1


@pytest.mark.parametrize("written", ["1:4:x2", "1,2,4", (1, 2, 4), [1, 2, 4]])
def test_loads_are_words_or_lists(written: object) -> None:
    loads = scenario_of({"model": "m", "concurrency": written}).settings(URL).loads
    assert [load.value for load in loads] == [1, 2, 4]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"concurrency": "x"}, "--concurrency: 'x'"),
        ({"concurrency": "1", "rate": "2"}, "--rate: it can't be given beside --concurrency"),
        ({"slo": "p99<5"}, "--slo: 'p99<5' is not an objective"),
        ({"shape": ["seq"]}, "--shape: 'seq' is not NAME=SIZE"),
        ({"header": ["X"]}, "--header: 'X' is not NAME: VALUE"),
        ({"request_parameter": "a:1"}, "--request-parameter: 'a:1' is not NAME:VALUE:TYPE with a type of bool, int, d"),
        ({"request_parameter": "a:1:float"}, "--request-parameter: 'a:1:float' is not NAME:VALUE:TYPE"),
        ({"request_parameter": ":1:int"}, "--request-parameter: ':1:int' is not NAME:VALUE:TYPE"),
        ({"request_parameter": "a:1.5:int"}, "--request-parameter: 'a:1.5:int': '1.5' is no int"),
        ({"request_parameter": f"a:{'9' * 5000}:int"}, "--request-parameter: 'a:9"),
        ({"request_parameter": "a:1:bool"}, "--request-parameter: 'a:1:bool': '1' is no bool"),
        ({"request_parameter": "a:nan:double"}, "--request-parameter: 'a:nan:double': 'nan' is no double"),
        ({"request_parameter": "a:1e999:double"}, '--request-parameter: the parameter "a" is inf; it is a finite'),
        ({"request_parameter": ["a:1:int", "a:1:int"]}, '--request-parameter: "a" is given twice'),
        ({"request_parameter": {"": 1}}, "--request-parameter: 1 has no name"),
        ({"request_parameter": "triton_a:1:int"}, '--request-parameter: the parameter "triton_a" has a name that Tr'),
        ({"request_parameter": "sequence_id:1:int"}, '--request-parameter: the parameter "sequence_id" is of sequenc'),
        ({"request_parameter": {"priority": "high"}}, '--request-parameter: the parameter "priority" is a str; it is'),
        ({"model": "=2"}, "MODEL: '=2' is not NAME"),
        ({"model": "m=x"}, "MODEL: 'm=x' is not NAME, NAME:VERSION or NAME=WEIGHT"),
        ({"model": "m="}, "MODEL: 'm=' is not NAME, NAME:VERSION or NAME=WEIGHT"),
        ({"model": "m:,n"}, "MODEL: 'm:' is not NAME, NAME:VERSION"),
        ({"model": "m:=2"}, "MODEL: 'm:=2' is not NAME, NAME:VERSION"),
        ({"schedule": "nowhere"}, "--schedule: nowhere: "),
        ({"arrivals": "poisson"}, "--arrivals: it says nothing without --rate"),
        ({"burst": 2, "concurrency": "4"}, "--burst: it says nothing without --rate"),
        ({"gamma_shape": 2, "rate": "4"}, "--gamma-shape: it says nothing without --arrivals gamma"),
        ({"repeat": 2, "rate": "4"}, "--repeat: it says nothing without --schedule"),
        ({"repeat": 0, "schedule": "times.txt"}, "--repeat: 0 begins nothing anew"),
        ({"ramp": 2, "replay": "times.txt"}, "--ramp: it says nothing without --concurrency or --rate"),
        ({"max_in_flight": 2}, "--max-in-flight: it says nothing without an open loop"),
        ({"output_bytes": 2}, "--output-bytes: it says nothing without --shared-memory system"),
        ({"payloads": 2, "data": "rows.npz"}, "--payloads: it says nothing without --data random"),
        ({"shape": ["n=9"], "data": "rows.npz"}, "--shape: it says nothing without --data random or zeros"),
        ({"tolerance": 0.1}, "--tolerance: it says nothing without --check, or golden samples"),
        ({"repository": "zoo.py", "url": "http://a:1"}, "--url: zoo.py is served for the run, elsewhere"),
        ({"body": "json", "url": "grpc://a:1"}, "--body: it says nothing without HTTP"),
        ({"body": "json", "protocol": "grpc", "repository": "zoo.py"}, "--body: it says nothing without HTTP"),
        ({"max_errors": "5%", "find_max": True}, "--max-errors: it says nothing without a sweep"),
        ({"duration": 1, "requests": 5}, "--requests: it can't be given beside --duration"),
        ({"duration": 1, "max_windows": 3}, "--max-windows: it says nothing without a load that lasts until"),
        ({"requests": 9, "max_windows": 3}, "--max-windows: it says nothing without a load that lasts until"),
        ({"duration": 1, "stability": 0.2}, "--stability: it says nothing without windows that are held against"),
        ({"replay": "times.txt", "stable_windows": 2}, "--stable-windows: it says nothing without windows that are"),
        ({"model": "slow,slow"}, "MODEL: slow is named twice; give it one weight: slow=2"),
        ({"data": "golden"}, "--data: of a server that runs, golden samples are those of a repository that is named"),
        ({"processes": 4}, "--processes: of 4, 1 would have requests to send"),
        ({"processes": 3, "concurrency": "1,2"}, "--processes: of 3, 2 would have requests to send"),
        ({"processes": 3, "rate": "9", "requests": 2}, "--processes: of 3, 2 would have requests to send"),
        ({"max_regression": "5%"}, "--max-regression: it says nothing without --baseline"),
    ],
    ids=str,
)
def test_what_cannot_be_read_is_said(options: dict[str, object], reason: str) -> None:
    with pytest.raises(BadOption) as error:
        scenario_of({"model": "m", **options}).settings(URL)
    assert str(error.value).startswith(reason)


@pytest.mark.parametrize(
    "options",
    [
        {"tolerance": 0.1, "data": "golden:repository"},
        {"data": "golden", "repository": "zoo.py"},
        {"processes": 4, "concurrency": "1,4"},
        {"processes": 4, "rate": "1"},
        {"processes": 4, "slo": "p99=5ms", "find_max": True},
        {"shape": ["n=9"], "data": "zeros"},
        {"duration": 1, "window": 0.1, "stability": 0.2},
        {"duration": 60, "stability": 0.2},
        {"requests": 9, "stable_windows": 2},
        {"model": "m:1,m:2"},
    ],
    ids=str,
)
def test_what_says_something_is_taken(options: dict[str, object]) -> None:
    assert scenario_of({"model": "m", **options}).settings(URL).url == URL


@pytest.mark.parametrize("data", ["random", "zeros", "rows.npz", "golden:repository"])
def test_a_script_may_give_one_seed_for_all_its_data(data: str) -> None:
    assert scenario_of({"model": "m", "data": data, "seed": 5}).settings(URL).seed == 5


@pytest.mark.parametrize(
    "options",
    [{}, {"url": "a"}, {"url": ["grpc://a:1", "http://a:2"]}, {"url": "a", "protocol": "http,grpc"}],
    ids=str,
)
def test_how_http_carries_tensors_says_something_where_any_is(options: dict[str, object]) -> None:
    assert scenario_of({"model": "m", "body": "json", **options}).settings(URL).body == "json"


def test_errors_of_the_engine_name_options() -> None:
    assert in_options("duration_s and requests are both given") == "--duration and requests are both given"
    assert in_options("m takes sequences: set sequence_length, in my_model") == (
        "m takes sequences: set --sequence-length, in my_model"
    )
    assert in_options("requests is 0; it is at least 1") == "--requests is 0; it is at least 1"
    assert in_options("m: payloads is 0; it is at least 1") == "m: --payloads is 0; it is at least 1"
    assert in_options("give each a size in shapes") == "give each a size by --shape"


def test_a_truth_value_is_no_number() -> None:
    with pytest.raises(BadScenario, match="duration: true is none of its values"):
        scenario_of({"model": "m", "duration": True})
    assert scenario_of({"model": "m", "check": True}).check


def test_numbers_are_held_against_their_bounds_before_anything_starts() -> None:
    with pytest.raises(InvalidLoad, match="warmup_s is -1"):
        Scenario("m", warmup=-1.0).settings(URL)


def test_a_recording_starts_at_its_first_request_and_a_schedule_at_nought(tmp_path: Path) -> None:
    times = tmp_path / "times.txt"
    times.write_text("10.0\n10.5\n12\n")
    replay = Scenario("m", replay=times).settings(URL)
    assert (replay.times_s, replay.loads[0].kind) == ((0.0, 0.5, 2.0), "replay")
    assert Scenario("m", schedule=times).settings(URL).times_s == (10.0, 10.5, 12.0)
    times.write_text("2\n-1\n")
    with pytest.raises(BadOption, match=r"--schedule: .*: -1 precedes 0"):
        Scenario("m", schedule=times).settings(URL)
    assert Scenario("m", replay=times).settings(URL).times_s == (0.0, 3.0)


@pytest.mark.parametrize(("repeat", "rate"), [(None, 20), (2.0, 10), (0.5, 40)])
def test_given_times_are_named_by_the_requests_a_second_that_are_sent(
    repeat: float | None, rate: float, tmp_path: Path
) -> None:
    times = tmp_path / "times.txt"
    times.write_text("".join(f"{number / 20}\n" for number in range(20)))
    assert Scenario("m", schedule=times, repeat=repeat).settings(URL).loads == (Load("schedule", rate),)


def test_a_file_names_things_beside_itself(tmp_path: Path) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text('model = "m"\nrepository = "repo"\nconcurrency = "1:4"\nfind-max = true\n')
    scenario = read_scenario(file)
    assert scenario == Scenario("m", repository=tmp_path / "repo", concurrency="1:4", find_max=True)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ("rows.npz", "{folder}/rows.npz"),
        ("/elsewhere/rows.npz", "/elsewhere/rows.npz"),
        ("golden:repo", "golden:{folder}/repo"),
        ("golden", "golden"),
        ("zeros", "zeros"),
        ("zeroes", "zeroes"),
    ],
)
def test_data_is_beside_the_file(data: str, found: str, tmp_path: Path) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text(f'model = "m"\ndata = "{data}"\n')
    assert read_scenario(file).data == found.format(folder=tmp_path)


def test_a_file_is_utf_8_with_or_without_its_mark(tmp_path: Path) -> None:
    file = tmp_path / "sweep.toml"
    file.write_bytes(b'\xef\xbb\xbfmodel = "m"\n')
    assert read_scenario(file) == Scenario("m")
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(BadScenario, match="'utf-8' codec can't decode byte 0xff in position 0"):
        read_scenario(file)


def test_all_mistakes_of_a_file_are_told(tmp_path: Path) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text('concurency = 3\nbatch_size = "many"\narrivals = "now"\n')
    with pytest.raises(BadScenario) as error:
        read_scenario(file)
    said = str(error.value)
    assert said.startswith(f"{file}: no scenario:\n")
    for name in ("model", "concurency", "batch_size", "arrivals"):
        assert f"\n  {name}: " in said
    assert "\n  hint: names are the options of" in said
    for content in (b"model =", b"model = 'h\xff'"):
        file.write_bytes(content)
        with pytest.raises(BadScenario, match=r"hint: a scenario is TOML in UTF-8$"):
            read_scenario(file)


def test_words_that_cannot_be_read_are_told_with_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text(
        'model = "m"\nconcurrency = "1:0"\nduration = "x"\nslo = "p99"\nmax-regression = "5"\nrequests = true\n'
        'shape = "seq"\nheader = ["a: b", "c"]\n'
    )
    with pytest.raises(BadScenario) as error:
        read_scenario(file)
    said = str(error.value)
    assert [line.partition(":")[0].strip() for line in said.splitlines()[1:]] == [
        "requests", "duration", "concurrency", "slo", "max_regression", "shape", "header",
    ]  # fmt: skip
    assert "\n  max_regression: '5' is not a share such as 5% or 0.05\n" in said
    file.write_text('model = "m"\nslo = "p99"\n')
    with pytest.raises(BadScenario, match="slo: 'p99' is not an objective"):
        read_scenario(file)


def test_a_load_of_nought_is_none() -> None:
    with pytest.raises(BadOption, match="--concurrency: '0': '0' is no load above 0"):
        Scenario("m", concurrency=0).settings(URL)


def test_what_is_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text('model = "m"\nschedule = "t"\ndata = "rows.npz"\nbaseline = "b.json"\nrepository = "zoo.py"\n')
    places = {"--schedule": "t", "--data": "rows.npz", "--baseline": "b.json", "REPO or FILE": "zoo.py"}
    assert dict(read_scenario(file).inputs) == {name: tmp_path / path for name, path in places.items()}
    assert Scenario("m", data="golden:repository").inputs == [("--data", Path("repository"))]
    assert [Scenario("m", data=data).inputs for data in ("random", "zeros", "golden")] == [[], [], []]


def test_what_lies_beside_is_named_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that leads elsewhere keeps its detour."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "link").symlink_to("deep/er")
    (tmp_path / "sc").mkdir()
    for folder, found in (("sc", ""), ("link", "link/../")):
        file = Path(folder, "s.toml")
        file.write_text('model = "m"\nbaseline = "../b.json"\ndata = "../rows.npz"\n')
        scenario = read_scenario(file)
        assert (str(scenario.baseline), scenario.data) == (f"{found}b.json", f"{found}rows.npz")


@pytest.mark.parametrize(
    ("options", "protocols"),
    [
        ({}, ["http"]),
        ({"protocol": "http,grpc"}, ["http", "grpc"]),
        ({"url": ["grpcs://a:1", "https://a:2"]}, ["grpc", "http"]),
        ({"repository": "zoo.py", "protocol": "grpc"}, ["grpc"]),
    ],
)
def test_what_is_measured_over_is_known_beforehand(options: dict[str, object], protocols: list[str]) -> None:
    assert scenario_of({"model": "m", **options}).protocols == protocols


SCENARIOS = sorted((Path(__file__).parents[3] / "perf" / "scenarios").glob("*.toml"))


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.stem)
def test_the_projects_scenarios_can_be_run(file: Path) -> None:
    scenario = read_scenario(file)
    assert scenario.repository is not None
    assert scenario.repository.exists()
    assert scenario.settings(URL).loads


def test_a_misspelt_name_is_told_with_the_nearest_one(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text('model = "m"\nconcurency = 2\nxyz = 1\n')
    with pytest.raises(BadScenario) as raised:
        read_scenario(path)
    said = str(raised.value)
    assert "\n  concurency: there is no such option; did you mean concurrency?\n" in said
    assert "\n  xyz: there is no such option\n" in said


def test_a_table_is_no_list_of_headers() -> None:
    with pytest.raises(BadScenario, match='header: it is "NAME: VALUE", or a list of these'):
        scenario_of({"model": "m", "header": {"a": "b"}})


def test_a_url_has_a_whole_address() -> None:
    for url in ("http://127.0.0.1:", "127.0.0.1:", "grpc://[::1]:"):
        with pytest.raises(InvalidLoad, match="has no port behind its colon, as of a variable that isn't set; wanted"):
            Scenario("m").settings(url)
    with pytest.raises(InvalidLoad) as raised:
        Scenario("m").settings("http://me:secret@host:8000")
    assert "they go in a header: --header 'authorization: …'" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_scenarios_key_lies_beside_it_and_opens_both_protocols(tmp_path: Path) -> None:
    file = tmp_path / "nightly.toml"
    file.write_text('model = "m"\nkey_file = "key"\nheader = ["x-tenant: a"]')
    with pytest.raises(BadOption, match="key can't be read"):
        read_scenario(file).settings("http://127.0.0.1:1")
    (tmp_path / "key").write_text("sesame-open\n")
    headers = read_scenario(file).settings("http://127.0.0.1:1").headers
    own = {"triton-key": "sesame-open", "triton-grpc-protocol-triton-key": "sesame-open"}
    assert headers == own | {"x-tenant": "a"}

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dragoman.errors import ConfigError
from dragoman.yaml12 import DEEPEST, LARGEST, YesNo, dump, load, read_mapping, refuse_yes_no

LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60))
MERGED_LAUGHS = "a0: &a0 {x: 1}\n" + "".join(
    f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 60)
)

READ: dict[str, Any] = {
    "1e-2": 0.01,
    "1e5": 1e5,
    "1.0e5": 1e5,
    "-1E+3": -1000.0,
    "+.5": 0.5,
    "5.": 5.0,
    ".inf": math.inf,
    "-.INF": -math.inf,
    "100_000": 100_000,
    "012": 12,
    "0o17": 15,
    "0x1F": 31,
    "true": True,
    "False": False,
    "yes": "yes",
    "Off": "Off",
    "2024-01-01": "2024-01-01",
    "2024-01-01 10:00:00": "2024-01-01 10:00:00",
    "1:30": "1:30",
    "0b11": "0b11",
    "=": "=",
    "~": None,
    "": None,
    "%YAML 1.1\n---\n[on, 1e1]": ["on", 10.0],
    "a: &x {b: 1}\nc: *x": {"a": {"b": 1}, "c": {"b": 1}},
    "a: &x {b: 1, c: 2}\nd: {<<: *x, b: 3}": {"a": {"b": 1, "c": 2}, "d": {"b": 3, "c": 2}},
    "{yes: 1, no: 0}": {"yes": 1, "no": 0},
}

REFUSED = {
    "a: 1\nb: 2\na: 3": "line 3: the key 'a' stands in line 1 already",
    "a: 1\nb:\n  <<: {c: 1}\n  <<: {c: 2}": "line 4: the key '<<' stands in line 3 already",
    "x: y\n1: 2": "line 2: the key 1 is no text",
    "x: y\ntrue: 2": "line 2: the key true is no text",
    "x: y\nnull: 2": "line 2: the key null is no text",
    "x: y\n? [a]\n: b": "line 2: the key a list or a mapping is no text",
    "x: {<<: {1: 2}}": "the key 1 is no text",
    "x: y\nz: &z [*z]": "line 2: an alias stands inside what it names",
    "&z {<<: *z}": "an alias stands inside what it names",
    LAUGHS: "more than 100,000 values",
    MERGED_LAUGHS: "more than 100,000 values",
    "[" * 20_000: f"more than {DEEPEST} levels",
    "a:\n " + "- " * 1000: f"line 2: more than {DEEPEST} levels",
    "a: b\nc: !!timestamp 2024-01-01": "line 2: the tag !!timestamp has no place here",
    "!!python/object/apply:os.getcwd []": "the tag !!python/object/apply:os.getcwd",
    "!mine x": "the tag !mine has no place",
    "!!bool perhaps": "'perhaps' is neither true nor false",
    "a: 1\nb: 1e999": "line 2: '1e999' is no number that can be read",
    "9" * 5000: "no whole number that can be read",
    "a:\n\tb: 1": "line 2 is not valid YAML: found character '\\\\t'",
    "a: b: c": "is not valid YAML: mapping values are not allowed here",
    "a: 1\nb: \x07": r"line 2 is not valid YAML: the character U\+0007",
    "a: *nothing": "undefined alias",
    "--- a\n--- b": "another document",
}


@pytest.mark.parametrize("text", READ)
def test_values_are_read_as_the_core_schema_says(text: str) -> None:
    result, wanted = load(text, "here"), READ[text]
    assert result == wanted
    assert isinstance(result, type(wanted))


def test_nan_is_read() -> None:
    assert math.isnan(load(".nan", "here"))


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:20])
def test_what_misleads_or_hangs_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(ConfigError, match=REFUSED[text]) as error:
        load(text, "here")
    assert str(error.value).startswith("here")
    assert error.value.cure


TEXTS = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(
    ["yes", "No", "on", "1e5", "1.0e5", "1_000", "012", "0o7", "0x1", "2024-01-01", "1:30", "~",
     "null", "", "=", "<<", ".inf", "-", "? a", "a: b", "- a", "#", "true", "{a}", "'", "\ufeff",
     "a\nb", " a ", "\t", "\x85", "\u2028", "!x", "&x", "*x", "%x", "@x", "`x", "|", ">"]
)  # fmt: skip
SETTINGS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=10,
)


@given(SETTINGS)
def test_what_is_written_is_read_back_equal(data: Any) -> None:
    # By repr too, since 1, 1.0 and True are equal.
    result = load(dump(data), "here")
    assert result == data
    assert repr(result) == repr(data)


@given(st.dictionaries(TEXTS, TEXTS))
def test_other_readers_take_texts_for_texts_too(data: dict[str, str]) -> None:
    assert yaml.safe_load(dump(data)) == data


def test_a_bare_yes_is_told_from_a_quoted_one() -> None:
    bare, quoted = load("[no, 'no']", "here")
    assert isinstance(bare, YesNo)
    assert not isinstance(quoted, YesNo)
    refuse_yes_no({"a": [quoted, True]}, "env_settings")
    with pytest.raises(ConfigError, match=r"env_settings.a.1 is no, which could be") as error:
        refuse_yes_no({"a": [quoted, bare]}, "env_settings")
    assert error.value.cure.startswith("write false")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_that_name_their_encoding_are_read(encoding: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_bytes("goal: zurück\r\nsteps: 5\r\n".encode(encoding))
    assert read_mapping(file, "experiment", first="a: b") == {"goal": "zurück", "steps": 5}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: b\ngoal: zurück\n".encode("latin-1"), "line 2: the byte 0xfc is no utf-8"),
        (b"\xff\xfea", "is no utf-16"),
        (bytes(range(256)), "the byte 0x80 is no utf-8"),
        (b"", "holds nothing, not a mapping"),
        (b"- a", "holds list, not a mapping"),
        (b"#" * (LARGEST + 1), "is larger than 1,048,576 bytes"),
    ],
)
def test_files_that_cannot_be_read_are_named(content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as error:
        read_mapping(file, "experiment", first="a: b")
    assert str(file) in str(error.value)

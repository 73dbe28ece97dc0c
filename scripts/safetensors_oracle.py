#!/usr/bin/env python3
"""Writes tests/golden/safetensors_reference.json: small files, whole and broken, with the verdict of the
reference implementation (pip install safetensors). Run it again when that implementation changes."""

import json
import pathlib
import random
import re
import struct

import safetensors

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "tests" / "golden" / "safetensors_reference.json"


def file(header, data=b"", length=None):
    if isinstance(header, str):
        header = header.encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def entry(**changes):
    """The header of one tensor 'a', four bytes of F32, with changes; a value of None takes the key out."""
    fields = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], **changes}
    return json.dumps({"a": {key: value for key, value in fields.items() if value is not None}})


ONE = entry()
INNER = json.dumps(json.loads(ONE)["a"])
DATA = b"\x00\x01\x02\x03"


def listed_cases():
    yield "one tensor", file(ONE, DATA)
    yield "no tensor", file("{}")
    yield "scalar", file(entry(shape=[]), DATA)
    yield "zero dimension", file(entry(shape=[3, 0], data_offsets=[0, 0]))
    yield "spaces after", file(ONE + "   ", DATA)
    yield "line end after", file(ONE + "\n", DATA)
    yield "zero byte after", file(ONE + "\0", DATA)
    yield "letter after", file(ONE + "x", DATA)
    yield "space before", file(" " + ONE, DATA)
    yield "byte order mark before", file("\ufeff" + ONE, DATA)
    yield "empty file", b""
    yield "seven bytes", b"\x02\0\0\0\0\0\0"
    yield "eight bytes", file("")
    yield "length above the limit", file("{}", length=100_000_001)
    yield "length past the end", file("{}", length=3)
    yield "length of 64 bits", file("{}", length=2**64 - 1)
    yield "not UTF-8", file(b'{"\xff":1}')
    yield "overlong UTF-8", file(ONE.encode().replace(b'"a"', b'"\xc0\x80"'), DATA)
    yield "surrogate in UTF-8", file(ONE.encode().replace(b'"a"', b'"\xed\xa0\x80"'), DATA)
    yield "lone surrogate escape", file(ONE.replace('"a"', '"\\ud800"'), DATA)
    yield "escaped name", file(ONE.replace('"a"', '"\\u0061\\n\\u00e9"'), DATA)
    yield "empty name", file(ONE.replace('"a"', '""'), DATA)
    yield "zero byte in a name", file(ONE.replace('"a"', '"\\u0000"'), DATA)
    yield "array", file("[]")
    yield "nested deeply", file('{"a":' + "[" * 1000 + "]" * 1000 + "}")
    yield "tensor twice", file(f'{{"a":{INNER},"a":{INNER}}}', DATA)
    yield "field twice", file(ONE.replace('"dtype"', '"dtype": "F32", "dtype"'), DATA)
    yield "metadata", file(f'{{"__metadata__":{{"format":"pt"}},"a":{INNER}}}', DATA)
    yield "metadata twice", file('{"__metadata__":{},"__metadata__":{}}')
    yield "metadata key twice", file('{"__metadata__":{"a":"1","a":"2"}}')
    for value in ["null", "1", "[]", '"x"', '{"a":1}', '{"a":null}', '{"a":{}}']:
        yield "metadata " + value, file('{"__metadata__":' + value + "}")
    for value in ["1", "null", '"x"', "[]", "{}", '["F32",[1],[0,4]]']:
        yield "entry " + value, file('{"a":' + value + "}", DATA)
    for key in ["dtype", "shape", "data_offsets"]:
        yield "no " + key, file(entry(**{key: None}), DATA)
    yield "unknown key", file(entry(strides=[1]), DATA)
    for value in ["F33", "f32", "", 32, None, ["F32"]]:
        yield f"dtype {value!r}", file(entry(dtype=value), DATA)
    for size in ["-1", "-0", "1.0", "1e0", "true", "null", '"1"', "[1]", "18446744073709551616", "01"]:
        yield "size " + size, file(ONE.replace("[1]", f"[{size}]"), DATA)
    for offsets in ["[]", "[0]", "[0, 4, 4]", "[4, 0]", "[-4, 0]", "[0, 4.0]", "[1, 5]", "4", '["0", "4"]', "[0, 8]"]:
        yield "data_offsets " + offsets, file(ONE.replace("[0, 4]", offsets), DATA)
    yield "data cut short", file(ONE, DATA[:3])
    yield "data too long", file(ONE, DATA + b"\x04")
    yield "size mismatch", file(entry(shape=[2]), DATA)
    yield "product overflow", file(entry(shape=[2**33, 2**33]), DATA)
    yield "overflow before a zero", file(entry(shape=[2**33, 2**33, 0], data_offsets=[0, 0]))
    yield "overflow after a zero", file(entry(shape=[0, 2**33, 2**33], data_offsets=[0, 0]))
    yield "bits overflow", file(entry(shape=[2**61]), DATA)
    yield "half a byte", file(entry(dtype="F4", shape=[7]), DATA)
    two = '{{"a":{{"dtype":"U8","shape":[2],"data_offsets":[{},{}]}},"b":{{"dtype":"U8","shape":[2],"data_offsets":[{},{}]}}}}'
    for a, b, c, d in [(0, 2, 2, 4), (2, 4, 0, 2), (0, 2, 1, 3), (0, 2, 0, 2), (0, 2, 3, 5), (1, 3, 3, 5)]:
        yield f"two tensors {a} {b} {c} {d}", file(two.format(a, b, c, d), bytes(range(max(b, d))))
    types = {"BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
             "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32,
             "F32": 32, "C64": 64, "F64": 64, "I64": 64, "U64": 64}
    for name, bits in types.items():
        yield "type " + name, file(entry(dtype=name, shape=[2, 4], data_offsets=[0, bits]), bytes(bits))


def mutants(count):
    """One token of a valid header replaced, removed or doubled."""
    header = ('{"__metadata__":{"format":"pt"},"x":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},'
              '"y":{"dtype":"BF16","shape":[],"data_offsets":[8,10]},"z":{"dtype":"U8","shape":[0,7],"data_offsets":[10,10]}}')
    tokens = re.findall(r'"[^"]*"|\d+|[{}\[\],:]', header)
    pool = sorted(set(tokens)) + ["-1", "1.5", "null", "true", '""', " "]
    rng = random.Random(1)
    for number in range(count):
        changed = list(tokens)
        place = rng.randrange(len(tokens))
        action = rng.choice(["replace", "replace", "remove", "double", "swap"])
        if action == "replace":
            changed[place] = rng.choice(pool)
        elif action == "remove":
            del changed[place]
        elif action == "double":
            changed.insert(place, changed[place])
        else:
            other = rng.randrange(len(tokens))
            changed[place], changed[other] = changed[other], changed[place]
        yield f"mutant {number}", file("".join(changed), bytes(range(10)))


def verdict(content):
    """The tensors that the reference implementation finds, or None where it refuses the file."""
    try:
        tensors = safetensors.deserialize(content)
    except safetensors.SafetensorError:
        return None
    return {name: [t["dtype"], t["shape"], bytes(t["data"]).hex()] for name, t in tensors}


def main():
    cases = [*listed_cases(), *mutants(160)]
    lines = [json.dumps({"case": name, "file": content.hex(), "tensors": verdict(content)}) for name, content in cases]
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text("[\n" + ",\n".join(lines) + "\n]\n")
    accepted = sum('"tensors": null' not in line for line in lines)
    print(f"safetensors {safetensors.__version__}: {len(lines)} cases, {accepted} accepted -> {OUTPUT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Writes tests/golden/formats.json: the code tables of the OCP element and scale types that Formats and
scale bytes are equal to, and how float32 values round to them, as ml_dtypes has them (pip install ml_dtypes).
Values are given as the float32 bits. Run it again when that implementation changes."""

import json
import pathlib
import random

import ml_dtypes
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "tests" / "golden" / "formats.json"

TABLES = {"float4_e2m1fn": 16, "float6_e2m3fn": 64, "float6_e3m2fn": 64, "float8_e4m3fn": 256, "float8_e8m0fnu": 256}
ROUNDED = ["float4_e2m1fn", "float6_e2m3fn", "float6_e3m2fn", "float8_e4m3fn"]
E4M3_LARGEST = 448.0  # above it float8_e4m3fn has NaN where a Format saturates


def values(name, codes):
    """The float32 values of the codes; a NaN stays one."""
    return np.array(codes, np.uint8).view(getattr(ml_dtypes, name)).astype(np.float32)


def bits(array):
    return array.astype(np.float32).view(np.uint32).tolist()


def inputs(count):
    """Every value of the types, every midpoint of neighbours, one ulp around both, and random magnitudes."""
    chosen = [0.0, 2.0**-149, 2.0**-126, E4M3_LARGEST]
    for name in ROUNDED:
        table = np.unique(values(name, range(TABLES[name])))
        table = table[np.isfinite(table) & (table >= 0)]
        for exact in [*table, *((table[1:] + table[:-1]) / 2)]:
            chosen += [exact, np.nextafter(np.float32(exact), np.float32(0)), np.nextafter(np.float32(exact), np.float32(1e9))]
    rng = random.Random(1)
    while len(chosen) < count:
        chosen.append(rng.uniform(1, 2) * 2.0 ** rng.randint(-14, 8))
    chosen = [x for x in np.unique(np.array(chosen, np.float32)) if x <= E4M3_LARGEST]
    return np.array([sign * x for x in chosen for sign in (1, -1)], np.float32)


def main():
    tables = {}
    for name, count in TABLES.items():
        floats = values(name, range(count))
        tables[name] = [None if np.isnan(x) else b for x, b in zip(floats, bits(floats))]
    x = inputs(2000)
    rounding = {name: x.astype(getattr(ml_dtypes, name)).view(np.uint8).tolist() for name in ROUNDED}
    document = {"tables": tables, "inputs": bits(x), "codes": rounding}
    OUTPUT.parent.mkdir(exist_ok=True)
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in document.items())
    OUTPUT.write_text("{\n" + lines + "\n}\n")
    print(f"ml_dtypes {ml_dtypes.__version__}: {len(x)} inputs -> {OUTPUT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()

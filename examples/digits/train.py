#!/usr/bin/env python3
"""Trains the digits network and writes model/ and data/, the files that lie beside this script.

    train.py                                            train, write, print the held-out accuracy
    train.py --check MODEL [REFERENCE] [--outputs FILE] evaluate MODEL as digits_eval does, in numpy

MODEL and REFERENCE are folders or safetensors files with F32, F16 or BF16 weights; --outputs names
a file that `digits_eval --outputs` wrote, which is then compared with numpy's, image by image.

The images are the UCI Machine Learning Repository's "Optical Recognition of Handwritten Digits"
(E. Alpaydin and C. Kaynak, 1998, https://archive.ics.uci.edu/dataset/80, licence CC BY 4.0): its test set
of 1,797 images, of which scikit-learn ships a copy. They are split here, class by class, into 1,347
to train with and 450 held out; pixels and labels are unchanged.

Needs numpy and scikit-learn. Two runs on one machine write the same bytes; another processor or
version of numpy may sum in another order, and training amplifies the difference.
"""

import argparse
import json
import os
import sys
from pathlib import Path

# The number of threads decides the order of sums, so it is fixed, before numpy is loaded.
for library in "OPENBLAS", "OMP", "MKL":
    os.environ[library + "_NUM_THREADS"] = "1"
sys.dont_write_bytecode = True

import numpy as np

import network

FOLDER = Path(__file__).resolve().parent
DATA_FILE = FOLDER / "data" / "digits.safetensors"
MODEL_FILE = FOLDER / "model" / "model.safetensors"

SEED = 1
HELD_OUT = 450
EPOCHS = 40
BATCH = 32
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.05

CONFIG = {
    "architectures": ["DigitsForImageClassification"],
    "model_type": "digits",
    "dtype": "float32",
    "image_size": 8,
    "largest_pixel": network.LARGEST_PIXEL,
    "num_channels": 1,
    "conv_channels": [20, 40, 60],
    "hidden_size": 100,
    "num_labels": 10,
}


def load_data():
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    digits = load_digits()
    images, labels = digits.images.astype(np.uint8), digits.target.astype(np.uint8)
    train_images, test_images, train_labels, test_labels = train_test_split(
        images, labels, test_size=HELD_OUT, stratify=labels, random_state=SEED)
    return {"train_images": train_images, "train_labels": train_labels,
            "test_images": test_images, "test_labels": test_labels}


def shifted(images, rng):
    """Every image moved by -1, 0 or 1 pixel each way: a digit stays the digit it is."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    corners = rng.integers(0, 3, (len(images), 2))
    return np.stack([p[y:y + 8, x:x + 8] for p, (y, x) in zip(padded, corners)])


def train(images, labels):
    """AdamW on the cross entropy, learning rate falling to zero along a half cosine."""
    rng = np.random.Generator(np.random.PCG64(SEED))
    parameters = network.initial_parameters(rng)
    mean = {name: np.zeros_like(value) for name, value in parameters.items()}
    square = {name: np.zeros_like(value) for name, value in parameters.items()}
    batches = len(images) // BATCH
    for epoch in range(EPOCHS):
        order = rng.permutation(len(images))
        for batch in range(batches):
            chosen = order[batch * BATCH:(batch + 1) * BATCH]
            logits, intermediate = network.forward(parameters, shifted(images[chosen], rng).astype(np.float32))
            gradient = np.exp(network.log_softmax(logits))
            gradient[np.arange(BATCH), labels[chosen]] -= 1
            gradients = network.backward(parameters, intermediate, gradient / np.float32(BATCH))

            step = epoch * batches + batch
            rate = LEARNING_RATE * (1 + np.cos(np.pi * step / (EPOCHS * batches))) / 2
            for name, value in parameters.items():
                mean[name] = 0.9 * mean[name] + 0.1 * gradients[name]
                square[name] = 0.999 * square[name] + 0.001 * gradients[name] ** 2
                direction = (mean[name] / (1 - 0.9 ** (step + 1))) / (
                    np.sqrt(square[name] / (1 - 0.999 ** (step + 1))) + 1e-8)
                decay = WEIGHT_DECAY if value.ndim > 1 else 0
                parameters[name] = (value - rate * (direction + decay * value)).astype(np.float32)
    return parameters


def outputs(model, images):
    """Logits of the test images, computed in float64: what is left of them is the weights' doing."""
    parameters = {name: value.astype(np.float64) for name, value in network.read_safetensors(model).items()}
    return network.forward(parameters, images.astype(np.float64))[0]


def check(model, reference, outputs_file):
    data = network.read_safetensors(DATA_FILE)
    logits = outputs(model, data["test_images"])
    predictions = logits.argmax(1)
    correct = int((predictions == data["test_labels"]).sum())
    result = {"accuracy": correct / len(logits), "correct": correct, "images": len(logits), "mean_kl": None}
    if reference:
        expected = network.log_softmax(outputs(reference, data["test_images"]))
        result["mean_kl"] = (np.exp(expected) * (expected - network.log_softmax(logits))).sum(1).mean()
    if outputs_file:
        # Every line: the predicted digit, then the ten logits.
        table = np.loadtxt(outputs_file, ndmin=2)
        if table.shape != (len(logits), 11):
            sys.exit(f"{outputs_file}: found {table.shape[0]} lines, expected {len(logits)} of 11 numbers")
        result["other_predictions"] = int((table[:, 0] != predictions).sum())
        result["largest_difference"] = float(np.abs(table[:, 1:] - logits).max())
    print(json.dumps(result))
    if outputs_file and not (result["other_predictions"] == 0 and result["largest_difference"] <= 1e-9):
        sys.exit(f"{outputs_file}: differs from numpy's outputs")


def main():
    parser = argparse.ArgumentParser(description="Train the digits network, or check an evaluation of one.")
    parser.add_argument("--check", metavar="MODEL", help="evaluate this model instead of training one")
    parser.add_argument("reference", nargs="?", metavar="REFERENCE", help="with --check: model to compare outputs to")
    parser.add_argument("--outputs", metavar="FILE", help="with --check: outputs of digits_eval to compare with")
    arguments = parser.parse_args()
    if arguments.check:
        return check(arguments.check, arguments.reference, arguments.outputs)
    if arguments.reference or arguments.outputs:
        parser.error("REFERENCE and --outputs go with --check")

    data = load_data()
    network.write_safetensors(DATA_FILE, data)
    network.write_safetensors(MODEL_FILE, train(data["train_images"], data["train_labels"]))
    (MODEL_FILE.parent / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    check(MODEL_FILE, None, None)


if __name__ == "__main__":
    main()

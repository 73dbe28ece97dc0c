"""The digits network in numpy: outputs, gradients, and reading and writing its safetensors files.

Three 3x3 convolutions (zero padding 1) and two linear layers, ReLU after all but the last, 2x2
max pooling after the second and third: images [n, 8, 8] -> logits [n, 10]. Parameters are a
dict of arrays under the names of SHAPES, laid out as PyTorch's Conv2d and Linear lay them out.
"""

import json
import math
from pathlib import Path

import numpy as np

# No row length or count is a multiple of 32, so that every block size meets incomplete blocks.
SHAPES = {
    "conv1.weight": (20, 1, 3, 3), "conv1.bias": (20,),
    "conv2.weight": (40, 20, 3, 3), "conv2.bias": (40,),
    "conv3.weight": (60, 40, 3, 3), "conv3.bias": (60,),
    "fc1.weight": (100, 240), "fc1.bias": (100,),
    "fc2.weight": (10, 100), "fc2.bias": (10,),
}
LARGEST_PIXEL = 16


def initial_parameters(rng):
    """He initialization: normal weights of variance 2 / fan-in, zero biases."""
    return {name: np.zeros(shape, np.float32) if name.endswith("bias")
            else (rng.standard_normal(shape) * math.sqrt(2 / math.prod(shape[1:]))).astype(np.float32)
            for name, shape in SHAPES.items()}


def _patches(x):
    """[n, c, h, w] -> [n, h, w, c * 9]: each pixel's 3x3 neighbourhood in every channel."""
    n, c, h, w = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(n, h, w, c * 9)


def _patches_gradient(gradient, shape):
    """The transpose of _patches: adds every neighbourhood's gradient to the pixels it came from."""
    n, c, h, w = shape
    gradient = gradient.reshape(n, h, w, c, 3, 3)
    padded = np.zeros((n, c, h + 2, w + 2), gradient.dtype)
    for y in range(3):
        for x in range(3):
            padded[:, :, y:y + h, x:x + w] += gradient[..., y, x].transpose(0, 3, 1, 2)
    return padded[:, :, 1:-1, 1:-1]


def _pool(x):
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2).max(axis=(3, 5))


def _pool_gradient(gradient, x, pooled):
    """To the largest pixel; pixels tied for it all get it, which happens only at 0, below ReLU."""
    return np.where(x == pooled.repeat(2, 2).repeat(2, 3), gradient.repeat(2, 2).repeat(2, 3), 0)


def forward(parameters, images):
    """Logits [n, 10] and the record of intermediate values that backward() needs."""
    x = images[:, None] / images.dtype.type(LARGEST_PIXEL)
    record = []
    for layer, pooled in ("conv1", False), ("conv2", True), ("conv3", True):
        weight = parameters[layer + ".weight"]
        patches = _patches(x)
        y = patches @ weight.reshape(len(weight), -1).T + parameters[layer + ".bias"]
        y = np.maximum(y, 0).transpose(0, 3, 1, 2)
        output = _pool(y) if pooled else y
        record.append((layer, x.shape, patches, y, output))
        x = output
    flat = x.reshape(len(x), -1)
    hidden = np.maximum(flat @ parameters["fc1.weight"].T + parameters["fc1.bias"], 0)
    logits = hidden @ parameters["fc2.weight"].T + parameters["fc2.bias"]
    return logits, (record, flat, hidden)


def backward(parameters, intermediate, gradient):
    """Gradients of all parameters, given the loss's gradient with respect to the logits."""
    record, flat, hidden = intermediate
    gradients = {"fc2.weight": gradient.T @ hidden, "fc2.bias": gradient.sum(0)}
    gradient = (gradient @ parameters["fc2.weight"]) * (hidden > 0)
    gradients |= {"fc1.weight": gradient.T @ flat, "fc1.bias": gradient.sum(0)}
    gradient = (gradient @ parameters["fc1.weight"]).reshape(record[-1][-1].shape)
    for layer, input_shape, patches, y, output in reversed(record):
        if output is not y:
            gradient = _pool_gradient(gradient, y, output)
        gradient = (gradient * (y > 0)).transpose(0, 2, 3, 1).reshape(-1, y.shape[1])
        weight = parameters[layer + ".weight"]
        gradients[layer + ".weight"] = (gradient.T @ patches.reshape(len(gradient), -1)).reshape(weight.shape)
        gradients[layer + ".bias"] = gradient.sum(0)
        if layer != "conv1":
            gradient = _patches_gradient(gradient @ weight.reshape(len(weight), -1), input_shape)
    return gradients


def log_softmax(logits):
    shifted = logits - logits.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def write_safetensors(path, tensors):
    """Float32 and uint8 arrays, in the order given, in a file that depends on nothing else."""
    dtypes = {"float32": "F32", "uint8": "U8"}
    header = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, array in tensors.items():
        begin, end = end, end + array.nbytes
        header[name] = {"dtype": dtypes[array.dtype.name], "shape": array.shape, "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(a.tobytes() for a in tensors.values()))


def _from_bf16(data):
    return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")


def read_safetensors(path):
    """Every tensor of a file, or of all safetensors files of a folder; bf16 becomes float32."""
    convert = {"F32": lambda data: np.frombuffer(data, "<f4"), "F16": lambda data: np.frombuffer(data, "<f2"),
               "U8": lambda data: np.frombuffer(data, "u1"), "BF16": _from_bf16}
    tensors = {}
    for file in sorted(Path(path).glob("*.safetensors")) if Path(path).is_dir() else [Path(path)]:
        data = file.read_bytes()
        start = 8 + int.from_bytes(data[:8], "little")
        header = json.loads(data[8:start])
        header.pop("__metadata__", None)
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            tensors[name] = convert[entry["dtype"]](data[start + begin:start + end]).reshape(entry["shape"])
    return tensors

"""Finds the arguments for which PyTorch's float32 exp and erf on a CPU are not correctly rounded, among those that the
released code's codebooks meet. Prints the two lists of src/reference-rounding.ts. Needs torch, numpy and scipy."""

import numpy as np
import torch
from scipy import special

RANGES = [1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6]
LEVELS = [*range(2, 257), 512]


def exceptions(function, exact, arguments):
    got = function(torch.tensor(arguments)).numpy()
    nearest = exact(arguments.astype(np.float64)).astype(np.float32)
    units = np.abs(got.view(np.int32) - nearest.view(np.int32))
    assert units.max() <= 1
    return sorted(int(bits) for bits in np.abs(arguments[units == 1]).view(np.int32))


boundaries = [np.float32(RANGES)]
for levels in LEVELS:
    probabilities = torch.linspace(0, 1, levels + 1)[1:-1].numpy()
    boundaries.append(special.ndtri(probabilities.astype(np.float64)).astype(np.float32))
b = np.concatenate(boundaries)
half = np.float32(-0.5)
print("exp", exceptions(torch.exp, np.exp, np.unique(half * (b * b))))
print("erf", exceptions(torch.erf, special.erf, np.unique(np.abs(b / np.float32(np.sqrt(2))))))

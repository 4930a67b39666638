"""The gate's chance: one seed from what is judged, so that a verdict can be replayed and no case is known beforehand.

    seed = first 48 bits of sha256(gate version, model sha256, holdout sha256)

Whoever changes one byte of the model meets other rows, other places on every sweep and other broken readings: a model
cannot be fitted to the cases that it will be asked.
"""

import hashlib

import numpy as np

from brakeline_validate import GATE_VERSION

# Any reader of JSON holds a number of 48 bits exactly.
_BYTES = 6


def seed_of(model_sha256: str, holdout_sha256: str) -> int:
    """The seed of everything random in the verdict on this model and holdout."""
    told = f"brakeline gate {GATE_VERSION}\n{model_sha256}\n{holdout_sha256}\n"
    return int.from_bytes(hashlib.sha256(told.encode()).digest()[:_BYTES], "big")


def generator(seed: int, purpose: str) -> np.random.Generator:
    """A stream of its own for one check, so that no check moves another's cases."""
    key = int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:4], "big")
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(key,)))

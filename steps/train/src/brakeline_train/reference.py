"""The textbook stop that the model corrects, and the stop of last resort.

    d_ref = v t_0 + v² / (2 a),   a = max(g (0.9 mu + grade), a_least)                        (1)
    d_worst = v t_worst + v² / (2 a_worst)                                                    (2)

Eq. (1) is a first estimate from what is measured; trees learn log(d / d_ref). Eq. (2) holds for the weakest
braking that the data knows, and is the answer whenever the inputs cannot be trusted. Only + - * / min max:
numpy and ONNX Runtime then agree to the last bit.
"""

import numpy as np
from numpy.typing import NDArray

GRAVITY_MPS2 = 9.80665  # CODATA standard gravity
RESPONSE_TIME_S = 0.28  # mean dead time plus half the ramp, engineering guess
UTILISATION = 0.9  # share of peak friction that ABS turns into deceleration, engineering guess
FRICTION_IF_MISSING = 0.7  # between wet and dry; the trees see that it is missing
FRICTION_LOW, FRICTION_HIGH = 0.08, 1.3  # the latter the contract's own: a lower cap would stop more grip from counting
LEAST_DECELERATION_MPS2 = 0.35
WORST_RESPONSE_TIME_S = 1.3  # longest dead time plus longest ramp
WORST_DECELERATION_MPS2 = 0.2


def reference_distance_m(
    speed_mps: NDArray[np.float32], friction: NDArray[np.float32], grade: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Eq. (1) [m], float32, shape of the inputs; missing friction and grade are filled in."""
    f32 = np.float32
    known = np.where(np.isnan(friction), f32(FRICTION_IF_MISSING), friction)
    mu = np.minimum(np.maximum(known, f32(FRICTION_LOW)), f32(FRICTION_HIGH))
    slope = np.where(np.isnan(grade), f32(0.0), grade).astype(np.float32, copy=False)
    by_tyre = mu * f32(UTILISATION * GRAVITY_MPS2) + slope * f32(GRAVITY_MPS2)
    deceleration = np.maximum(by_tyre, f32(LEAST_DECELERATION_MPS2))
    twice = (deceleration * f32(2.0)).astype(np.float32, copy=False)
    braking: NDArray[np.float32] = speed_mps * speed_mps / twice
    response: NDArray[np.float32] = speed_mps * f32(RESPONSE_TIME_S)
    return response + braking


def worst_distance_m(speed_mps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Eq. (2) [m], float32, shape of the input."""
    f32 = np.float32
    reach: NDArray[np.float32] = speed_mps * f32(WORST_RESPONSE_TIME_S)
    return reach + speed_mps * speed_mps / f32(2.0 * WORST_DECELERATION_MPS2)

"""The stops that need no learning: those that the model corrects, and the one of last resort.

    d_ref   = v (t_0 + v / (2 a_0))                                                            (1)
    d_worst = v (t_worst + v / (2 a_worst))                                                    (2)

Eq. (1) has the dimension and the growth of a stop, and trees learn log(d / d_ref): measured against the noise floor,
a formula that also knew friction and grade taught them no more, and it cost a dozen nodes. The bound has a t_0 of its
own, so long that a real stop grows faster with speed than d_ref does: then trees that never fall with speed give a
bound that never does. Eq. (2) holds for the weakest braking that the data knows, and is the answer whenever the inputs
cannot be trusted. Only
+ - * / min max: numpy and ONNX Runtime agree but for the last bit.
"""

import numpy as np
from numpy.typing import NDArray

RESPONSE_TIME_S = 0.3  # dead time plus half the ramp of a car, engineering guess
UPPER_RESPONSE_TIME_S = 0.6  # t_0 a_0 is above what any vehicle's response time times its deceleration can be
DECELERATION_MPS2 = 7.0  # a car on a dry road
WORST_RESPONSE_TIME_S = 1.6  # longest dead time plus longest ramp, a truck's
WORST_DECELERATION_MPS2 = 0.2
# A standing vehicle has no ratio; this speed stands in for it and the distance stays above 0.
LEAST_SPEED_MPS = 1e-3
# No vehicle is faster; the bound stays finite whatever the speed reading says.
MOST_SPEED_MPS = 1000.0


def reference_distance_m(speed_mps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Eq. (1) for the median [m], float32, shape of the input."""
    return _distance(speed_mps, RESPONSE_TIME_S, DECELERATION_MPS2)


def upper_reference_distance_m(speed_mps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Eq. (1) for the bound [m], float32, shape of the input."""
    return _distance(speed_mps, UPPER_RESPONSE_TIME_S, DECELERATION_MPS2)


def worst_distance_m(speed_mps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Eq. (2) [m], float32, shape of the input."""
    return _distance(speed_mps, WORST_RESPONSE_TIME_S, WORST_DECELERATION_MPS2)


def _distance(speed_mps: NDArray[np.float32], response_s: float, deceleration_mps2: float) -> NDArray[np.float32]:
    f32 = np.float32
    v = np.minimum(np.maximum(speed_mps, f32(LEAST_SPEED_MPS)), f32(MOST_SPEED_MPS))
    distance: NDArray[np.float32] = (v * f32(0.5 / deceleration_mps2) + f32(response_s)) * v
    return distance

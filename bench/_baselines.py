"""What a model has to beat: a formula, a ridge on physics features, boosted trees as they come out of the box."""

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from stepkit.contract import Contract

_GRAVITY_MPS2, _RESPONSE_S, _ABS_EFFICIENCY, _FRICTION_SLOPE_SPM = 9.80665, 0.28, 0.93, 0.002


def predictions(
    contract: Contract, inputs: np.ndarray, distance_m: np.ndarray, asked: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """Distances [m] for the rows `asked` (M, F) by each baseline, learned from `inputs` (N, F)."""
    fill = {entry.role: float(np.nanmedian(inputs[:, at])) for at, entry in enumerate(contract.features)}
    features, of_asked = (_features(contract, rows, fill) for rows in (inputs, asked))
    ridge = make_pipeline(StandardScaler(), Ridge()).fit(features, np.log(distance_m))
    # The loss is the one that all are judged by.
    trees = HistGradientBoostingRegressor(loss="absolute_error", random_state=seed).fit(inputs, distance_m)
    return {
        "formula": _formula(contract, asked, fill),
        "ridge on physics features": np.exp(ridge.predict(of_asked)),
        "plain HGB": trees.predict(asked),
    }


def _role(contract: Contract, rows: np.ndarray, role: str, fill: dict[str, float]) -> np.ndarray:
    values = rows[:, contract.names.index(contract.by_role(role).name)].astype(np.float64)
    return np.where(np.isnan(values), fill[role], values)


def _formula(contract: Contract, rows: np.ndarray, fill: dict[str, float]) -> np.ndarray:
    """Response time, then v²/2a with friction and grade as read; the median where they are missing."""
    speed, friction, grade = (_role(contract, rows, role, fill) for role in ("speed", "friction", "grade"))
    grip = _ABS_EFFICIENCY * np.maximum(friction, 0.05) * (1.0 - _FRICTION_SLOPE_SPM * speed)
    found: np.ndarray = speed * _RESPONSE_S + speed**2 / (2.0 * _GRAVITY_MPS2 * np.maximum(grip + grade, 0.03))
    return found


def _features(contract: Contract, rows: np.ndarray, fill: dict[str, float]) -> np.ndarray:
    """What an engineer would write down: logs of speed, formula and friction, the rest as read, gaps as columns."""
    read = {role: _role(contract, rows, role, fill) for role in fill}
    speed, friction = np.maximum(read["speed"], 0.5), np.maximum(read["friction"], 0.05)
    columns = [np.log(speed), speed, np.log(_formula(contract, rows, fill)), np.log(friction), 1.0 / friction]
    columns += [read[role] for role in ("mass", "grade", "disc_temperature", "rain", "air_temperature")]
    columns += [read["tyre_pressure"], read["tread_depth"], (read["air_temperature"] < 2.0).astype(float)]
    columns += [(read["vehicle_class"] == number).astype(float) for number in range(5)]
    columns += [np.isnan(rows[:, at]).astype(float) for at in range(rows.shape[1])]
    return np.column_stack(columns)

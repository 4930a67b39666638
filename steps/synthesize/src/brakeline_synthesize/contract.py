"""The data contract, version 2: declared here and nowhere else; it travels with the data and in the model.

Version 2 has what a laden truck needs (a class of its own, wider ranges of mass and tyre pressure), the depth of the
tread, and tells which fault of a sensor a row has. How a contract may evolve: `docs/contract.md`.
"""

from stepkit.contract import Contract, Feature, Target

CONTRACT = Contract(
    version=2,
    features=(
        Feature("wheel_speed_mps", "speed", "m/s", 0.0, 70.0, False, "Speed over ground by the wheel sensors"),
        Feature("vehicle_class", "vehicle_class", "1", 0.0, 4.0, False, "0 small, 1 mid-size, 2 SUV, 3 van, 4 truck"),
        Feature("friction_estimate", "friction", "1", 0.0, 1.3, True, "Peak tyre-road friction, estimated"),
        Feature("mass_estimate_kg", "mass", "kg", 600.0, 20_000.0, True, "Vehicle mass with its load, estimated"),
        Feature("grade", "grade", "1", -0.25, 0.25, True, "Rise over run ahead, above 0 uphill"),
        Feature("acceleration_mps2", "acceleration", "m/s²", -12.0, 8.0, True, "IMU, along the vehicle"),
        Feature("disc_temperature_c", "disc_temperature", "°C", -40.0, 900.0, True, "Front brake disc, modelled"),
        Feature("rain_mmph", "rain", "mm/h", 0.0, 120.0, True, "Rain sensor's intensity, snowfall as water"),
        Feature("air_temperature_c", "air_temperature", "°C", -45.0, 55.0, True, "Outside air"),
        Feature("tyre_pressure_kpa", "tyre_pressure", "kPa", 100.0, 1000.0, True, "Lowest of the tyres, gauge"),
        Feature("radar_range_m", "range", "m", 0.0, 300.0, True, "Gap to the object ahead; missing if none"),
        Feature("radar_range_rate_mps", "range_rate", "m/s", -120.0, 60.0, True, "Its rate, below 0 closing"),
        Feature("camera_box_px", "box_height", "px", 0.0, 4000.0, True, "Height of the object's box in the image"),
        Feature("tread_depth_mm", "tread_depth", "mm", 0.0, 20.0, True, "Lowest of the tyres, estimated"),
    ),
    target=Target("stopping_distance_m", "m", "Way from the brake demand to standstill"),
    group="drive",
    truths=("surface", "source", "fault"),
)

// The sensors as controls: what each says at present, by the ranges and permissions of the contract.

import { make, told, unit } from "./dom.js";

// Where the panel starts and what the presets set, by the feature's role in the physics and in the unit given here;
// a feature in another unit, or one that no role is known for, is left alone.
const START = {
  speed: [25, "m/s"], vehicle_class: [1, "1"], friction: [0.85, "1"], mass: [1550, "kg"], grade: [0, "1"],
  acceleration: [0, "m/s²"], disc_temperature: [80, "°C"], rain: [0, "mm/h"], air_temperature: [18, "°C"],
  tyre_pressure: [240, "kPa"], range: [80, "m"], range_rate: [-10, "m/s"], box_height: [24, "px"], tread_depth: [6, "mm"],
};
const PRESETS = {
  "Dry": { friction: [0.85, "1"], rain: [0, "mm/h"], air_temperature: [18, "°C"] },
  "Wet": { friction: [0.55, "1"], rain: [3, "mm/h"], air_temperature: [11, "°C"] },
  "Snow": { friction: [0.25, "1"], rain: [1, "mm/h"], air_temperature: [-4, "°C"] },
  "Ice": { friction: [0.12, "1"], rain: [0, "mm/h"], air_temperature: [-3, "°C"] },
  "Radar off": { range: null, range_rate: null },
  "As at first": START,
};
const CODES = /^\d+ [^,]+(, \d+ [^,]+)+$/; // a description such as "0 small, 1 large": a choice, no quantity

/** A round step that cuts the range into 100 to 250 parts, and the decimals it needs. */
function stepOf({ low, high }) {
  const rough = (high - low) / 250;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough * 0.999);
  return [step, Math.max(0, -Math.floor(Math.log10(step) + 1e-9))];
}

function startOf(feature) {
  const [value, its] = START[feature.role] ?? [];
  if (its === feature.unit && value >= feature.low && value <= feature.high) return value;
  return feature.missing_allowed ? null : (feature.low + feature.high) / 2;
}

/** A role as a title. */
const spoken = (role) => role.charAt(0).toUpperCase() + role.slice(1).replaceAll("_", " ");

/** One sensor: its controls in `node`, its value (null: missing) in `value`. */
class Sensor {
  constructor(feature, changed) {
    this.feature = feature;
    this.changed = changed;
    [this.step, this.decimals] = stepOf(feature);
    const { name, low, high } = feature;
    const ids = { id: `value-${name}`, hint: `hint-${name}` };
    this.hint = make("p", { id: ids.hint, class: "hint" });
    this.choice = CODES.test(feature.description);
    const title = spoken(feature.role);
    const head = make("div", { class: "head" }, make("label", { for: ids.id }, title));
    if (!this.choice) head.append(make("span", { class: "what" }, feature.description));
    const row = make("div", { class: this.choice ? "row choice" : "row" });
    if (this.choice) {
      const options = feature.description.split(", ").map((each) => each.split(/ (.*)/));
      this.field = make("select", { id: ids.id }, ...options.map(([code, word]) => make("option", { value: code }, word)));
      row.append(this.field);
    } else {
      this.slider = make("input", {
        type: "range", min: low, max: high, step: this.step, "aria-label": `${title}, slider`, "aria-describedby": ids.hint,
      });
      // No min and max: what the model says beyond its range is worth a look.
      this.field = make("input", { type: "number", id: ids.id, step: "any", inputmode: "decimal", "aria-describedby": ids.hint });
      this.slider.addEventListener("input", () => this.set(Number(this.slider.value), this.slider));
      row.append(this.slider, this.field, make("span", { class: "unit" }, unit(feature.unit)));
    }
    this.field.addEventListener("input", () => {
      if (this.field.validity.badInput) this.flag("▲ no number: the last one counts");
      else this.set(this.field.value === "" ? null : Number(this.field.value), this.field);
    });
    if (feature.missing_allowed) {
      this.box = make("input", { type: "checkbox", "aria-label": `${title}: missing` });
      this.box.addEventListener("change", () => this.set(this.box.checked ? null : this.last, this.box));
      row.append(make("label", { class: "missing" }, this.box, "missing"));
    }
    this.node = make("div", { class: "sensor", "data-role": feature.role }, head, row, this.hint);
    this.last = startOf(feature) ?? (low + high) / 2;
    this.put(startOf(feature));
  }

  set(value, from) {
    this.put(value, from);
    this.changed();
  }

  /** Take a value and show it, save in the control it came from: nobody's typing is overwritten. */
  put(value, from = null) {
    const { feature } = this;
    this.value = value;
    if (value !== null) this.last = value;
    const missing = value === null;
    if (this.box) {
      this.box.checked = missing;
      // Not while it has the focus: whoever empties a field may go on typing there.
      for (const control of [this.slider, this.field]) if (control) control.disabled = missing && control !== from;
    }
    if (this.slider && !missing && from !== this.slider) this.slider.value = value;
    if (from !== this.field) this.field.value = missing ? "" : String(Number(value.toFixed(6)));
    const beyond = missing ? !feature.missing_allowed : value < feature.low || value > feature.high;
    const spelt = missing ? "missing" : `${told(value, this.decimals)} ${unit(feature.unit)}`;
    if (this.slider) this.slider.setAttribute("aria-valuetext", spelt);
    this.flag(beyond ? this.whyBeyond(missing) : "");
  }

  /** Say what is wrong with the value; where nothing is, what it is in other units. */
  flag(wrong) {
    this.field.setAttribute("aria-invalid", wrong !== "");
    this.hint.className = wrong ? "hint beyond" : "hint";
    this.hint.textContent = wrong || this.inOtherUnits();
  }

  whyBeyond(missing) {
    const { low, high, unit: its } = this.feature;
    return missing ? "▲ must not be missing" : `▲ outside the contract’s ${low} to ${high} ${unit(its)}`.replaceAll("-", "−");
  }

  inOtherUnits() {
    if (this.value === null || this.feature.role !== "speed" || this.feature.unit !== "m/s") return "";
    return `${told(this.value * 3.6, 0)} km/h, ${told(this.value / 0.44704, 0)} mph`;
  }
}

/** All sensors of a contract in `place`, their presets in `buttons`; `changed` is called for every change by a person. */
export class Panel {
  constructor(contract, place, buttons, changed) {
    this.changed = changed;
    this.sensors = contract.features.map((feature) => new Sensor(feature, changed));
    place.replaceChildren(...this.sensors.map((sensor) => sensor.node));
    const fitting = Object.entries(PRESETS).filter(([, sets]) => this.sensors.some((sensor) => sensor.feature.role in sets));
    buttons.replaceChildren(...fitting.map(([name, sets]) => {
      const button = make("button", { type: "button" }, name);
      button.addEventListener("click", () => this.apply(sets));
      return button;
    }));
  }

  apply(sets) {
    for (const sensor of this.sensors) {
      const { feature } = sensor;
      const wanted = sets[feature.role];
      if (sets === START) sensor.put(startOf(feature));
      else if (wanted === null && feature.missing_allowed) sensor.put(null);
      else if (wanted && wanted[1] === feature.unit) sensor.put(Math.min(Math.max(wanted[0], feature.low), feature.high));
    }
    this.changed();
  }

  by(role) {
    return this.sensors.find((sensor) => sensor.feature.role === role);
  }

  /** What the sensors say, by name. */
  values() {
    return Object.fromEntries(this.sensors.map((sensor) => [sensor.feature.name, sensor.value]));
  }
}

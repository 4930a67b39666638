// The page: which model is live, what it promises, and what it says to what the panel is set to.

import { Refused, ask, authorise, columns, newest, tensors } from "./api.js";
import { $, make, table, told, unit } from "./dom.js";
import { Panel } from "./panel.js";
import { plot } from "./plot.js";

const MODEL = document.querySelector("meta[name=model]").content;
const PATH = `v2/models/${encodeURIComponent(MODEL)}`;
const LOOK_MS = 2000;
const POINTS = 61;
const [POINT_PAUSE_MS, CURVE_PAUSE_MS] = [30, 120];
// What an output is to the page, by its role; the median is the contract's target. Others are shown by name.
const BOUND = "stopping_distance_upper_m";
const FLAG = "out_of_range";
const TITLES = {
  deceleration_lower_mps2: "Deceleration",
  required_deceleration_mps2: "Needed for the object ahead",
  ood_score: "Unlike the training data",
};

let live = null; // the metadata of the model that is shown
let panel = null;
let point = null; // the newest answer, and the curve it lies on
let curve = null;
let curveAsked = "";
let nextLook = null;
const failing = new Set(); // what did not succeed when it was tried last

const inferred = async (wanted) => ask(`${PATH}/infer`, { inputs: tensors(wanted.columns), outputs: wanted.outputs });
const askPoint = newest(POINT_PAUSE_MS, inferred, showPoint, (error) => fail("point", error));
const askCurve = newest(CURVE_PAUSE_MS, inferred, showCurve, (error) => fail("curve", error));

function outputOf(role) {
  const { contract, outputs } = live.parameters;
  if (role === "median") return contract.target.name;
  return Object.keys(outputs).find((name) => outputs[name].role === role);
}

// Following the server.

async function look() {
  if (document.hidden) {
    document.addEventListener("visibilitychange", look, { once: true });
    return;
  }
  let again = LOOK_MS;
  try {
    const ready = await ask("v2/health/ready");
    const known = live?.parameters;
    if (known?.version !== ready.version || JSON.stringify(known.refused) !== JSON.stringify(ready.refused)) {
      meet(await ask(PATH));
    } else if (failing.size) wish();
    well("look");
    say(`Live: version ${live.parameters.version}`, true);
    if (!$("credentials").hidden) $("sensors").focus();
    $("credentials").hidden = true;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (error.status === 401) again = 0;
    say({ 401: "A token is needed", 503: "No model is served yet", 0: "The server does not answer" }[error.status] ?? "Trouble", false);
    wait("look", error);
  }
  clearTimeout(nextLook);
  if (again) nextLook = setTimeout(look, again);
}

/** Nothing can be asked for now. A page that has a model stays on show, unless there is none or it is not for us. */
function wait(what, error) {
  if (error.status === 401 && $("credentials").hidden) {
    $("credentials").hidden = false;
    $("token").focus();
  }
  failing.add(what);
  trouble(error.status === 503 ? `${error.message}. This page picks a model up when it comes.` : error.message);
  if (error.status === 503 || error.status === 401) {
    live = null;
    $("main").hidden = true;
  }
}

function say(text, isLive) {
  if ($("state").textContent !== text) $("state").textContent = text;
  $("state").classList.toggle("live", isLive);
}

function well(what) {
  failing.delete(what);
  if (failing.size === 0) trouble("");
}

function trouble(text) {
  if ($("trouble").textContent !== text) $("trouble").textContent = text;
  $("trouble").hidden = text === "";
}

function meet(metadata) {
  live = metadata;
  $("main").hidden = false;
  const { contract } = live.parameters;
  showFacts();
  if (panel === null || JSON.stringify(panel.contract) !== JSON.stringify(contract)) {
    panel = new Panel(contract, $("panel"), $("presets"), wish);
    panel.contract = contract;
    showContract(contract);
  }
  point = curve = null;
  curveAsked = "";
  wish();
}

// Asking.

/** What is shown is not yet the answer to what the panel is set to, or no more. */
function busy(section, is) {
  $(section).setAttribute("aria-busy", is);
}

function wish() {
  if (live === null) return;
  const values = panel.values();
  busy("answer", true);
  askPoint({ columns: mapped(values, (value) => [value]), outputs: undefined, speed: panel.by("speed")?.value ?? null });
  const speed = panel.by("speed");
  if (speed === undefined || outputOf(BOUND) === undefined) return;
  const { name, low, high } = speed.feature;
  // Half of the range has the speeds of most roads, and their distances stay legible.
  const end = speed.value !== null && speed.value > low + (high - low) * 0.45 ? high : (low + high) / 2;
  const speeds = Array.from({ length: POINTS }, (_, at) => low + ((end - low) * at) / (POINTS - 1));
  const swept = mapped(values, (value, key) => (key === name ? speeds : speeds.map(() => value)));
  const asked = JSON.stringify([live.parameters.version, swept]);
  if (asked === curveAsked && !failing.has("curve")) return;
  curveAsked = asked;
  const outputs = ["median", BOUND, FLAG].map(outputOf).filter((each) => each !== undefined).map((each) => ({ name: each }));
  busy("plot", true);
  askCurve({ columns: swept, outputs, speeds });
}

const mapped = (values, change) => Object.fromEntries(Object.entries(values).map(([name, value]) => [name, change(value, name)]));

function fail(what, error) {
  if (error.status === 401) say("A token is needed", false);
  wait(what, error);
}

// Showing.

function showPoint(answer, wanted) {
  if (answer.model_version !== live?.parameters.version) return; // the next look meets the new version and asks again
  busy("answer", false);
  well("point");
  point = { answers: mapped(columns(answer), ([value]) => value), speed: wanted.speed };
  const { contract, outputs } = live.parameters;
  const [median, bound, flag] = ["median", BOUND, FLAG].map(outputOf);
  const figure = (name, title, kind) => make("div", { class: `figure ${kind}`, "data-output": kind },
    make("span", { class: "name" }, title),
    make("b", {}, told(point.answers[name]), " ", make("small", {}, unit(outputs[name].unit))),
    make("p", { class: "what" }, outputs[name].description));
  $("figures").replaceChildren(figure(median, "Median", "median"), ...(bound ? [figure(bound, "Bound", "bound")] : []));
  const others = Object.keys(outputs).filter((name) => ![median, bound, flag].includes(name));
  $("others").replaceChildren(...others.map((name) => {
    const { role, unit: its, description } = outputs[name];
    return make("div", { "data-output": role }, make("dt", {}, TITLES[role] ?? name),
      make("dd", {}, make("b", {}, told(point.answers[name], 2)), ` ${unit(its)}`, make("p", { class: "what" }, description)));
  }));
  const raised = flag !== undefined && point.answers[flag] > 0.5;
  const said = raised
    ? "▲ Out of range: these inputs cannot be trusted, and the worst case is given."
    : "✓ In range: the inputs keep the contract.";
  if ($("flag").textContent !== said) $("flag").textContent = said;
  $("flag").classList.toggle("raised", raised);
  $("bar").replaceChildren(
    make("span", {}, "Median ", make("b", {}, `${told(point.answers[median])} ${unit(outputs[median].unit)}`)),
    ...(bound ? [make("span", {}, "Bound ", make("b", {}, `${told(point.answers[bound])} ${unit(outputs[bound].unit)}`))] : []),
    ...(raised ? [make("b", { class: "raised" }, "▲ out of range")] : []));
  showPlot(contract);
}

function showCurve(answer, wanted) {
  if (answer.model_version !== live?.parameters.version) return;
  well("curve");
  busy("plot", false);
  const [medians, bounds, flags] = ["median", BOUND, FLAG].map((role) => columns(answer)[outputOf(role)]);
  curve = { speeds: wanted.speeds, medians, bounds, flags: flags ?? [] };
  const { contract } = live.parameters;
  showPlot(contract);
  const worst = curve.flags.filter((each) => each > 0.5).length;
  $("caption").replaceChildren(
    make("span", { class: "key" }, "median"), make("span", { class: "key bound" }, "bound"),
    make("span", {}, `${contract.target.description}; all but the speed as set.`),
    worst > 0 ? make("strong", {}, ` ▲ Worst case at ${worst === POINTS ? "every speed" : `${worst} of ${POINTS} speeds`}.`) : "");
  const [speed, its] = [panel.by("speed").feature, ` [${contract.target.unit}]`];
  const tenth = curve.speeds.map((_, at) => at).filter((at) => at % ((POINTS - 1) / 10) === 0);
  table($("numbers"), "As the plot was drawn last", [`Speed [${speed.unit}]`, `Median${its}`, `Bound${its}`],
    tenth.map((at) => [curve.speeds[at], medians[at], bounds[at]].map((each) => told(each))));
}

function showPlot(contract) {
  const canvas = $("canvas");
  $("plot").hidden = panel.by("speed") === undefined || outputOf(BOUND) === undefined;
  if (curve === null) return;
  const now = point === null || point.speed === null ? null
    : { speed: point.speed, median: point.answers[outputOf("median")], bound: point.answers[outputOf(BOUND)] };
  plot(canvas, curve, now, panel.by("speed").feature, contract.target);
}

function showContract(contract) {
  table($("contract"), `${contract.name}, version ${contract.version}; target: ${contract.target.name} [${contract.target.unit}]`,
    ["Feature", "What it is", "Unit", "Range", "May be missing"],
    contract.features.map((feature) => [
      make("code", {}, feature.name), feature.description, feature.unit,
      `${feature.low} to ${feature.high}`.replaceAll("-", "−"), feature.missing_allowed ? "yes" : "no",
    ]));
}

function showFacts() {
  const { version, sha256, training, refused } = live.parameters;
  const facts = [["Name", live.name], ["Version", version], ["Served besides", live.versions.filter((each) => each !== version).join(", ")],
    ["sha256", make("code", {}, sha256)],
    ...Object.entries(training ?? {}).map(([name, value]) => [`Trained: ${name.replaceAll("_", " ")}`, fact(value)]),
    ...Object.entries(refused).map(([what, why]) => [`Refused: ${what}`, why])];
  const there = facts.filter(([, value]) => value !== "");
  $("facts").replaceChildren(...there.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

function fact(value) {
  if (typeof value !== "object" || value === null) return String(value).length < 40 ? String(value) : make("code", {}, String(value));
  const short = (each) => (typeof each === "number" ? Number(each.toPrecision(4)) : JSON.stringify(each));
  return Object.entries(value).map(([name, each]) => `${name.replaceAll("_", " ")} ${short(each)}`).join(", ");
}

$("credentials").addEventListener("submit", (event) => {
  event.preventDefault();
  authorise($("token").value);
  $("token").value = "";
  clearTimeout(nextLook);
  look();
});
$("panel").addEventListener("submit", (event) => event.preventDefault());
// Where the answer has scrolled away, a bar keeps it in sight.
new IntersectionObserver(([{ isIntersecting }]) => ($("bar").hidden = isIntersecting)).observe($("answer"));
new ResizeObserver(() => live && panel && showPlot(live.parameters.contract)).observe($("canvas"));
look();

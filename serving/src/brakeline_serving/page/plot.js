// Distance against speed, in SVG by hand.

import { draw, told, unit } from "./dom.js";

const LABEL = 76; // the room that a distance needs
const EDGE = { left: 52, right: 16, top: 22, bottom: 40 };

/** Round marks from 0 to at least `most`, about `count` of them. */
function marks(most, count) {
  const rough = most / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= rough);
  return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, at) => at * step);
}

/** Draw into `place`, in its own pixels so that letters keep their size. `curve`: speeds, medians, bounds; `now`: one point. */
export function plot(place, curve, now, speed, target) {
  const [width, height] = [place.clientWidth, place.clientHeight];
  if (width < 80 || height < 80 || curve.speeds.length === 0) return;
  const [least, most] = [curve.speeds[0], curve.speeds.at(-1)];
  const high = Math.max(1, ...[...curve.bounds, ...curve.medians].filter((each) => each !== null));
  const across = marks(most - least, width < 480 ? 4 : 7).map((each) => each + least).filter((each) => each <= most);
  const up = marks(high, 5);
  const x = (value) => EDGE.left + ((value - least) / (most - least)) * (width - EDGE.left - EDGE.right);
  const y = (value) => height - EDGE.bottom - (value / up.at(-1)) * (height - EDGE.top - EDGE.bottom);
  const points = (values) =>
    values.flatMap((value, at) => (value === null ? [] : [`${x(curve.speeds[at]).toFixed(1)},${y(value).toFixed(1)}`]));
  const line = (values, name) => draw("polyline", { class: name, points: points(values).join(" ") });
  const text = (content, name, at) => draw("text", { class: name, ...at }, content);

  const children = [
    ...up.flatMap((value) => [
      draw("line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(value), y2: y(value) }),
      text(told(value, up[1] < 1 ? 1 : 0), "mark", { x: EDGE.left - 8, y: y(value) + 4, "text-anchor": "end" }),
    ]),
    ...across.flatMap((value) => [
      draw("line", { class: "grid", x1: x(value), x2: x(value), y1: height - EDGE.bottom, y2: height - EDGE.bottom + 4 }),
      text(told(value, 0), "mark", { x: x(value), y: height - EDGE.bottom + 18, "text-anchor": "middle" }),
    ]),
    text(`speed [${speed.unit}]`, "title", { x: (EDGE.left + width - EDGE.right) / 2, y: height - 4, "text-anchor": "middle" }),
    text(`distance [${target.unit}]`, "title", { x: 4, y: 12 }),
    draw("polygon", { class: "band", points: [...points(curve.bounds), ...points(curve.medians).reverse()].join(" ") }),
    line(curve.bounds, "line bound"),
    line(curve.medians, "line"),
  ];
  if (now !== null && now.speed >= least && now.speed <= most) {
    children.push(...marked(now, x, y, up.at(-1), width, height, target, text));
  }
  const label = summary(curve, now, speed, target);
  place.replaceChildren(draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, ...children));
}

function marked(now, x, y, top, width, height, target, text) {
  const at = x(now.speed);
  const drawn = [draw("line", { class: "now", x1: at, x2: at, y1: EDGE.top, y2: height - EDGE.bottom })];
  // The curves rise: above and to the left of them there is room, and below and to the right.
  const room = { left: { x: at - 9, "text-anchor": "end" }, right: { x: at + 9 } };
  const above = at > EDGE.left + LABEL ? room.left : room.right;
  const below = at < width - EDGE.right - LABEL ? room.right : room.left;
  for (const [name, value, side, shift] of [["dot bound", now.bound, above, -7], ["dot", now.median, below, 17]]) {
    if (value === null || value > top) continue;
    drawn.push(draw("circle", { class: name, cx: at, cy: y(value), r: 5.5 }));
    drawn.push(text(`${told(value)} ${unit(target.unit)}`, "value", { ...side, y: Math.min(height - EDGE.bottom - 4, Math.max(EDGE.top + 4, y(value) + shift)) }));
  }
  return drawn;
}

function summary(curve, now, speed, target) {
  const at = (velocity, median, bound) =>
    `At ${told(velocity)} ${speed.unit} the median is ${told(median)} ${target.unit}, the bound ${told(bound)} ${target.unit}.`;
  const last = at(curve.speeds.at(-1), curve.medians.at(-1), curve.bounds.at(-1));
  return now === null ? last : `${at(now.speed, now.median, now.bound)} ${last}`;
}

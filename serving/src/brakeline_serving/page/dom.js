// Elements, made without a word of HTML: what a server or a model says is never parsed as markup.

const SVG = "http://www.w3.org/2000/svg";

export const $ = (id) => document.getElementById(id);

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** An HTML element with attributes (true: present, false or null: absent) and children. */
export const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);

/** The same for SVG. */
export const draw = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

/** A table in `node`. Roles are given by hand, for styles that stack the cells would take them away. */
export function table(node, caption, head, rows) {
  const cell = (tag, role, content, label) => make(tag, { role, "data-label": label ?? null }, content);
  node.setAttribute("role", "table");
  node.replaceChildren(
    make("caption", {}, caption),
    make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...head.map((each) => cell("th", "columnheader", each)))),
    make("tbody", { role: "rowgroup" }, ...rows.map(([first, ...rest]) =>
      make("tr", { role: "row" }, cell("th", "rowheader", first), ...rest.map((each, at) => cell("td", "cell", each, head[at + 1]))))),
  );
}

/** A number for people: three or four figures; a dash for what is not there. */
export function told(value, decimals = value !== null && Math.abs(value) >= 1000 ? 0 : 1) {
  return value === null || value === undefined ? "–" : value.toFixed(decimals).replace("-", "−");
}

/** A unit for people; the unit of a ratio is none. */
export const unit = (name) => (name === "1" ? "" : name);

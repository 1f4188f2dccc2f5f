// Plots of the last hour as SVG: an area of rates with the errors on it, lines of times; small, or with axes.
import { el, rate, time } from "./dom.js";

const NS = "http://www.w3.org/2000/svg";
const WIDTH = 460, HEIGHT = 72; // of a plot with axes, which is stretched to its place

function svg(tag, attributes) {
  const made = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

// The largest of each `width` groups, for a spike of ten seconds must not vanish; null where none has a value.
function squeezed(values, width) {
  const size = Math.max(1, values.length / width);
  const found = [];
  for (let i = 0; i < values.length; i += size) {
    const some = values.slice(Math.floor(i), Math.max(Math.floor(i) + 1, Math.floor(i + size))).filter((v) => v !== null);
    found.push(some.length ? Math.max(...some) : null);
  }
  return found;
}

// Where there is no value there is no line; one alone between gaps is a dot.
function line(values, most, width, height) {
  const step = width / Math.max(1, values.length - 1);
  const at = (v, i) => `${(i * step).toFixed(1)} ${(height - 1 - (v / most) * (height - 2)).toFixed(1)}`;
  return values.map((v, i) => {
    if (v === null) return "";
    const begins = i === 0 || values[i - 1] === null, ends = i === values.length - 1 || values[i + 1] === null;
    return `${begins ? "M" : "L"}${at(v, i)}${begins && ends ? "h.1" : ""}`;
  }).join("");
}

// The next of 1, 2, 5, 10, 20 … above: what an axis ends at.
function round(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= most * 0.999);
}

const largest = (values) => Math.max(0, ...values.filter((v) => v !== null));

function drawing(label, width, height, halved) {
  const drawn = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", class: "plot", preserveAspectRatio: "none", "aria-label": label });
  if (halved) drawn.append(svg("path", { class: "grid", d: `M0 1H${width}M0 ${height / 2}H${width}` }));
  return drawn;
}

export function rates(points, width, height, top) {
  const all = squeezed(points.rate, width / 2), bad = squeezed(points.errors, width / 2);
  const most = top || Math.max(largest(all), 0.001);
  const drawn = drawing(`Requests a second over the last hour: at most ${rate(largest(all))}, errors at most ${rate(largest(bad))}`, width, height, top);
  drawn.prepend(svg("path", { class: "area", d: `${line(all, most, width, height)}L${width} ${height}L0 ${height}Z` }));
  const plain = bad.map((v) => v && Math.max(v, most / 10)); // a few errors among many requests must be seen
  if (largest(bad) > 0) drawn.append(svg("path", { class: "bad", d: `${line(plain, most, width, height)}L${width} ${height - 1}L0 ${height - 1}Z` }));
  return drawn;
}

function times(points, width, height, top) {
  const slow = squeezed(points.p99, width / 2), half = squeezed(points.p50, width / 2);
  const drawn = drawing(`Times over the last hour: p99 at most ${time(largest(slow))}, p50 at most ${time(largest(half))}`, width, height, top);
  drawn.append(svg("path", { class: "p99", d: line(slow, top, width, height) }), svg("path", { class: "p50", d: line(half, top, width, height) }));
  return drawn;
}

// A plot with its caption, its scale at the left and its hour below.
function charted(caption, draw, points, top, text) {
  const scale = [text(top), text(top / 2), "0"].map((t) => el("span", {}, t));
  const hour = ["1 h", "45 min", "30 min", "15 min", "now"].map((t) => el("span", {}, t));
  return el("div", {}, el("figcaption", {}, ...caption),
    el("div", { className: "chart" }, el("div", { className: "scale", "aria-hidden": "true" }, ...scale), draw(points, WIDTH, HEIGHT, top)),
    el("div", { className: "hour", "aria-hidden": "true" }, ...hour));
}

export function hour(figure, points) {
  const key = (name, text) => el("span", { className: `key ${name}` }, text);
  figure.replaceChildren(
    charted([key("all", "requests/s"), key("errors", "errors/s")], rates, points, round(Math.max(largest(points.rate), 1)), (v) => (v < 1 ? String(v) : rate(v).replace(".0", ""))),
    charted([key("p99", "p99"), key("p50", "p50")], times, points, round(Math.max(largest(points.p99), 0.001)), (v) => time(v).replace(".0 ", " ").replace(/(\.\d)0 s/, "$1 s")));
}

// Small plots of the last hour as SVG: an area of rates with the errors on it, a line of times.
import { rate, time } from "./dom.js";

const NS = "http://www.w3.org/2000/svg";

function svg(tag, attributes) {
  const made = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

// The largest of each `width` groups: a spike of ten seconds must not vanish.
function squeezed(values, width) {
  const size = Math.max(1, values.length / width);
  const found = [];
  for (let i = 0; i < values.length; i += size) {
    found.push(Math.max(0, ...values.slice(Math.floor(i), Math.max(Math.floor(i) + 1, Math.floor(i + size))).map((v) => v || 0)));
  }
  return found;
}

function line(values, most, width, height) {
  const step = width / Math.max(1, values.length - 1);
  return values.map((v, i) => `${i ? "L" : "M"}${(i * step).toFixed(1)} ${(height - 1 - (v / most) * (height - 2)).toFixed(1)}`).join("");
}

export function rates(points, width, height) {
  const all = squeezed(points.rate, width / 2), bad = squeezed(points.errors, width / 2);
  const most = Math.max(...all, 0.001);
  const drawn = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", class: "plot", preserveAspectRatio: "none",
    "aria-label": `Requests a second over the last hour: at most ${rate(Math.max(...all))}, errors at most ${rate(Math.max(...bad))}` });
  drawn.append(svg("path", { class: "area", d: `${line(all, most, width, height)}L${width} ${height}L0 ${height}Z` }));
  const plain = bad.map((v) => v && Math.max(v, most / 10)); // a few errors among many requests must be seen
  if (Math.max(...bad) > 0) drawn.append(svg("path", { class: "bad", d: `${line(plain, most, width, height)}L${width} ${height - 1}L0 ${height - 1}Z` }));
  return drawn;
}

export function times(points, width, height) {
  const slow = squeezed(points.p99, width / 2), half = squeezed(points.p50, width / 2);
  const most = Math.max(...slow, 0.0001);
  const drawn = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", class: "plot", preserveAspectRatio: "none",
    "aria-label": `Times over the last hour: p99 at most ${time(Math.max(...slow))}, p50 at most ${time(Math.max(...half))}` });
  drawn.append(svg("path", { class: "p99", d: line(slow, most, width, height) }), svg("path", { class: "p50", d: line(half, most, width, height) }));
  return drawn;
}

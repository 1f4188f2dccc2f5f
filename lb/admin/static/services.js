// The services with their servers: a table whose rows are written when they change, and have plots while they are seen.
import { $, api, el, put, rate, share, time } from "./dom.js";
import { hour, rates } from "./plot.js";
import { order } from "./orders.js";

const MARKS = { up: "●", draining: "◐", maintenance: "◧", ejected: "▲", down: "✕" };
const rows = new Map();
let model, body, wantedPlots = new Set();

const COLUMNS = ["Service", "Health", "Requests/s", "Errors", "p50", "p99", "In flight", "Last hour"];

export function figures(cells, row) {
  put(cells[0], rate(row.rate));
  put(cells[1], row.errors ? `${share(row.errors, row.rate)}` : "0 %");
  cells[1].className = row.errors ? "n bad" : "n";
  put(cells[2], time(row.p50));
  put(cells[3], time(row.p99));
  put(cells[4], String(row.in_flight));
}

export function status(word) {
  return el("span", { className: `status ${word}` }, el("span", { "aria-hidden": "true" }, MARKS[word] || "?"), ` ${word || "unknown"}`);
}

const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const row = rows.get(entry.target.dataset.name);
    if (!row) continue;
    row.seen = entry.isIntersecting;
    if (row.seen && !row.plotted) wantedPlots.add(row.name);
  }
  if (wantedPlots.size) plotSoon();
}, { rootMargin: "200px" });

class ServiceRow {
  constructor(name) {
    this.name = name;
    this.seen = false;
    this.plotted = 0;
    this.open = false;
    this.button = el("button", { type: "button", className: "name", "aria-expanded": "false", onclick: () => this.toggle() }, name);
    this.origin = el("span", { className: "quiet" });
    this.health = el("td");
    this.cells = ["n", "n", "n", "n", "n"].map((className) => el("td", { className }));
    this.plot = el("td", { className: "plotcell" });
    this.tr = el("tr", {}, el("th", { scope: "row" }, this.button, this.origin), this.health, ...this.cells, this.plot);
    this.tr.dataset.name = name;
    seen.observe(this.tr);
  }
  get servers() { return model.servers.get(this.name) || new Map(); }
  tally() {
    const found = {};
    for (const one of this.servers.values()) found[one.status] = (found[one.status] || 0) + 1;
    return found;
  }
  get trouble() {
    const found = this.tally(), row = model.services.get(this.name);
    const up = found.up || 0, out = this.servers.size - up;
    return (up === 0 && this.servers.size ? 1e6 : 0) + (row.rate ? row.errors / row.rate : 0) * 1e5 + out;
  }
  write() {
    const row = model.services.get(this.name);
    if (!row) return;
    put(this.origin, row.origin === "file" ? "" : ` ${row.origin}`);
    const found = this.tally(), key = JSON.stringify(found);
    if (key !== this.key) {
      this.key = key;
      const words = Object.keys(MARKS).filter((word) => found[word]);
      this.health.replaceChildren(...words.map((word) => el("span", { className: `status ${word}` }, el("span", { "aria-hidden": "true" }, MARKS[word]), ` ${found[word]} ${word} `)));
      if (!words.length) this.health.replaceChildren("no servers");
      this.tr.classList.toggle("out", this.servers.size > 0 && !found.up);
    }
    figures(this.cells, row);
    if (this.open) this.details.write();
  }
  toggle() {
    this.open = !this.open;
    this.button.setAttribute("aria-expanded", String(this.open));
    if (this.open) {
      this.details = new Details(this);
      this.tr.after(this.details.tr);
      this.details.write();
      this.details.plots();
    } else this.details.tr.remove();
  }
}

class Details {
  constructor(service) {
    this.service = service;
    this.lines = new Map();
    this.body = el("tbody");
    this.figure = el("figure", { className: "plots" });
    const head = ["Server", "Status", "Requests/s", "Errors", "p50", "p99", "In flight", "Weight", "Why", "Orders"];
    const table = el("table", {}, el("caption", { className: "hidden" }, `Servers of ${service.name}`),
      el("thead", {}, el("tr", {}, ...head.map((text, i) => el("th", { scope: "col", className: i > 1 && i < 8 ? "n" : "" }, text)))), this.body);
    const algorithm = el("p", { className: "quiet" }, `balanced by ${model.services.get(service.name).algorithm}`);
    this.tr = el("tr", { className: "details" }, el("td", { colspan: String(COLUMNS.length) }, this.figure, algorithm, table));
  }
  write() {
    for (const [address, row] of this.service.servers) {
      let line = this.lines.get(address);
      if (!line) {
        line = { state: el("td"), cells: ["n", "n", "n", "n", "n"].map((className) => el("td", { className })), weight: el("td", { className: "n" }), why: el("td", { className: "why" }) };
        const act = (mode, text) => el("button", { type: "button", "aria-label": `${text} ${address} of ${this.service.name}`, onclick: (e) => order(this.service.name, address, mode, e.currentTarget) }, text);
        line.drain = act("drain", "Drain"); line.lift = act("lift", "Undrain");
        line.origin = el("span", { className: "quiet" });
        line.tr = el("tr", {}, el("th", { scope: "row" }, address, line.origin), line.state, ...line.cells, line.weight, line.why, el("td", { className: "acts" }, line.drain, line.lift, act("weight", "Weight")));
        this.lines.set(address, line);
        this.body.append(line.tr);
      }
      if (line.status !== row.status) { line.status = row.status; line.state.replaceChildren(status(row.status)); }
      figures(line.cells, row);
      put(line.origin, row.origin === "file" ? "" : ` ${row.origin}`);
      put(line.weight, String(row.weight) + (row.backup ? " backup" : ""));
      put(line.why, (row.reasons || []).join("; "));
      line.drain.hidden = row.override === "drain" || row.override === "maintenance";
      line.lift.hidden = !row.override;
      const lift = row.override === "drain" ? "Undrain" : "Lift";
      if (line.lift.textContent !== lift) { put(line.lift, lift); line.lift.setAttribute("aria-label", `${lift} ${address} of ${this.service.name}`); }
    }
    for (const [address, line] of this.lines) if (!this.service.servers.has(address)) { line.tr.remove(); this.lines.delete(address); }
  }
  async plots() {
    const found = await api(`/api/v1/live/history?service=${encodeURIComponent(this.service.name)}`).catch(() => null);
    if (found?.series.length) hour(this.figure, found.series[0]);
  }
}

export function start(shared) {
  model = shared;
  body = el("tbody");
  const head = COLUMNS.map((text, i) => el("th", { scope: "col", className: i > 1 && i < 7 ? "n" : "" }, text));
  $("service-rows").replaceChildren(el("table", {}, el("caption", { className: "hidden" }, "Services, live"), el("thead", {}, el("tr", {}, ...head)), body));
  $("filter").addEventListener("input", arrange);
  $("sort").addEventListener("change", arrange);
  $("sift").addEventListener("submit", (e) => e.preventDefault());
}

export function whole() {
  for (const name of model.services.keys()) if (!rows.has(name)) rows.set(name, new ServiceRow(name));
  for (const row of rows.values()) row.write();
  for (const [name, row] of rows) if (!model.services.has(name)) { seen.unobserve(row.tr); row.details?.tr.remove(); row.tr.remove(); rows.delete(name); }
  arrange();
}

export function changed(names) {
  for (const name of names) rows.get(name)?.write();
}

export function arrange() {
  const words = $("filter").value.toLowerCase().trim(), by = $("sort").value;
  const fits = (row) => !words || row.name.toLowerCase().includes(words)
    || [...row.servers.values()].some((one) => one.address.toLowerCase().includes(words) || (one.status || "").includes(words));
  const kept = [...rows.values()].filter(fits);
  const value = { rate: (r) => model.services.get(r.name).rate, p99: (r) => model.services.get(r.name).p99 || 0, trouble: (r) => r.trouble }[by];
  kept.sort((a, b) => (value ? value(b) - value(a) : 0) || a.name.localeCompare(b.name, undefined, { numeric: true }));
  const wanted = kept.flatMap((row) => (row.open ? [row.tr, row.details.tr] : [row.tr]));
  const now = body.children;
  if (wanted.length !== now.length || wanted.some((tr, i) => tr !== now[i])) {
    const held = document.activeElement;
    body.replaceChildren(...wanted);
    if (held && body.contains(held) && held !== document.activeElement) held.focus();
  }
  put($("shown"), `${kept.length === rows.size ? "" : `${kept.length} of `}${rows.size} ${rows.size === 1 ? "service" : "services"}`);
}

let plotting = 0;
function plotSoon() {
  if (!plotting) plotting = setTimeout(async () => { await plots(); plotting = 0; if (wantedPlots.size) plotSoon(); }, 150);
}

async function plots() {
  const names = [...wantedPlots].filter((name) => rows.get(name)?.seen).slice(0, 40);
  wantedPlots = new Set([...wantedPlots].filter((name) => !names.includes(name) && rows.get(name)?.seen));
  if (!names.length) return;
  const found = await api("/api/v1/live/history?" + names.map((name) => `service=${encodeURIComponent(name)}`).join("&")).catch(() => null);
  for (const points of found ? found.series : []) {
    const row = rows.get(points.name);
    if (!row) continue;
    row.plotted = Date.now();
    row.plot.replaceChildren(rates(points, 120, 20));
  }
}

export function refreshPlots() {
  for (const row of rows.values()) if (row.seen) { wantedPlots.add(row.name); if (row.open) row.details.plots(); }
  plotSoon();
}

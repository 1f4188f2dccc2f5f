// The page's model of lb, kept by one stream of server-sent events, and what is written of it.
import { $, bytes, el, put, rate, share, time, api } from "./dom.js";
import * as services from "./services.js";
import * as panels from "./panels.js";
import { cluster } from "./cluster.js";
import { hour } from "./plot.js";

const model = { services: new Map(), servers: new Map(), routes: new Map(), listeners: new Map(), total: {} };
const routeRows = new Map(), listenerRows = new Map();
let source, joining = 0;

function terms(list, pairs) {
  for (const [name, value, bad] of pairs) {
    let cell = list.querySelector(`[data-name="${name}"]`);
    if (!cell) {
      cell = el("dd");
      cell.dataset.name = name;
      list.append(el("div", {}, el("dt", {}, name), cell));
    }
    put(cell, value);
    cell.className = bad ? "bad" : "";
  }
}

function take(rows, anew) {
  const touched = new Set();
  if (anew) for (const kind of ["services", "servers", "routes", "listeners"]) model[kind].clear();
  for (const kind of ["services", "routes", "listeners"]) for (const row of rows[kind]) { model[kind].set(row.name, row); if (kind === "services") touched.add(row.name); }
  for (const row of rows.servers) {
    if (!model.servers.has(row.service)) model.servers.set(row.service, new Map());
    model.servers.get(row.service).set(row.address, row);
    touched.add(row.service);
  }
  model.total = rows.total;
  if (anew) { services.whole(); tables(); } else services.changed(touched);
  summary(rows);
  for (const row of anew ? model.routes.values() : rows.routes) writeRoute(row);
  for (const row of anew ? model.listeners.values() : rows.listeners) writeListener(row);
  if (anew) clusterSoon();
  document.documentElement.dataset.tick = rows.tick;
}

function summary(rows) {
  const t = rows.total;
  put($("state"), t.ready ? "ready" : "not ready");
  $("state").className = `state ${t.ready ? "up" : "down"}`;
  const joined = t.cluster ? `${t.cluster.leading ? "leader" : "follower"}, revision ${t.cluster.revision}${t.cluster.rollout ? ", rollout" : ""}${t.cluster.reachable ? "" : `, engine away for ${time(t.cluster.away)}`}` : "none";
  terms($("facts"), [["generation", String(rows.generation)], ["workers", `${t.workers} of ${t.workers_wanted}`, t.workers < t.workers_wanted], ["cluster", joined, t.cluster && !t.cluster.reachable]]);
  terms($("total"), [["requests/s", rate(t.rate)], ["errors", share(t.errors, t.rate), t.errors > 0], ["p50", time(t.p50)], ["p99", time(t.p99)], ["in flight", String(t.in_flight ?? 0)]]);
}

function table(place, caption, head, first) {
  const body = el("tbody");
  $(place).replaceChildren(el("table", {}, el("caption", { className: "hidden" }, caption), el("thead", {}, el("tr", {}, ...head.map((text, i) => el("th", { scope: "col", className: i >= first ? "n" : "" }, text)))), body));
  return body;
}

function tables() {
  routeRows.clear(); listenerRows.clear();
  const routes = table("route-rows", "Routes, live", ["Route", "Match", "To", "Requests/s", "Errors", "p50", "p99", "In flight"], 3);
  for (const row of model.routes.values()) {
    const cells = ["n", "n", "n", "n", "n"].map((className) => el("td", { className }));
    const to = row.services.length ? row.services.map((s) => (row.services.length > 1 ? `${s.service} (${s.weight})` : s.service)).join(", ") : row.does;
    const origin = row.origin === "file" ? "" : el("span", { className: "quiet" }, ` ${row.origin}`);
    routes.append(el("tr", {}, el("th", { scope: "row" }, row.name, origin), el("td", { className: "why" }, (row.listeners.length ? `${row.listeners.join(", ")}: ` : "") + (row.match || "everything")), el("td", {}, `→ ${to}`), ...cells));
    routeRows.set(row.name, cells);
  }
  const listeners = table("listener-rows", "Listeners, live", ["Listener", "Address", "Requests/s", "Connections", "Tunnels", "In /s", "Out /s"], 2);
  for (const row of model.listeners.values()) {
    const cells = ["n", "n", "n", "n", "n"].map((className) => el("td", { className }));
    listeners.append(el("tr", {}, el("th", { scope: "row" }, row.name), el("td", {}, row.bind.join(", ")), ...cells));
    listenerRows.set(row.name, cells);
  }
}

function writeRoute(row) {
  const cells = routeRows.get(row.name);
  if (cells) services.figures(cells, row);
}

function writeListener(row) {
  const cells = listenerRows.get(row.name);
  if (cells) [rate(row.rate), row.connections, row.tunnels, bytes(row.bytes_in), bytes(row.bytes_out)].forEach((text, i) => put(cells[i], String(text)));
}

// However many events come at once, control is asked once for what they changed.
function clusterSoon() {
  joining ||= setTimeout(() => { joining = 0; cluster(model.total.cluster); }, 500);
}

function follow() {
  source?.close();
  source = new EventSource("/api/v1/live");
  source.addEventListener("whole", (e) => take(JSON.parse(e.data), true));
  source.addEventListener("change", (e) => take(JSON.parse(e.data), false));
  source.addEventListener("event", (e) => { panels.event(JSON.parse(e.data)); clusterSoon(); });
  source.onopen = panels.events;
  source.onerror = () => {
    put($("state"), "lb does not answer; trying again");
    $("state").className = "state down";
    if (source.readyState === EventSource.CLOSED) setTimeout(() => { if (!document.hidden) follow(); }, 3_000); // a refusal, which a browser takes as final
  };
}

async function slow() {
  if (document.hidden) return;
  services.refreshPlots();
  panels.failed();
  const found = await api("/api/v1/live/history").catch(() => null);
  if (found) hour($("total-plot"), found.series[0]);
}

services.start(model);
panels.explain();
panels.configuration();
$("blamed").addEventListener("change", panels.failed);
follow();
slow();
setInterval(slow, 10_000);
setInterval(() => { if (!document.hidden && !$("service-rows").contains(document.activeElement) && $("sort").value !== "name") services.arrange(); }, 5_000);
setInterval(() => { if (!document.hidden) cluster(model.total.cluster); }, 15_000);
document.addEventListener("visibilitychange", () => { if (document.hidden) source.close(); else { follow(); slow(); } });

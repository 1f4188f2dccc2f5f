// Explain, events, cluster, configuration, failed requests.
import { $, api, el } from "./dom.js";

const MOST_EVENTS = 60;

export function event(told) {
  const list = $("event-rows"), at = told.at ? told.at.slice(11, 19) : "";
  const bad = /down|ejected|fail|died|lost/.test(`${told.kind} ${told.reason}`);
  const place = [told.service, told.server].filter(Boolean).join("/"), text = told.text || "";
  list.prepend(el("li", {}, el("time", { dateTime: told.at || "" }, at), el("span", { className: bad ? "kind bad" : "kind" }, `${told.kind} ${told.reason}`),
    el("span", {}, text.startsWith(place) ? text : `${place}: ${text}`)));
  while (list.children.length > MOST_EVENTS) list.lastChild.remove();
}

export async function events() {
  const found = await api("/api/v1/events").catch(() => null);
  if (!found) return;
  $("event-rows").replaceChildren();
  found.events.slice(-MOST_EVENTS).forEach(event);
}

// JSON of an answer as nested lists of words: what the API says, without a word made up here.
function tree(data, depth = 0) {
  if (data === null || data === undefined) return "–";
  if (typeof data !== "object") return String(data);
  if (Array.isArray(data)) {
    if (data.every((one) => one === null || typeof one !== "object")) return data.join(", ") || "none";
    return el("ol", {}, ...data.map((one) => el("li", {}, tree(one, depth + 1))));
  }
  const parts = Object.entries(data).filter(([, value]) => value !== null && value !== "" && !(Array.isArray(value) && !value.length));
  return el("dl", { className: "tree" }, ...parts.map(([name, value]) => el("div", {}, el("dt", {}, name.replaceAll("_", " ")), el("dd", {}, tree(value, depth + 1)))));
}

export function explain() {
  $("ask").addEventListener("submit", async (submitted) => {
    submitted.preventDefault();
    const form = new FormData($("ask")), headers = {};
    for (const line of form.get("headers").split("\n")) {
      const at = line.indexOf(":");
      if (at > 0) (headers[line.slice(0, at).trim()] ??= []).push(line.slice(at + 1).trim());
    }
    try {
      const found = await api("/api/v1/explain", { method: "POST", headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ method: form.get("method").trim(), url: form.get("url").trim(), headers }) });
      $("decision").replaceChildren(tree(found));
    } catch (error) { $("decision").replaceChildren(el("p", { className: "bad" }, error.message)); }
  });
}

export async function cluster(joined) {
  const status = await api("/api/v1/status").catch(() => null);
  if (!status) return;
  const shown = { generation: status.generation, version: status.version, last_reload: status.last_reload, workers: status.workers.map((w) => `${w.worker}: ${w.state}, generation ${w.generation}, ${w.connections} connections`), conditions: status.conditions.map((c) => `${c.ok ? "✓" : "✕"} ${c.name}: ${c.text}`) };
  const found = joined ? await api("/api/v1/cluster").catch(() => null) : null;
  $("cluster-rows").replaceChildren(tree(shown), found ? tree({ cluster: found }) : el("p", { className: "quiet" }, joined ? "The cluster does not answer." : "In no cluster."));
}

export function configuration() {
  const details = $("config-text");
  details.addEventListener("toggle", async () => {
    if (details.open) details.querySelector("pre").textContent = await api("/api/v1/config", { headers: { Accept: "application/yaml" } });
  });
}

let offered;

export async function failed() {
  offered ??= (await api("/api/v1").catch(() => ({ endpoints: [] }))).endpoints;
  if (!offered.includes("GET /api/v1/requests")) return;
  const found = await api("/api/v1/requests?condition=failed&limit=50").catch(() => null);
  $("failed").hidden = !found || !Array.isArray(found.requests);
  if ($("failed").hidden) return;
  const names = ["time", "method", "host", "target", "status", "outcome", "route", "service", "server"];
  $("failed-rows").replaceChildren(el("table", {}, el("thead", {}, el("tr", {}, ...names.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, ...found.requests.map((one) => el("tr", {}, ...names.map((name) => el("td", {}, String(one[name] ?? ""))))))));
}

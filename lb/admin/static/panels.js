// Explain, events, configuration, failed requests.
import { $, api, el, time } from "./dom.js";

const MOST_EVENTS = 60;

function show(told) {
  const list = $("event-rows"), at = told.at ? told.at.slice(11, 19) : "";
  const bad = /down|ejected|fail|died|lost/.test(`${told.kind} ${told.reason}`);
  const place = [told.service, told.server].filter(Boolean).join("/"), text = told.text || "";
  list.prepend(el("li", {}, el("time", { dateTime: told.at || "" }, at), el("span", { className: bad ? "kind bad" : "kind" }, `${told.kind} ${told.reason}`),
    el("span", {}, text.startsWith(place) ? text : `${place}: ${text}`)));
  while (list.children.length > MOST_EVENTS) list.lastChild.remove();
}

let held = null; // what the stream told while the list was asked for

export function event(told) {
  if (held) held.push(told); else show(told);
}

export async function events() {
  held = [];
  const found = await api("/api/v1/events").catch(() => null), later = held || [];
  held = null;
  if (found) $("event-rows").replaceChildren();
  const last = found?.events.at(-1)?.number ?? 0;
  [...(found?.events.slice(-MOST_EVENTS) ?? []), ...later.filter((told) => told.number > last)].forEach(show);
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

// Where the request goes comes first; of hundreds of routes, why each did not match comes last.
function decision(found) {
  const { routes, request, ...rest } = found;
  const way = [found.route, found.service, found.pick ?? found.to ?? found.status].filter(Boolean).join(" → ");
  return [el("p", {}, el("strong", {}, way), found.reason ? `: ${found.reason}` : ""), tree(rest),
    el("details", { open: routes.length <= 10 }, el("summary", {}, `Routes considered: ${routes.length}`), tree(routes)), tree({ request })];
}

export function explain() {
  $("ask").addEventListener("submit", async (submitted) => {
    submitted.preventDefault();
    const form = new FormData($("ask")), headers = {};
    for (const line of form.get("headers").split("\n")) {
      const at = line.indexOf(":");
      if (at > 0) (headers[line.slice(0, at).trim()] ??= []).push(line.slice(at + 1).trim());
    }
    $("decision").replaceChildren("…");
    try {
      const found = await api("/api/v1/explain", { method: "POST", headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ ...Object.fromEntries(["method", "url", "client_ip", "listener"].map((name) => [name, form.get(name).trim()])), headers }) });
      $("decision").replaceChildren(...decision(found));
    } catch (error) { $("decision").replaceChildren(el("p", { className: "bad" }, error.message)); }
  });
}

export function configuration() {
  const details = $("config-text");
  details.addEventListener("toggle", async () => {
    if (details.open) details.querySelector("pre").textContent = await api("/api/v1/config", { headers: { Accept: "application/yaml" } });
  });
}

function tried(attempts) {
  if (!attempts.length) return el("p", { className: "quiet" }, "No server was asked.");
  const cells = (one) => [time(one.began), time(one.duration), one.status || "none", one.flag, [one.reason, one.word].filter(Boolean).join(", "), one.reused ? "used before" : one.connect === null ? "–" : `opened in ${time(one.connect)}`];
  return el("table", {}, el("thead", {}, el("tr", {}, ...["attempt at", "after", "took", "status", "ended", "why this server", "connection"].map((text) => el("th", { scope: "col" }, text)))),
    el("tbody", {}, ...attempts.map((one) => el("tr", {}, el("th", { scope: "row" }, one.server), ...cells(one).map((text) => el("td", {}, String(text)))))));
}

const opened = new Set(); // ids of failed requests of which all is shown, over every refresh

export async function failed() {
  const blamed = $("blamed").value;
  const found = await api(`/api/v1/requests?${new URLSearchParams({ condition: `failed=${blamed}`, limit: 50 })}`).catch(() => null);
  if (blamed !== $("blamed").value) return; // an answer to the question before
  $("failed").hidden = !found;
  if (!found || $("failed-rows").contains(document.activeElement)) return; // somebody reads, or walks it by keyboard
  const names = ["method", "host", "target", "status", "outcome", "route", "service", "server"];
  const body = el("tbody");
  for (const one of found.requests) {
    const id = one.request_id || one.time;
    const { attempts, ...rest } = one;
    const all = el("tr", { className: "details", hidden: !opened.has(id) }, el("td", { colspan: String(names.length + 1) }, tried(attempts), tree(rest)));
    const name = el("button", { className: "name", "aria-expanded": String(opened.has(id)) }, one.time.slice(11, 23));
    name.addEventListener("click", () => {
      all.hidden = !all.hidden;
      name.setAttribute("aria-expanded", String(!all.hidden));
      opened[all.hidden ? "delete" : "add"](id);
    });
    body.append(el("tr", {}, el("th", { scope: "row" }, name), ...names.map((field) => el("td", {}, String(one[field] ?? "")))), all);
  }
  if (!found.requests.length) $("failed-rows").replaceChildren(el("p", { className: "quiet" }, "None is kept."));
  else $("failed-rows").replaceChildren(el("table", {}, el("thead", {}, el("tr", {}, ...["ended (UTC)", ...names].map((text) => el("th", { scope: "col" }, text)))), body));
}

// Generation and cluster: who leads, what every node runs, a rollout under way.
import { $, api, el, share, time } from "./dom.js";

function rows(pairs) {
  return el("dl", { className: "tree" }, ...pairs.filter(([, said]) => said).map(([name, said, bad]) => el("div", {}, el("dt", {}, name), el("dd", { className: bad ? "bad" : "" }, said))));
}

function table(caption, head, body) {
  return el("table", {}, el("caption", { className: "hidden" }, caption), el("thead", {}, el("tr", {}, ...head.map((text) => el("th", { scope: "col" }, text)))),
    el("tbody", {}, ...body.map(([name, ...cells]) => el("tr", {}, el("th", { scope: "row" }, name), ...cells.map((cell) => (cell.nodeType ? cell : el("td", {}, String(cell))))))));
}

function process(status) {
  const reload = status.last_reload; // null until lb has started
  const reloaded = reload && `${reload.at.slice(0, 19)}Z by ${reload.trigger}: ${reload.ok ? `generation ${reload.generation}` : `refused, ${reload.error || "see lb check"}`}`;
  return rows([
    ["version", status.version], ["last reload", reloaded, reload && !reload.ok],
    ["workers", status.workers.map((w) => `${w.worker}: ${w.state}, generation ${w.generation}, ${w.connections} connections`).join("; ")],
    ...status.conditions.map((c) => [c.name, c.text, !c.ok]),
  ]);
}

function rollout(r) {
  const bar = el("progress", { max: r.watch, value: r.watched });
  bar.setAttribute("aria-label", "How much of the time of watching is over");
  const line = (name, told) => [name, told.requests, share(told.failures, told.requests), told.requests ? time(told.p90) : "–"];
  return el("div", { className: "rollout" },
    el("p", {}, `Revision ${r.revision} is tried on ${r.first.join(", ")}; the others run ${r.stable}. `, bar, ` ${r.watched.toFixed(0)} of ${r.watch.toFixed(0)} s`), el("p", { className: "quiet" }, r.text),
    table("The rollout", ["Nodes", "Requests", "Failures", "p90"], [line(r.first.join(", "), r.first_nodes), line("the others", r.other_nodes)]));
}

function joined(c) {
  const published = c.published && `revision ${c.published.revision}${c.published.author ? ` by ${c.published.author}` : ""}${c.published.message ? `: ${c.published.message}` : ""}`;
  const engine = c.engine.reachable ? `${c.engine.name} answers` : `${c.engine.name} is away, its last word is ${time(c.engine.age)} old: ${c.engine.error}`;
  return [
    rows([
      ["cluster", `${c.name}; this is ${c.node}`], ["leader", c.leader ? `${c.leader.node}, epoch ${c.leader.epoch}` : "nobody", !c.leader],
      ["engine", engine, !c.engine.reachable], ["published", published || "nothing yet"], ["trouble", c.trouble, true],
    ]),
    c.rollout ? rollout(c.rollout) : "",
    table("Nodes", ["Node", "Runs", "Generation", "Reported", "What is wrong"], c.nodes.map((n) => [
      n.node, `revision ${n.revision}`, n.generation, `${time(n.age)} ago`, el("td", { className: "why bad" }, n.error || "")])),
  ];
}

export async function cluster(member) {
  const [status, found] = await Promise.all([api("/api/v1/status"), member ? api("/api/v1/cluster") : null].map((one) => one && one.catch(() => null)));
  if (!status) return;
  const none = el("p", { className: "quiet" }, member ? "The cluster does not answer." : "In no cluster.");
  $("cluster-rows").replaceChildren(process(status), ...(found ? joined(found) : [none]).filter(Boolean));
}

// Drain, undrain and weight of one server: asked for in a dialog, with author and reason.
import { $, api, el } from "./dom.js";

const WORDS = {
  drain: ["Drain", "It gets no new requests; those under way finish, sticky sessions stay."],
  lift: ["Lift the order", "Its checks and its configured weight decide again."],
  weight: ["Weight", "A share of its configured weight, such as 50%."],
};

export function order(service, address, mode, opener) {
  const [title, text] = WORDS[mode], dialog = $("dialog");
  const author = el("input", { name: "author", required: true, maxLength: 100, value: localStorage.getItem("lb-author") || "" });
  const reason = el("input", { name: "reason", required: mode !== "lift", maxLength: 500 });
  const weight = el("input", { name: "weight", required: true, value: "50%", pattern: "[0-9.]+%?" });
  const time = el("input", { name: "for", placeholder: "30m; empty: until it is lifted" });
  const trouble = el("p", { className: "bad", role: "alert" });
  const form = el("form", {},
    el("h2", { id: "dialog-h" }, `${title}: ${service}/${address}`), el("p", {}, text),
    mode === "weight" ? el("label", {}, "Weight ", weight) : "",
    el("label", {}, "Author ", author),
    mode === "lift" ? "" : el("label", {}, "Reason ", reason), mode === "lift" ? "" : el("label", {}, "For ", time), trouble,
    el("div", { className: "bar" }, el("button", { className: "primary" }, title), el("button", { type: "button", onclick: () => dialog.close() }, "Cancel")));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    localStorage.setItem("lb-author", author.value);
    const path = `/api/v1/services/${encodeURIComponent(service)}/servers/${encodeURIComponent(address)}/override`;
    try {
      if (mode === "lift") await api(`${path}?author=${encodeURIComponent(author.value)}`, { method: "DELETE" });
      else {
        // A weight keeps the drain, and a drain the weight.
        const known = await api(`/api/v1/servers?${new URLSearchParams({ service, address })}`);
        const before = known.servers[0]?.layers.override ?? { mode: "auto", weight: null };
        const body = { mode: mode === "drain" ? "drain" : before.mode, weight: mode === "weight" ? weight.value : before.weight,
          author: author.value, reason: reason.value };
        if (time.value.trim()) body.for = time.value.trim();
        await api(path, { method: "PUT", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
      }
      dialog.close();
    } catch (error) { trouble.textContent = error.message; }
  });
  dialog.replaceChildren(form);
  dialog.onclose = () => opener?.focus();
  dialog.showModal();
}

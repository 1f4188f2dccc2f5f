// Making elements, and words for numbers. All text goes in as text, never as markup.

export const $ = (id) => document.getElementById(id);

export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "scope" || name === "colspan") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.filter((one) => one !== null && one !== undefined && one !== ""));
  return made;
}

export function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export function rate(n) {
  if (n === undefined || n === null) return "–";
  if (n === 0) return "0";
  return n < 10 ? n.toFixed(1) : whole.format(n);
}

export function time(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const ms = seconds * 1000;
  return ms < 10 ? `${ms.toFixed(1)} ms` : ms < 1000 ? `${ms.toFixed(0)} ms` : `${seconds.toFixed(2)} s`;
}

export function bytes(n) {
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (n < 1024 || unit === "GiB") return `${n < 10 && unit !== "B" ? n.toFixed(1) : whole.format(n)} ${unit}`;
    n /= 1024;
  }
}

export function share(errors, all) {
  if (!errors) return "0 %";
  const percent = (100 * errors) / Math.max(all, errors);
  return percent < 0.1 ? "<0.1 %" : `${percent.toFixed(percent < 10 ? 1 : 0)} %`;
}

export async function api(path, options = {}) {
  const response = await fetch(path, { cache: "no-store", ...options });
  const kind = response.headers.get("Content-Type") || "";
  const body = kind.includes("json") ? await response.json() : await response.text();
  if (!response.ok) throw Object.assign(new Error(body.message || `${path} answered ${response.status}`), { status: response.status });
  return body;
}

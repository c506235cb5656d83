// Comforts for the console. Every page works without them.
const $ = (selector, root = document) => [...root.querySelectorAll(selector)];
const $1 = (selector, root = document) => root.querySelector(selector);
const make = (tag, properties) => Object.assign(document.createElement(tag), properties);
const makeButton = (textContent, className, onclick) => make("button", { type: "button", textContent, className, onclick });
const read = async (answer) => new DOMParser().parseFromString(await answer.text(), "text/html");

// Ids and blocks can be copied.
if (navigator.clipboard) {
  for (const code of $("[data-copy]")) {
    const copy = async ({ target }) => {
      await navigator.clipboard.writeText(code.dataset.copy || code.textContent);
      target.textContent = "Copied";
    };
    code.after(makeButton("Copy", "copy", copy));
  }
}

// One box ticks all boxes of its table.
for (const box of $("input[data-all]")) {
  box.hidden = false;
  box.onchange = () => $(`[name=${box.dataset.all}]`, box.form).forEach((other) => (other.checked = box.checked));
}

// A summary of errors is read first.
const errors = $1(".errors");
if (errors) {
  errors.tabIndex = -1;
  errors.focus();
}

// The page that asks before something is done opens in a dialog. Any other answer is a page as ever.
const ask = async (form, button) => {
  const body = new URLSearchParams(new FormData(form));
  if (button?.name) body.append(button.name, button.value);
  const answer = await fetch(form.getAttribute("action"), { method: "POST", body });
  const main = $1("main:has(.confirmation)", await read(answer));
  if (!main || !answer.ok || answer.redirected) throw answer;
  const dialog = make("dialog", { tabIndex: -1 });
  const close = () => {
    dialog.remove();
    button?.focus();
    return false;
  };
  $1(".flashes", main).replaceWith(makeButton("Close", "copy", close));
  dialog.append(...main.childNodes);
  dialog.setAttribute("aria-label", $1("h1", dialog).textContent);
  $1("form a", dialog).onclick = dialog.onclose = close;
  document.body.append(dialog);
  dialog.showModal();
  dialog.focus();
};
document.onsubmit = async (event) => {
  const form = event.target;
  if (!("confirm" in form.dataset) || !form.requestSubmit) return;
  event.preventDefault();
  delete form.dataset.confirm;
  await ask(form, event.submitter).catch(() => form.requestSubmit(event.submitter));
  form.dataset.confirm = "";
};

// Two minutes before the session ends, it can be kept.
const watch = (ending) => {
  const warn = () => {
    const notice = make("p", { className: "flash ending" });
    const stay = async () => {
      const next = $1("[data-ends-in]", await read(await fetch("/admin/me")));
      if (!next) return location.reload();
      ending.replaceWith(next);
      notice.remove();
      watch(next);
    };
    notice.append(ending.textContent, " ");
    if ("renew" in ending.dataset) notice.append(makeButton("Stay signed in", "", stay));
    ($1("dialog") ?? $1(".flashes")).append(notice);
  };
  setTimeout(warn, (ending.dataset.endsIn - 120) * 1e3);
};
$("[data-ends-in]").forEach(watch);

// Single keys, unless they are switched off or something is being written.
const places = { d: "", u: "/users", s: "/sessions", a: "/audit", k: "/keys" };
let went = 0;
const onKey = (event) => {
  const { key, target, timeStamp } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || $1("dialog")) return;
  if (target.closest("input:not([type=checkbox]), select")) return;
  const search = $1("[type=search]");
  if (timeStamp - went < 1500 && key in places) {
    location.assign("/admin" + places[key]);
  } else if (key === "/" && search) {
    event.preventDefault();
    search.focus();
  } else if (key === "x") {
    target.closest("tr")?.querySelector("[type=checkbox]")?.click();
  } else if (key === "r") {
    $1("[data-key=r]")?.click();
  } else if (key === "?") {
    location.assign("/admin/me#preferences");
  }
  went = key === "g" ? timeStamp : 0;
};
if (document.body.dataset.shortcuts === "on") document.addEventListener("keydown", onKey);

// Comforts for the console. Every page works without them.
const $ = (selector, root = document) => [...root.querySelectorAll(selector)];

// Ids and blocks can be copied: what the attribute says, or what is shown.
const addCopyButtons = (root) => {
  for (const code of $("[data-copy]", root)) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      await navigator.clipboard?.writeText(code.dataset.copy || code.textContent);
      button.textContent = "Copied";
    });
    code.after(button);
  }
};
if (navigator.clipboard) addCopyButtons(document);

// One box ticks all boxes of its table.
for (const box of $("input[data-all]")) {
  const boxes = () => $(`input[name="${CSS.escape(box.dataset.all)}"]`, box.closest("form, table, main"));
  box.hidden = false;
  box.addEventListener("change", () => boxes().forEach((other) => (other.checked = box.checked)));
}

// A summary of errors is read first.
const errors = document.querySelector(".errors");
if (errors) {
  errors.tabIndex = -1;
  errors.focus();
}

// Single keys, unless they are switched off or something is being written.
const pages = { d: "/admin", u: "/admin/users", s: "/admin/sessions", a: "/admin/audit", k: "/admin/keys" };
let went = 0;
const onKey = (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]")) return;
  if (event.key === "/") {
    const search = document.querySelector("input[type=search]");
    if (search) {
      event.preventDefault();
      search.focus();
    }
  } else if (event.key === "g") {
    went = event.timeStamp;
    return;
  } else if (event.timeStamp - went < 1500 && pages[event.key]) {
    location.assign(pages[event.key]);
  } else if (event.key === "x") {
    event.target.closest("tr")?.querySelector("input[type=checkbox]")?.click();
  } else if (event.key === "r") {
    document.querySelector("[data-key=r]")?.click();
  } else if (event.key === "?") {
    location.assign("/admin/me#preferences");
  }
  went = 0;
};
if (document.body.dataset.shortcuts === "on") document.addEventListener("keydown", onKey);

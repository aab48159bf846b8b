// Filtering and sorting the claims (kept in the URL's fragment), and copying commands.
"use strict";
(() => {
  const form = document.getElementById("view");
  const matrix = document.getElementById("matrix");
  if (!form || !matrix) return;

  const ORDER = ["refuted", "negligible", "inconclusive", "holds", "not-run"]; // of verdicts, in the order of a sorted column
  const groups = [...matrix.tBodies];
  const together = matrix.createTBody(); // holds the rows while they are not grouped by question
  const rows = [...matrix.querySelectorAll("tr.row")].map((element, place) => ({
    element,
    place,
    group: element.parentElement,
    cells: [...element.querySelectorAll(".cell")],
    part: document.getElementById(element.dataset.claim),
    name: element.querySelector("th").textContent.trim(),
    distance: Number(element.dataset.distance),
    changed: element.querySelector(".flagged") !== null,
  }));
  const models = [...matrix.tHead.querySelectorAll("th[data-family]")];

  for (const row of rows) {
    const texts = row.part.querySelectorAll("h3, .reported, .source, .terms code");
    row.text = [row.group.rows[0].textContent, ...[...texts].map((e) => e.textContent)].join(" ").toLowerCase();
    const question = document.createElement("small"); // names the question if rows are not grouped by it
    question.textContent = row.group.rows[0].textContent.trim();
    question.hidden = true;
    row.element.querySelector("th").append(question);
    row.question = question;
  }

  // The view: what is chosen in the form, also kept in the fragment
  const chosen = () => {
    const view = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value.trim()) view.append(name, value.trim());
    return view;
  };

  const choose = (view) => {
    for (const field of form.elements) {
      if (!field.name) continue;
      const values = view.getAll(field.name);
      if (field.type === "checkbox") field.checked = values.includes(field.value);
      else field.value = values[0] ?? "";
      if (field.tagName === "SELECT" && field.selectedIndex < 0) field.value = "";
    }
  };

  const show = () => {
    const view = chosen();
    const families = view.getAll("family");
    const verdicts = view.getAll("verdict");
    const words = (view.get("text") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    const off = new Set(models.filter((m) => families.length && !families.includes(m.dataset.family)).map(column));
    for (const model of models) {
      for (const element of document.getElementsByClassName(column(model))) element.hidden = off.has(column(model));
    }
    let count = 0;
    for (const row of rows) {
      const cells = row.cells.filter((cell) => !off.has(column(cell)));
      const fits = (cell) => !verdicts.length || verdicts.some((verdict) => cell.classList.contains(verdict));
      const shown =
        (!view.get("question") || view.get("question") === row.group.dataset.question) &&
        (!view.has("changed") || cells.some((cell) => cell.classList.contains("flagged"))) &&
        words.every((word) => row.text.includes(word)) &&
        cells.some((cell) => fits(cell) && !(families.length && cell.classList.contains("none")));
      for (const cell of row.cells) cell.classList.toggle("aside", !fits(cell));
      row.element.hidden = row.part.hidden = !shown;
      count += shown;
    }
    for (const section of document.querySelectorAll("section.question")) {
      section.hidden = ![...section.querySelectorAll("article")].some((part) => !part.hidden);
    }
    arrange(view.get("sort") ?? "");
    const all = `${rows.length} claim${rows.length === 1 ? "" : "s"}`;
    document.getElementById("view-count").textContent = count === rows.length ? all : `${count} of ${all}`;
    document.getElementById("none-left").hidden = count > 0;
  };

  const column = (element) => [...element.classList].find((name) => /^m\d+$/.test(name)) ?? "";

  const arrange = (sort) => {
    const by = {
      distance: (a, b) => b.distance - a.distance,
      changed: (a, b) => b.changed - a.changed,
      name: (a, b) => a.name.localeCompare(b.name),
    }[sort] ?? ((a, b) => rank(a, sort) - rank(b, sort));
    const order = sort ? [...rows].sort((a, b) => by(a, b) || a.place - b.place) : rows;
    for (const row of order) {
      (sort ? together : row.group).append(row.element);
      row.question.hidden = !sort;
    }
    for (const group of groups) {
      group.hidden = Boolean(sort) || rows.every((row) => row.group !== group || row.element.hidden);
    }
    for (const model of models) {
      if (sort && column(model) === sort) model.setAttribute("aria-sort", "descending");
      else model.removeAttribute("aria-sort");
    }
  };

  const rank = (row, model) => {
    const cell = row.cells.find((cell) => cell.classList.contains(model) || cell.classList.contains("across"));
    const found = ORDER.findIndex((verdict) => cell?.classList.contains(verdict));
    return found < 0 ? ORDER.length : found;
  };

  // The fragment is either a view (it has a "=") or the id of a place on the page
  const keep = () => {
    const view = chosen().toString();
    history.replaceState(null, "", view ? `#${view}` : location.pathname + location.search);
  };

  const follow = () => {
    const fragment = location.hash.slice(1);
    if (fragment.includes("=")) {
      choose(new URLSearchParams(fragment));
      show();
      document.getElementById("verdicts").scrollIntoView();
      return;
    }
    const target = fragment && document.getElementById(fragment);
    if (!target) return;
    if (target.closest("[hidden]")) {
      form.reset();
      show();
    }
    for (let open = target.closest("details"); open; open = open.parentElement.closest("details")) open.open = true;
    target.scrollIntoView();
  };

  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => { show(); keep(); });
  form.addEventListener("reset", () => setTimeout(() => { show(); keep(); }));
  window.addEventListener("hashchange", follow);
  for (const model of models) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "sort";
    button.setAttribute("aria-label", `Sort by verdict on ${model.querySelector("a").textContent}`);
    button.addEventListener("click", () => {
      const field = form.elements.namedItem("sort");
      field.value = field.value === column(model) ? "" : column(model);
      show();
      keep();
    });
    model.append(button);
  }
  show();
  follow();
})();

(() => {
  const copy = async (text, code) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch { // some browsers give pages from disk no clipboard: copy the selection
      getSelection().selectAllChildren(code);
      return document.execCommand("copy");
    }
  };
  for (const line of document.querySelectorAll(".command")) {
    const code = line.querySelector("code");
    const button = document.createElement("button");
    const status = document.createElement("span");
    button.type = "button";
    button.textContent = "Copy";
    button.setAttribute("aria-label", `Copy the command ${code.textContent}`);
    status.className = "copied";
    status.setAttribute("role", "status");
    button.addEventListener("click", async () => {
      status.textContent = (await copy(code.textContent, code)) ? "copied" : "not copied: select it and copy it by hand";
      setTimeout(() => { status.textContent = ""; }, 4000);
    });
    line.append(button, status);
  }
})();

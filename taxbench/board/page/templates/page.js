(() => {
  const table = $("board");
  const sheet = $("sheet");
  const holder = $("records");
  const heads = table ? [...table.querySelectorAll("thead [data-key]")] : [];
  const bodies = table ? [...table.tBodies] : [];
  const rows = bodies.flatMap((body) => [...body.querySelectorAll(".entry")]);
  const order = new Map(rows.map((row, i) => [row, i]));
  const words = new Map(rows.map((row) => [row, plain(row.querySelector(".lm").textContent + " " +
    row.querySelector(".enc").textContent + " " + row.querySelector(".head").textContent + " " + row.dataset.dataset)]));
  const selects = [...document.querySelectorAll("[data-filter]")];
  const fresh = { q: "", sort: "rank", dir: "ascending", show: "items", theme: "", open: "", heat: "",
    ...Object.fromEntries(selects.map((select) => [select.dataset.filter, ""])) };
  let state = {};

  function read() {
    const next = readAddress(fresh);
    const text = location.hash.slice(1);
    if (/^e[0-9a-f]{10}$/.test(text)) next.open = text;
    if (!heads.some((head) => head.dataset.key === next.sort)) next.sort = "rank";
    if (next.dir !== "descending") next.dir = "ascending";
    return next;
  }

  function set(change, push = false) {
    state = { ...state, ...change };
    writeAddress(state, fresh, push);
    apply();
  }

  function apply() {
    showTheme(state);
    $("q").value = state.q;
    for (const select of selects) {
      select.value = state[select.dataset.filter];
      if (select.selectedIndex < 0) select.value = state[select.dataset.filter] = "";
    }
    $("show").value = state.show;
    if ($("show").selectedIndex < 0) $("show").value = state.show = "items";
    if (table) table.dataset.show = state.show;
    sort();
    filter();
    heat();
    open();
  }

  function sort() {
    if (!table) return;
    const head = heads.find((each) => each.dataset.key === state.sort);
    const at = [...head.parentElement.children].indexOf(head);
    const sign = state.dir === "ascending" ? 1 : -1;
    const numbers = head.dataset.kind === "number";
    const value = (row) => {
      const cell = row.children[at];
      if (!numbers) return plain(cell.querySelector("bdi").textContent);
      return cell.dataset.v === undefined ? null : Number(cell.dataset.v);
    };
    const compare = (a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === null || y === null) return (x === null) - (y === null) || order.get(a) - order.get(b);
      return sign * (numbers ? x - y : x.localeCompare(y, "en")) || order.get(a) - order.get(b);
    };
    for (const body of bodies) {
      const now = [...body.querySelectorAll(".entry")];
      const then = [...now].sort(compare);
      if (then.some((row, i) => row !== now[i])) body.append(...then); // what is moved loses the focus
    }
    for (const each of heads) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", state.dir);
    table.classList.toggle("ranked", state.sort === "rank" && sign === 1);
  }

  function filter() {
    if (!table) return;
    const parts = plain(state.q).split(" ").filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const fits = selects.every((s) => !state[s.dataset.filter] || row.dataset[s.dataset.filter] === state[s.dataset.filter]);
      row.hidden = !(fits && parts.every((part) => words.get(row).includes(part)));
      count += !row.hidden;
    }
    for (const body of bodies) body.hidden = !body.querySelector(".entry:not([hidden])");
    $("count").textContent = count === rows.length ? `${count} entries` : `${count} of ${rows.length} entries`;
  }

  function heat() {
    const select = $("heat-select");
    if (!select) return;
    select.value = state.heat || "0";
    if (select.selectedIndex < 0) select.value = "0";
    document.querySelectorAll(".heatmaps").forEach((each, i) => { each.hidden = String(i) !== select.value; });
  }

  function open() {
    const wanted = rows.some((row) => row.dataset.record === state.open) ? $(state.open) : null;
    const inside = $("inside").firstElementChild;
    if (inside && inside !== wanted) holder.append(inside);
    if (!wanted) {
      if (sheet.open) sheet.close();
      return;
    }
    $("inside").append(wanted);
    sheet.setAttribute("aria-labelledby", wanted.id + "-h");
    if (!sheet.open) sheet.showModal();
    sheet.scrollTop = 0;
    $("close").focus();
  }

  for (const head of heads) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const first = head.dataset.first || (head.dataset.kind ? "descending" : "ascending");
      const other = first === "ascending" ? "descending" : "ascending";
      set({ sort: head.dataset.key, dir: state.sort === head.dataset.key && state.dir === first ? other : first });
    });
  }
  for (const row of rows) {
    row.addEventListener("click", (event) => {
      if (event.target.closest("a") && (event.ctrlKey || event.metaKey || event.shiftKey)) return;
      if (String(getSelection()) && !event.target.closest("a")) return; // someone marks a figure to copy it
      event.preventDefault();
      row.querySelector("a").focus({ preventScroll: true }); // where the focus returns to
      set({ open: row.dataset.record }, true);
    });
    row.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step) return;
      const shown = [...table.querySelectorAll(".entry:not([hidden])")];
      const next = shown[shown.indexOf(row) + step];
      if (next) { event.preventDefault(); next.querySelector("a").focus(); }
    });
  }
  for (const select of selects) select.addEventListener("change", () => set({ [select.dataset.filter]: select.value }));
  $("q").addEventListener("input", () => set({ q: $("q").value }));
  $("show").addEventListener("change", () => set({ show: $("show").value }));
  $("reset").addEventListener("click", () => {
    set({ ...fresh, theme: state.theme, heat: state.heat });
  });
  $("theme").addEventListener("click", () => set({ theme: isDark(state) ? "light" : "dark" }));
  if ($("heat-select")) $("heat-select").addEventListener("change", () => set({ heat: $("heat-select").value === "0" ? "" : $("heat-select").value }));
  sheet.addEventListener("close", () => { if (state.open) set({ open: "" }, true); });
  addEventListener("beforeprint", () => {
    const inside = $("inside").firstElementChild;
    if (inside) { inside.classList.add("printed"); holder.append(inside); }
  });
  addEventListener("afterprint", () => {
    const printed = document.querySelector(".printed");
    if (printed) { printed.classList.remove("printed"); $("inside").append(printed); }
  });

  $("filters").hidden = !table;
  if ($("heat-choice")) $("heat-choice").hidden = false;
  prepare(() => { state = read(); apply(); }, apply);
  state = read();
  apply();
})();

(() => {
  const data = JSON.parse($("data").textContent);
  const PAGE = 60, PAIRS = 10, SIDE = 24;

  function unpack(text, Kind) { // little-endian, as every machine with a browser is
    const bytes = Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
    return new Kind(bytes.buffer);
  }

  // A result's columns are unpacked when it is first looked at.
  const opened = new Map();
  function result(i) {
    if (!opened.has(i)) {
      const it = data.results[i];
      const columns = { split: unpack(it.split, Uint16Array), term: unpack(it.term, Uint16Array), leaf: unpack(it.leaf, Uint32Array),
        image: unpack(it.image, Uint32Array), answer: unpack(it.answer, Uint8Array), margins: it.margins.map((each) => unpack(each, Float32Array)) };
      const rows = new Map(); // the first row of each question, and the rows of each picture
      const of = new Map();
      for (let row = 0; row < columns.answer.length; row++) {
        const key = `${columns.split[row]} ${columns.image[row]} ${columns.term[row]}`;
        if (!rows.has(key)) rows.set(key, row);
        if (!of.has(columns.image[row])) of.set(columns.image[row], []);
        of.get(columns.image[row]).push(row);
      }
      opened.set(i, { ...it, ...columns, rows, of, inside: it.inside && unpackInside(it.inside) });
    }
    return opened.get(i);
  }

  // What is inside the head: of each picture the nearest words of its soft tokens, and where they look.
  function unpackInside(it) {
    const at = new Map();
    unpack(it.images, Uint32Array).forEach((image, place) => at.set(image, place));
    return { ...it, at, nearest: unpack(it.nearest, Uint16Array), looks: unpack(it.looks, Uint8Array) };
  }

  function chosen(key) { // "1.2": the second control of the second result
    const [i, head] = key.split(".").map(Number);
    if (!(i >= 0 && i < data.results.length && head >= 0 && head < data.results[i].heads.length)) return null;
    const it = result(i);
    return { it, head, margins: it.margins[head] };
  }

  function make(name, attributes = {}, ...inside) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...inside);
    return node;
  }
  const bdi = (text, kind = "") => make("bdi", kind ? { class: kind } : {}, text);
  const signed = (value) => (value < 0 ? "\u2212" : "+") + Math.abs(value).toFixed(1);

  function said(margin, answer) {
    const right = (margin > 0) === Boolean(answer);
    return make("span", { class: `said ${right ? "is-right" : "is-wrong"}` }, `${margin > 0 ? "Yes" : "No"} ${signed(margin)}`);
  }

  // What a question is about is one picture, or two side by side.
  const called = (image) => data.images[image].map((each) => data.pictures[each]).join(" & ");
  function shot(image, text) {
    const span = make("span", { class: "shot" });
    for (const each of data.images[image]) {
      const img = make("img", { alt: text, loading: "lazy", decoding: "async" });
      img.addEventListener("error", () => img.replaceWith("no picture"));
      span.append(img);
      withSource(each, (source) => { if (source) img.src = source; else img.replaceWith("no picture"); });
    }
    return span;
  }

  // Where pictures are stands in blocks behind this script, and a block is read when one of its pictures is shown. The
  // page does not wait for them: a block is whole when something follows it.
  const blocks = document.getElementsByClassName("pictures"), sources = new Map();
  let waiting = [];
  function withSource(picture, use) {
    const at = Math.floor(picture / data.block);
    if (!sources.has(at)) {
      if (!blocks[at + 1] && document.readyState === "loading") return waiting.push([picture, use]);
      sources.set(at, JSON.parse(blocks[at].textContent));
    }
    use(sources.get(at)[picture % data.block]);
  }
  function serve() {
    const now = waiting;
    waiting = [];
    for (const each of now) withSource(...each);
  }

  const fresh = { a: "0.0", b: "", show: "wrong", split: "", term: "", leaf: "", truth: "", least: "", most: "", order: "sure", q: "", page: "0", theme: "", open: "" };
  const inputs = ["a", "b", "show", "split", "term", "leaf", "truth", "least", "most", "order", "q"];
  let state = {};
  let found = []; // the rows that are shown, in their order
  let pairs = PAIRS, leaves = SIDE, terms = SIDE;

  function set(change, push = false) {
    state = { ...state, page: "0", open: "", ...change };
    apply();
    writeAddress(state, fresh, push);
  }

  function options(select, names, any) {
    const all = any === undefined ? [] : [make("option", { value: "" }, any)];
    select.replaceChildren(...all, ...names.map(([value, text]) => make("option", { value, dir: "auto" }, text.length > 60 ? text.slice(0, 59) + "…" : text)));
  }

  function heads(select, any) {
    options(select, [], any);
    data.results.forEach((it, i) => {
      const group = make("optgroup", { label: it.name });
      it.heads.forEach(([title], head) => group.append(make("option", { value: `${i}.${head}` }, data.results.length > 1 ? `${title} · ${it.name}` : title)));
      select.append(group);
    });
  }

  const sorted = (codes, names) => [...new Set(codes)].map((code) => names[code]).sort((a, b) => a.localeCompare(b, "en"));

  // What can be chosen depends on the result and the split.
  let lists = "";
  function fill(a) {
    const splits = [...new Set(a.it.split)];
    if (!splits.includes(data.splits.indexOf(state.split))) state.split = splits.some((each) => data.splits[each] === a.it.headline) ? a.it.headline : data.splits[splits[0]];
    const now = `${state.a.split(".")[0]} ${state.split}`;
    if (now !== lists) {
      lists = now;
      const split = data.splits.indexOf(state.split);
      const rows = [...a.it.split.keys()].filter((row) => a.it.split[row] === split);
      options($("split"), splits.map((each) => [data.splits[each], data.splits[each]]));
      for (const [id, codes, names] of [["term", a.it.term, data.terms], ["leaf", a.it.leaf, data.leaves]])
        options($(id), sorted(rows.map((row) => codes[row]), names).map((name) => [name, name]), "all");
    }
  }

  function apply() {
    showTheme(state);
    if (!chosen(state.a)) state.a = fresh.a;
    if (!chosen(state.b) || state.b === state.a) state.b = "";
    const a = chosen(state.a), b = state.b ? chosen(state.b) : null;
    fill(a);
    for (const each of $("show").querySelectorAll("[data-two]")) each.disabled = !b;
    for (const id of ["least", "most"]) if (!(Number(state[id]) >= 0)) state[id] = "";
    for (const id of inputs) {
      $(id).value = state[id];
      if ($(id).value !== state[id] || $(id).selectedOptions?.[0]?.disabled) $(id).value = state[id] = fresh[id];
    }
    select(a, b);
    drawScores(a, b);
    drawPairs(a);
    drawCards(a, b);
    drawGrid(a);
    drawAbout(a);
    open(a);
  }

  // The row of the same question in another result.
  const beside = (a, b, row) => a.it === b.it ? row : b.it.rows.get(`${a.it.split[row]} ${a.it.image[row]} ${a.it.term[row]}`);
  const right = (side, row) => (side.margins[row] > 0) === Boolean(side.it.answer[row]);

  let rows = []; // those that all filters but `show` leave
  let wide = []; // and those of all terms and leaves, for their table
  function select(a, b) {
    const { it, margins } = a;
    const split = data.splits.indexOf(state.split), term = data.terms.indexOf(state.term), leaf = data.leaves.indexOf(state.leaf);
    const least = Number(state.least) || 0, most = state.most === "" ? Infinity : Number(state.most);
    const parts = plain(state.q).split(" ").filter(Boolean);
    const words = (row) => plain(`${data.leaves[it.leaf[row]]} ${data.terms[it.term[row]]} ${called(it.image[row])}`);
    wide = [];
    for (let row = 0; row < margins.length; row++) {
      if (it.split[row] !== split) continue;
      const size = Math.abs(margins[row]);
      if (size < least || size > most) continue;
      if (state.truth && it.answer[row] !== Number(state.truth)) continue;
      if (parts.length && !parts.every((part) => words(row).includes(part))) continue;
      wide.push(row);
    }
    rows = wide.filter((row) => (!state.term || it.term[row] === term) && (!state.leaf || it.leaf[row] === leaf));
    const show = {
      all: () => true, right: (row) => right(a, row), wrong: (row) => !right(a, row),
      differ: (row, other) => (a.margins[row] > 0) !== (b.margins[other] > 0),
      first: (row, other) => right(a, row) && !right(b, other), second: (row, other) => !right(a, row) && right(b, other),
    }[state.show];
    const two = ["differ", "first", "second"].includes(state.show);
    found = rows.filter((row) => {
      const other = two ? beside(a, b, row) : 0;
      return other !== undefined && show(row, other);
    });
    const sign = { sure: -1, unsure: 1, asked: 0 }[state.order];
    if (sign) found.sort((x, y) => sign * (Math.abs(margins[x]) - Math.abs(margins[y])) || x - y);
  }

  function drawScores(a, b) {
    const words = (side) => {
      const scores = side.it.scores[side.head][state.split] || [null, null, null];
      const given = ["F1", "AUROC", "chance"].map((name, i) => scores[i] === null ? "" : `${name} ${scores[i].toFixed(3)}`).filter(Boolean);
      return [make("b", {}, side.it.heads[side.head][0]), " · ", bdi(side.it.name), ` on ${state.split}: ${given.join(", ") || "no score"}. `];
    };
    $("scores").replaceChildren(...words(a), ...(b ? words(b) : []));
  }

  // Questions by leaf and term: how many, how many wrong, the sum of margins of the wrong ones.
  function count(a, some) {
    const cells = new Map();
    for (const row of some) {
      const key = a.it.leaf[row] * data.terms.length + a.it.term[row];
      if (!cells.has(key)) cells.set(key, { leaf: a.it.leaf[row], term: a.it.term[row], n: 0, wrong: 0, sum: 0, answer: a.it.answer[row] });
      const cell = cells.get(key);
      cell.n += 1;
      if (!right(a, row)) { cell.wrong += 1; cell.sum += a.margins[row]; }
    }
    return [...cells.values()];
  }

  function drawPairs(a) {
    const cells = count(a, rows).filter((cell) => cell.wrong);
    cells.sort((x, y) => y.wrong - x.wrong || y.wrong / y.n - x.wrong / x.n || Math.abs(y.sum) - Math.abs(x.sum));
    const lines = cells.slice(0, pairs).map((cell) => {
      const [leaf, term] = [data.leaves[cell.leaf], data.terms[cell.term]];
      const pick = make("button", { type: "button" }, bdi(leaf));
      pick.addEventListener("click", () => { set({ leaf, term, show: "wrong" }, true); $("answers").scrollIntoView(); });
      return make("tr", {}, make("td", {}, pick), make("td", {}, bdi(term)), make("td", {}, cell.answer ? "No, but it is" : "Yes, but it is not"),
        make("td", { class: "n" }, `${cell.wrong} of ${cell.n}`), make("td", { class: "n" }, signed(cell.sum / cell.wrong)));
    });
    $("pair-table").tBodies[0].replaceChildren(...(lines.length ? lines : [make("tr", {}, make("td", { colspan: "5" }, rows.length ? "Nothing is wrong here." : "Nothing is asked here."))]));
    $("more-pairs").hidden = cells.length <= pairs;
  }

  function drawCards(a, b) {
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    const at = Math.min(Math.max(Number(state.page) || 0, 0), pages - 1);
    state.page = String(at);
    const some = found.slice(at * PAGE, (at + 1) * PAGE);
    const rights = rows.filter((row) => right(a, row)).length;
    const share = rows.length ? ` · ${rights.toLocaleString("en")} of ${rows.length.toLocaleString("en")} right (${(100 * rights / rows.length).toFixed(1)} %)` : "";
    $("count").textContent = `${found.length.toLocaleString("en")} shown${share}`;
    $("cards").replaceChildren(...some.map((row) => make("li", {}, card(a, b, row))));
    for (const each of document.querySelectorAll(".where")) each.textContent = found.length ? `${(at * PAGE + 1).toLocaleString("en")}–${(at * PAGE + some.length).toLocaleString("en")} of ${found.length.toLocaleString("en")}` : "";
    for (const each of document.querySelectorAll(".back")) each.disabled = at === 0;
    for (const each of document.querySelectorAll(".on")) each.disabled = at >= pages - 1;
    for (const each of document.querySelectorAll(".pager")) each.hidden = pages === 1;
  }

  function card(a, b, row) {
    const { it } = a;
    const words = make("span", { class: "words" }, bdi(data.leaves[it.leaf[row]], "leaf"), make("span", {}, bdi(`${data.terms[it.term[row]]}?`)), said(a.margins[row], it.answer[row]));
    const other = b ? beside(a, b, row) : undefined;
    if (other !== undefined) words.append(said(b.margins[other], b.it.answer[other]));
    const button = make("button", { type: "button", "data-row": row }, shot(it.image[row], ""), words);
    button.addEventListener("click", () => set({ open: String(row), page: state.page }, true));
    return button;
  }

  function drawGrid(a) {
    const cells = count(a, wide);
    const total = (key) => {
      const sums = new Map();
      for (const cell of cells) sums.set(cell[key], (sums.get(cell[key]) || 0) + cell.wrong);
      return [...sums].sort((x, y) => y[1] - x[1] || data[key === "leaf" ? "leaves" : "terms"][x[0]].localeCompare(data[key === "leaf" ? "leaves" : "terms"][y[0]], "en")).map(([code]) => code);
    };
    const [down, across] = [total("leaf"), total("term")];
    const at = new Map(cells.map((cell) => [cell.leaf * data.terms.length + cell.term, cell]));
    const columns = across.slice(0, terms);
    $("grid").tHead.replaceChildren(make("tr", {}, make("td"), ...columns.map((term) => make("th", { scope: "col" }, bdi(data.terms[term])))));
    $("grid").tBodies[0].replaceChildren(...down.slice(0, leaves).map((leaf) => make("tr", {}, make("th", { scope: "row" }, bdi(data.leaves[leaf])),
      ...columns.map((term) => {
        const cell = at.get(leaf * data.terms.length + term);
        if (!cell) return make("td");
        const percent = Math.round(100 * cell.wrong / cell.n);
        const shade = cell.wrong ? `h${Math.min(9, Math.floor(10 * cell.wrong / cell.n))}` : "";
        const button = make("button", { type: "button", tabindex: "-1", title: `${data.leaves[leaf]}, ${data.terms[term]}: ${cell.wrong} of ${cell.n} wrong` }, String(percent), make("small", {}, `of ${cell.n}`));
        button.addEventListener("click", () => { set({ leaf: data.leaves[leaf], term: data.terms[term], show: cell.wrong ? "wrong" : "all" }, true); $("answers").scrollIntoView(); });
        return make("td", { class: `${shade}${cell.answer ? " true" : ""}` }, button);
      }))));
    const first = $("grid").querySelector("button");
    if (first) first.tabIndex = 0;
    $("more-leaves").hidden = down.length <= leaves;
    $("more-terms").hidden = across.length <= terms;
  }

  function drawAbout(a) {
    $("facts").replaceChildren(...a.it.about.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, bdi(value)))));
    for (const each of document.querySelectorAll("[data-result]")) each.hidden = each.dataset.result !== state.a.split(".")[0];
    $("heads").replaceChildren(...a.it.heads.map(([title, help]) => make("div", {}, make("dt", {}, title), make("dd", {}, help))));
  }

  const sheet = $("sheet");
  function open(a) {
    const row = Number(state.open);
    if (state.open === "" || !(row >= 0 && row < a.margins.length)) {
      state.open = "";
      if (sheet.open) sheet.close();
      return;
    }
    const { it } = a;
    const [leaf, term, image] = [data.leaves[it.leaf[row]], data.terms[it.term[row]], it.image[row]];
    $("sheet-h").replaceChildren(bdi(leaf), " · ", bdi(`${term}?`), ` ${it.answer[row] ? "Yes" : "No"} is right`);
    $("picture").replaceChildren(shot(image, leaf), ...data.images[image].map((each) => {
      const name = make("code", {}, bdi(data.pictures[each]));
      withSource(each, (source) => { if (source.startsWith("file:")) name.replaceChildren(make("a", { href: source }, bdi(data.pictures[each]))); });
      return name;
    }));
    drawInside(it, image);
    const lines = [];
    data.results.forEach((_, i) => {
      const other = beside(a, { it: result(i) }, row);
      if (other !== undefined) result(i).heads.forEach(([title], head) => lines.push(make("tr", {}, make("td", {}, bdi(result(i).name)), make("td", {}, title), make("td", {}, said(result(i).margins[head][other], result(i).answer[other])), make("td", { class: "n" }, result(i).margins[head][other].toFixed(2)))));
    });
    $("each").tBodies[0].replaceChildren(...lines);
    $("else").tBodies[0].replaceChildren(...it.of.get(image).filter((each) => each !== row).map((each) => make("tr", {}, make("td", {}, data.splits[it.split[each]]), make("td", {}, bdi(data.terms[it.term[each]])),
      make("td", {}, said(a.margins[each], it.answer[each])), make("td", { class: "n" }, a.margins[each].toFixed(2)))));
    const place = found.indexOf(row);
    $("before").disabled = place <= 0;
    $("after").disabled = place < 0 || place >= found.length - 1;
    if (!sheet.open) { sheet.showModal(); $("close").focus(); }
    sheet.scrollTop = 0;
  }

  function drawInside(it, image) {
    const inside = it.inside, place = inside ? inside.at.get(image) : undefined;
    $("near").hidden = place === undefined;
    if (place === undefined) return;
    const counts = new Map();
    for (const word of inside.nearest.subarray(place * inside.tokens, (place + 1) * inside.tokens)) counts.set(word, (counts.get(word) || 0) + 1);
    const words = [...counts].sort((x, y) => y[1] - x[1]).flatMap(([word, n]) => [", ", bdi(inside.words[word]), n > 1 ? ` ×${n}` : ""]).slice(1);
    $("near").replaceChildren("Soft tokens are nearest to: ", ...words);
    if (!inside.side) return;
    const cells = inside.looks.subarray(place * inside.side ** 2, (place + 1) * inside.side ** 2);
    const looks = make("span", { class: "looks", role: "img", "aria-label": "where the head looks" }, ...Array.from(cells, (value) => make("span", { class: `a${value}` })));
    looks.style.gridTemplateColumns = `repeat(${inside.side}, 1fr)`;
    $("picture").querySelector(".shot").append(looks);
  }

  function step(by) {
    const next = found[found.indexOf(Number(state.open)) + by];
    if (next !== undefined) set({ open: String(next), page: String(Math.floor(found.indexOf(next) / PAGE)) });
  }

  function turn(by) {
    set({ page: String((Number(state.page) || 0) + by) }, true);
    $("answers").scrollIntoView();
  }

  heads($("a"));
  heads($("b"), "nothing");
  for (const id of inputs) {
    const kind = ["least", "most", "q"].includes(id) ? "input" : "change";
    $(id).addEventListener(kind, () => {
      if (["a", "split"].includes(id)) [pairs, leaves, terms] = [PAIRS, SIDE, SIDE];
      set({ [id]: $(id).value });
    });
  }
  $("filters").querySelector("form").addEventListener("submit", (event) => event.preventDefault());
  $("reset").addEventListener("click", () => set({ ...fresh, theme: state.theme }));
  $("theme").addEventListener("click", () => set({ theme: isDark(state) ? "light" : "dark", page: state.page }));
  $("more-pairs").addEventListener("click", () => { pairs *= 3; drawPairs(chosen(state.a)); });
  $("more-leaves").addEventListener("click", () => { leaves *= 3; drawGrid(chosen(state.a)); });
  $("more-terms").addEventListener("click", () => { terms *= 3; drawGrid(chosen(state.a)); });
  for (const each of document.querySelectorAll(".back")) each.addEventListener("click", () => turn(-1));
  for (const each of document.querySelectorAll(".on")) each.addEventListener("click", () => turn(1));
  $("before").addEventListener("click", () => step(-1));
  $("after").addEventListener("click", () => step(1));
  sheet.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) { event.preventDefault(); step(by); }
  });
  sheet.addEventListener("close", () => {
    if (state.open === "") return;
    const row = state.open;
    set({ open: "", page: state.page }, true);
    const back = $("cards").querySelector(`[data-row="${Number(row)}"]`);
    if (back) back.focus();
  });
  $("cards").addEventListener("keydown", (event) => {
    const all = [...$("cards").querySelectorAll("button")];
    const across = all.filter((each) => each.offsetTop === all[0].offsetTop).length;
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across }[event.key];
    const next = by && all[all.indexOf(document.activeElement) + by];
    if (next) { event.preventDefault(); next.focus(); }
  });
  $("grid").addEventListener("keydown", (event) => {
    const [down, across] = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key] || [0, 0];
    if (!down && !across) return;
    event.preventDefault();
    let cell = event.target.closest("td");
    do { // over cells of what was not asked
      const line = cell.parentElement.parentElement.rows[cell.parentElement.sectionRowIndex + down];
      cell = line && line.cells[cell.cellIndex + across];
    } while (cell && cell.cellIndex > 0 && !cell.querySelector("button"));
    const next = cell && cell.querySelector("button");
    if (!next) return;
    for (const each of $("grid").querySelectorAll('[tabindex="0"]')) each.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });

  const read = () => { state = readAddress(fresh); apply(); };
  prepare(read, () => apply());
  new MutationObserver(serve).observe(document.body, { childList: true });
  document.addEventListener("DOMContentLoaded", serve);
  read();
})();

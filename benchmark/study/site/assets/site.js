"use strict";
// What pages do besides being read: sort tables, draw plots, tell of the architecture pointed at.

const kshot = (() => {
  const text = (id) => document.getElementById(id)?.textContent ?? "null";
  const sketch = JSON.parse(text("sketch"));

  /** The drawing of an architecture, a letter per part; see benchmark/views/sketch.py. */
  function svg(letters) {
    if (!sketch || !letters) return "";
    const parts = [...letters].map((letter) => sketch.fragments[letter.codePointAt(0) - sketch.first]);
    return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${sketch.width} ${sketch.height}" ` +
      `width="${sketch.width}" height="${sketch.height}" role="img" aria-label="drawing">${parts.join("")}</svg>`;
  }

  const image = (letters) => `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg(letters))}`;
  return { svg, image };
})();
window.kshot = kshot;

/** Tables whose headings sort their rows: numbers by value, the rest by their text. */
function makeSortable(table) {
  const headings = [...table.tHead?.rows[0].cells ?? []];
  const body = table.tBodies[0];
  const key = (row, at) => {
    const cell = row.cells[at];
    return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent.trim();
  };
  const missing = (value) => value === "–" || value === "" || Number.isNaN(value);
  headings.forEach((heading, at) => {
    if (!heading.textContent.trim() && at > 0) return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent || "name";
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", down > 0 ? "ascending" : "descending");
      const rows = [...body.rows].map((row) => ({ row, value: key(row, at) }));
      rows.sort((one, other) => {
        // What has no value stays below, whichever way.
        if (missing(one.value) || missing(other.value)) return missing(one.value) - missing(other.value);
        const numbers = typeof one.value === "number" && typeof other.value === "number";
        return down * (numbers ? one.value - other.value : String(one.value).localeCompare(String(other.value)));
      });
      body.append(...rows.map(({ row }) => row));
    });
  });
}

/** The architecture pointed at, tapped, brushed or asked for by its rank, beside the plot. */
function explore(source) {
  const panel = document.getElementById("chosen");
  const rank = document.getElementById("rank");
  const escape = (value) => { const span = document.createElement("span"); span.textContent = value; return span.innerHTML; };
  const figures = [
    ["predicted rank", "rank", 0], ["true rank", "rank_true", 0], ["accuracy (%)", "accuracy", 2],
    ["−loss", "minus_loss", 4], ["stand-alone (%)", "true", 2], ["M multiply-adds", "mflops", 3],
    ["M parameters", "mparams", 4], ["convolutions", "convolutions", 0], ["generation", "generation", 0],
  ];
  const shown = (name, at, decimals) => source.data[name][at].toLocaleString("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });

  function tell(at) {
    const rows = figures.filter(([, name]) => name in source.data && !Number.isNaN(source.data[name][at]))
      .map(([label, name, decimals]) => `<dt>${label}</dt><dd>${shown(name, at, decimals)}</dd>`);
    panel.innerHTML = `${kshot.svg(source.data.letters?.[at])}<div class="arch">${escape(source.data.arch[at])}</div><dl>${rows.join("")}</dl>`;
  }

  function tellMany(chosen) {
    const best = [...chosen].sort((one, other) => source.data.rank[one] - source.data.rank[other]);
    const range = (name, decimals) => {
      const known = best.filter((at) => !Number.isNaN(source.data[name][at])).sort((one, other) => source.data[name][one] - source.data[name][other]);
      return known.length ? `${shown(name, known[0], decimals)} to ${shown(name, known.at(-1), decimals)}` : "–";
    };
    const items = best.slice(0, 20).map((at) => `<li value="${source.data.rank[at]}"><span class="arch">${escape(source.data.arch[at])}</span></li>`);
    panel.innerHTML = `<b>${best.length.toLocaleString("en")} architectures</b><dl><dt>predicted ranks</dt><dd>${range("rank", 0)}</dd>` +
      `<dt>true ranks</dt><dd>${range("rank_true", 0)}</dd><dt>convolutions</dt><dd>${range("convolutions", 0)}</dd></dl>` +
      `By predicted rank:<ol>${items.join("")}</ol>`;
  }

  source.selected.properties.indices.change.connect(() => {
    const chosen = source.selected.indices;
    if (chosen.length === 1) tell(chosen[0]);
    else if (chosen.length > 1) tellMany(chosen);
  });
  // Pointing replaces what is inspected, and says so by a signal of its own.
  source.inspect.connect(() => {
    const [at] = source.inspected.indices;
    if (at !== undefined && source.selected.indices.length === 0) tell(at);
  });
  rank.addEventListener("input", () => {
    // Ties share a rank, so the one at a place is the last whose rank is not beyond it.
    const wanted = Number(rank.value);
    if (!(wanted >= 1)) return;
    let found = -1;
    source.data.rank.forEach((value, at) => {
      if (value <= wanted && (found < 0 || value > source.data.rank[found])) found = at;
    });
    if (found >= 0) source.selected.indices = [found];
  });
  document.getElementById("clear").addEventListener("click", () => {
    source.selected.indices = [];
    rank.value = "";
    panel.innerHTML = "<p>Point at an architecture, tap it, drag a box around some, or give a rank.</p>";
  });
  document.getElementById("score")?.addEventListener("change", (event) => {
    const name = event.target.value;
    source.data = { ...source.data, x: source.data[name], rank: source.data[name === "accuracy" ? "rank_accuracy" : "rank_loss"] };
    const axis = source.document.roots()[0].below.find((one) => "axis_label" in one);
    axis.axis_label = name === "accuracy" ? "predicted accuracy (%)" : "−loss";
  });
}

async function draw() {
  document.querySelectorAll("table.sortable").forEach(makeSortable);
  for (const script of document.querySelectorAll("script[data-plot]")) {
    const views = await Bokeh.embed.embed_item(JSON.parse(script.textContent), script.dataset.plot);
    if (script.dataset.plot === "scatter") {
      const root = [...views.roots ?? views][0].model;
      explore(root.document.get_model_by_name("archs"));
    }
  }
  document.documentElement.dataset.ready = "yes";
}

draw();

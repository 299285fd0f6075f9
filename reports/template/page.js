/* Tables that sort: each column heading becomes a button. Everything else on a page works without scripts. */
"use strict";
const number = (text) => parseFloat(text.replace(/\u2212/g, "-").replace(/(\d),(?=\d{3})/g, "$1").replace(/^[^\d.-]+/, ""));
const gap = (text) => text === "" || text === "\u2013";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.title = "Sort by this column";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const numbers = head.classList.contains("number");
      const rows = [...body.rows].map((row) => [row.cells[column].textContent.trim(), row]);
      rows.sort(([a], [b]) => {
        if (gap(a) || gap(b)) return gap(a) - gap(b); // last, whichever way
        const order = numbers ? number(a) - number(b) : a.localeCompare(b, "en", { numeric: true });
        return up ? order : -order;
      });
      body.append(...rows.map(([, row]) => row));
    });
  });
}

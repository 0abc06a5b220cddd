// A click on a column's head sorts the table by it; a second click turns the order round.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const numeric = head.classList.contains("number");
    const ascending = head.getAttribute("aria-sort") !== "ascending";
    const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
    const compare = numeric
      ? (a, b) => (key(a) === "" || key(b) === "" ? (key(a) === "") - (key(b) === "") : (ascending ? 1 : -1) * (key(a) - key(b)))
      : (a, b) => (ascending ? 1 : -1) * key(a).localeCompare(key(b), undefined, { numeric: true });
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  }));
}

// Sorting and filtering of the tables inside `.sortable`. Without scripts they are plain tables.
'use strict';

// The first number of a cell, with thousands separated by commas; null if the cell does not begin with one.
function numberOf(text) {
  const match = /^-?[\d,]+(\.\d+)?/.exec(text);
  return match ? Number(match[0].replaceAll(',', '')) : null;
}

function compare(a, b) {
  if (a === '' || b === '') return (a === '') - (b === ''); // empty cells last
  const [x, y] = [numberOf(a), numberOf(b)];
  return x !== null && y !== null ? x - y : a.localeCompare(b);
}

function sortBy(table, column, header) {
  const descending = header.getAttribute('aria-sort') === 'ascending';
  for (const other of table.tHead.rows[0].cells) other.removeAttribute('aria-sort');
  header.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
  const body = table.tBodies[0];
  const text = (row) => row.cells[column].textContent.trim();
  const rows = [...body.rows].sort((a, b) => {
    const order = compare(text(a), text(b));
    return descending && text(a) !== '' && text(b) !== '' ? -order : order;
  });
  body.append(...rows);
}

const wordsOf = (text) => text.toLowerCase().match(/[\p{L}\p{N}_]+/gu) ?? [];

// Messages: a pasted line is compared with each message, whose own words must occur in it in the same order.
// The share of the message's words that are found, and their number, rank the rows.
function likeness(words, row) {
  const own = wordsOf(row.cells[0].textContent);
  let from = 0;
  let found = 0;
  for (const word of own) {
    const at = words.indexOf(word, from);
    if (at >= 0) {
      found += 1;
      from = at + 1;
    }
  }
  return own.length && found / own.length >= 0.7 ? found : 0;
}

function filter(table, query) {
  const words = wordsOf(query);
  const rows = [...table.tBodies[0].rows];
  const has = (row) => words.every((word) => row.textContent.toLowerCase().includes(word));
  const plain = rows.filter(has);
  const shown = new Map(plain.map((row) => [row, 1]));
  if (!plain.length && table.closest('.messages')) {
    for (const row of rows) {
      const rank = likeness(words, row);
      if (rank > 0) shown.set(row, rank);
    }
    table.tBodies[0].append(...[...rows].sort((a, b) => (shown.get(b) ?? 0) - (shown.get(a) ?? 0)));
  }
  for (const row of rows) row.hidden = !shown.has(row);
}

function equip(area) {
  const table = area.querySelector('table');
  const field = document.createElement('input');
  field.type = 'search';
  field.placeholder = area.classList.contains('messages') ? 'Paste a message' : 'Show only rows with these words';
  field.setAttribute('aria-label', field.placeholder);
  field.addEventListener('input', () => filter(table, field.value));
  area.prepend(field);
  [...table.tHead.rows[0].cells].forEach((header, column) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.append(...header.childNodes);
    button.addEventListener('click', () => sortBy(table, column, header));
    header.append(button);
  });
}

document.addEventListener('DOMContentLoaded', () => document.querySelectorAll('.sortable').forEach(equip));

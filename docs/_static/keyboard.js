// What scrolls sideways takes the focus, so that the arrow keys scroll it; captions of the navigation state their level.
'use strict';

function letFocus() {
  for (const box of document.querySelectorAll('pre, .table-wrapper')) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute('tabindex');
  }
}

document.addEventListener('DOMContentLoaded', () => {
  for (const caption of document.querySelectorAll('.caption[role=heading]')) caption.setAttribute('aria-level', '2');
  letFocus();
});
window.addEventListener('resize', letFocus);

/* Posts: what a swap must not undo, and how many posts are chosen. Without it everything works as plain forms. */
(() => {
  const $$ = (selector) => [...document.querySelectorAll(selector)];

  // Choosing several: the bar with the button appears with the first one, and says how many there are.
  const count = () => {
    const bar = document.querySelector('.several');
    if (!bar) return;
    const chosen = $$('#chosen input[name=post]:checked').length;
    bar.hidden = !chosen;
    bar.querySelector('[data-chosen]').textContent = `${chosen} ${chosen === 1 ? 'post is' : 'posts are'} chosen.`;
  };
  document.addEventListener('change', (e) => { if (e.target.closest('#chosen')) count(); });

  // A list that brings itself up to date keeps what somebody chose and opened.
  let kept = null;
  document.addEventListener('htmx:before:swap', () => {
    kept = {
      chosen: $$('#chosen input:checked').map((one) => one.id),
      open: $$('details.log').map((one) => [one.id, one.open]),
      focus: document.activeElement && document.activeElement.id,
    };
  });
  document.addEventListener('htmx:after:swap', () => {
    if (!kept) return;
    const { chosen, open, focus } = kept;
    kept = null;
    chosen.forEach((id) => { const one = document.getElementById(id); if (one) one.checked = true; });
    open.forEach(([id, was]) => { const one = id && document.getElementById(id); if (one) one.open = was; });
    // the summary of a log has no id of its own to be found by
    if (focus && document.activeElement === document.body) document.getElementById(focus)?.focus({ preventScroll: true });
    count();
  });
  count();
})();

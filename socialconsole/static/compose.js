/* The compose form with script: the list of profiles is searched and ticked in place, nothing that was typed or ticked
   is lost when an answer arrives, and fields show only beside the choice they belong to. Every page works without it. */
(() => {
  const form = document.getElementById('compose');
  if (!form) return;
  const $ = (s, e = form) => e.querySelector(s), $$ = (s, e = form) => [...e.querySelectorAll(s)];
  const boxes = () => $$('#places input[name=accounts]');
  const changed = (e) => e.dispatchEvent(new Event('change', { bubbles: true }));
  let search = $('#find-profile'), ticked = new Set(), opened = new Set();

  // ---- profiles
  const count = () => {
    const here = boxes(), chosen = here.filter((b) => b.checked).length, sum = $('#chosen-count');
    if (sum) sum.textContent = `${chosen} of ${sum.dataset.of} profile${sum.dataset.of === '1' ? '' : 's'} chosen`;
    for (const group of $$('#places [data-group]')) {
      const button = $('[data-all]', group);
      if (!button) continue;
      const free = $$('input:not(:disabled)', group), all = free.length && free.every((b) => b.checked);
      button.textContent = button.textContent.trim().replace(/^\S+/, all ? 'None' : 'All');
    }
    names(here);
  };
  // an own text can be written for those that are chosen and have none yet
  const names = (here) => {
    const select = $('#own_for');
    if (!select) return;
    const now = select.value;
    const free = here.filter((b) => b.checked && !document.getElementById('own-' + b.value));
    select.replaceChildren(...free.map((b) => {
      const words = b.closest('label'), option = new Option($('.sr', words).textContent.trim() + ' ' + $('.who', words).textContent.trim(), b.value);
      option.selected = b.value === now;
      return option;
    }));
    select.disabled = !free.length;
  };
  const find = () => {
    if (!search) return;
    const wanted = search.value.trim().toLowerCase().split(/\s+/);
    let shown = 0;
    for (const group of $$('#places [data-group]')) {
      let any = 0;
      for (const row of $$('li', group)) {
        const words = row.textContent.toLowerCase();
        row.hidden = !wanted.every((w) => words.includes(w));
        any += !row.hidden;
      }
      group.hidden = !any;
      shown += any;
    }
    $('#found-profiles').textContent = search.value.trim() ? `${shown} found` : '';
  };
  if (search) {
    search.closest('[hidden]').hidden = false;
    for (const kind of ['input', 'change']) search.addEventListener(kind, (e) => { e.stopPropagation(); find(); });
  }
  form.addEventListener('click', (e) => {
    const all = e.target.closest('[data-all]');
    if (!all) return;
    e.preventDefault();
    const free = $$('li:not([hidden]) input:not(:disabled)', all.closest('[data-group]'));
    const fit = free.filter((b) => b.checked || !b.closest('.off')), on = !fit.every((b) => b.checked);
    for (const box of on ? fit : free) box.checked = on;
    changed(all);
  });
  // Enter in a single line would press the first button of the form
  form.addEventListener('keydown', (e) => {
    if (e.key === 'Enter' && !e.isComposing && e.target.matches('input:not([type=submit], [type=button], [type=file])')) e.preventDefault();
  });

  // ---- fields that mean something only beside a certain choice
  const depend = () => {
    for (const part of $$('[data-only]')) {
      const key = part.dataset.only, of = document.getElementById(key);
      const on = !of || (of.type === 'checkbox' ? of.checked : of.value === part.dataset.value);
      part.hidden = !on;
      for (const field of $$('input, select, textarea', part)) field.disabled = !on || field.hasAttribute('data-off');
    }
  };

  const sum = () => { const there = $('[data-sum]'), said = $('#checks-sum'); if (there && said) there.textContent = said.textContent.trim(); };
  let said = '';
  const announce = () => {
    const words = ($('#checks-sum') || {}).textContent || '', live = document.getElementById('live');
    if (live && words.trim() && words.trim() !== said) live.textContent = 'Checks: ' + words.trim();
    said = words.trim();
  };

  form.addEventListener('change', (e) => {
    if (e.target.name === 'accounts' || e.target.closest('#where')) { ticked = new Set(boxes().filter((b) => b.checked).map((b) => b.value)); count(); }
    depend();
  });
  form.addEventListener('toggle', (e) => { if (e.target.id) e.target.open ? opened.add(e.target.id) : opened.delete(e.target.id); }, true);

  // ---- what an answer must not undo
  let texts = $('#words');
  document.addEventListener('htmx:after:swap', () => {
    for (const box of boxes()) box.checked = ticked.has(box.value) && (!box.disabled || box.checked);
    for (const id of opened) { const e = document.getElementById(id); if (e && e.tagName === 'DETAILS') e.open = true; }
    count(); find(); depend(); sum(); announce();
    if ($('#words') !== texts) {  // a button changed the texts: the checks and the files of parts follow
      texts = $('#words');
      if (document.activeElement === document.body) $('#text').focus();
      const where = $('#where');
      if (where) setTimeout(() => changed(where));
    }
  });

  ticked = new Set(boxes().filter((b) => b.checked).map((b) => b.value));
  $$('details[id][open]').forEach((d) => opened.add(d.id));
  count(); depend(); sum();
  said = (($('#checks-sum') || {}).textContent || '').trim();
})();

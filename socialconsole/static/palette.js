/* The palette and the shortcut keys. Without this file the button in the top bar leads to the same list as a page. */
(() => {
  const door = document.getElementById('go');
  if (!door) return;
  const hasLetters = 'letters' in document.body.dataset;
  let over, back, first = '', since = 0, early = null;  // early: what is typed while the list is on its way

  const shown = () => [...over.querySelectorAll('li')].filter((li) => !li.hidden);
  const mark = (li) => {
    over.querySelectorAll('[aria-selected="true"]').forEach((e) => e.setAttribute('aria-selected', 'false'));
    const field = over.querySelector('input');
    if (!li) { field.removeAttribute('aria-activedescendant'); return; }
    const link = li.querySelector('a');
    link.setAttribute('aria-selected', 'true');
    link.scrollIntoView({ block: 'nearest' });
    field.setAttribute('aria-activedescendant', link.id);
  };
  const narrow = () => {
    const words = over.querySelector('input').value.toLowerCase().split(/\s+/).filter(Boolean);
    over.querySelectorAll('[data-group]').forEach((group) => {
      group.querySelectorAll('li').forEach((li) => {
        const text = (group.querySelector('h2').textContent + ' ' + li.textContent + ' ' + li.dataset.words).toLowerCase();
        li.hidden = !words.every((w) => text.includes(w));
      });
      group.hidden = ![...group.querySelectorAll('li')].some((li) => !li.hidden);
    });
    const found = shown();
    over.querySelector('[data-count]').textContent = found.length ? found.length + ' found' : 'Nothing here is called that. Try another word.';
    mark(found[0]);
  };

  const build = (html) => {
    over = document.createElement('dialog');
    over.className = 'palette';
    over.setAttribute('aria-label', 'Find a page or an action');
    const field = document.createElement('input');
    Object.assign(field, { type: 'text', className: 'input', placeholder: 'Where to, or what to do?', autocomplete: 'off' });
    for (const [name, value] of [['role', 'combobox'], ['aria-expanded', 'true'], ['aria-controls', 'jumps'], ['aria-autocomplete', 'list'], ['aria-label', 'Find a page or an action']]) field.setAttribute(name, value);
    const count = document.createElement('p');
    count.className = 'sr'; count.dataset.count = ''; count.setAttribute('role', 'status');
    over.append(field, count);
    over.insertAdjacentHTML('beforeend', html);
    const list = over.querySelector('#jumps');
    list.setAttribute('role', 'listbox');
    list.setAttribute('aria-label', 'Pages and actions');
    list.querySelectorAll('[data-group]').forEach((g) => {
      g.setAttribute('role', 'group'); g.setAttribute('aria-label', g.querySelector('h2').textContent);
      g.querySelector('h2').setAttribute('role', 'presentation');
      g.querySelector('ul').setAttribute('role', 'presentation');
    });
    list.querySelectorAll('li').forEach((li, n) => {
      const link = li.querySelector('a');
      li.setAttribute('role', 'presentation');
      link.id = 'jump-' + n; link.tabIndex = -1; link.setAttribute('role', 'option'); link.setAttribute('aria-selected', 'false');
    });
    field.addEventListener('input', narrow);
    field.addEventListener('keydown', (e) => {
      const found = shown(), at = found.findIndex((li) => li.querySelector('a').getAttribute('aria-selected') === 'true');
      const step = { ArrowDown: 1, ArrowUp: -1 }[e.key];
      if (step && found.length) { e.preventDefault(); mark(found[(at + step + found.length) % found.length]); }
      if (e.key === 'Enter' && found[at]) { e.preventDefault(); location.href = found[at].querySelector('a').href; }
    });
    over.addEventListener('click', (e) => { if (e.target === over) over.close(); });
    over.addEventListener('close', () => { over.remove(); over = null; if (back && back.isConnected) back.focus(); });
    document.body.append(over);
    over.showModal();
    field.value = early || '';
    field.focus();
    narrow();
  };

  const open = async () => {
    if (over || early !== null) return;
    back = document.activeElement;
    early = '';
    try {
      const answer = await fetch(door.href, { headers: { 'HX-Request': 'true' }, credentials: 'same-origin' });
      if (!answer.ok) throw answer;
      if (!over) build(await answer.text());
    } catch { location.href = door.href; } finally { early = null; }
  };

  const isTyping = (e) => e.target.closest('input, textarea, select, [contenteditable], dialog');
  const jump = (keys) => {
    const link = document.querySelector('[data-keys="' + keys + '"]');
    if (link) location.href = link.href;
    return Boolean(link);
  };

  door.addEventListener('click', (e) => { if (!e.ctrlKey && !e.metaKey && !e.shiftKey) { e.preventDefault(); open(); } });
  document.addEventListener('keydown', (e) => {
    if ((e.ctrlKey || e.metaKey) && !e.altKey && !e.shiftKey && e.key.toLowerCase() === 'k') {
      e.preventDefault();
      over ? over.close() : open();
      return;
    }
    if (early !== null && e.key.length === 1 && !e.ctrlKey && !e.metaKey && !e.altKey) { e.preventDefault(); early += e.key; return; }
    if (!hasLetters || e.ctrlKey || e.metaKey || e.altKey || e.isComposing || isTyping(e)) return;
    const key = e.key, chain = Date.now() - since < 1500 && first ? first + ' ' + key : key;
    first = '';
    if (key === '?') { e.preventDefault(); location.href = door.dataset.list; return; }
    if (key === '/') {
      const search = document.querySelector('main input[type="search"]');
      if (search) { e.preventDefault(); search.focus(); search.select(); }
      return;
    }
    if (key === 'g') { first = 'g'; since = Date.now(); return; }
    if (/^[a-z]$/.test(key) && jump(chain)) e.preventDefault();
  });
})();

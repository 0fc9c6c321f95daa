/* A draft saves itself a second after the last key. What could not be saved is kept in this browser, for this person,
   and offered again. Without this file a button saves. */
(() => {
  const form = document.getElementById('compose'), box = document.getElementById('draft');
  if (!form || !box) return;
  const { user, workspace, save: saveAt, status: statusAt, check: checkAt, signIn, mode } = box.dataset;
  const $ = (s, e = document) => e.querySelector(s), field = (name) => form.elements.namedItem(name);
  const QUIET = 1000, AGAIN = 15000, LOOK = 30000, OWN = ['csrf_token', 'nonce', 'version', 'post_id', 'proposed', 'fit', 'keep'];
  const OFFLINE = 'no connection. Your text is kept in this browser.';
  const saves = mode === 'draft';
  let timer = 0, retry = 0, busy = null, again = false, stopped = false, signedOut = false, leaving = false;

  // ---- what stands in the form
  const entries = () => [...new FormData(form)].filter(([, value]) => typeof value === 'string');
  const shape = (list) => JSON.stringify(list.filter(([name, value]) => !OWN.includes(name) && value !== '' && !name.startsWith('shown:')));
  let saved = shape(entries());

  // ---- the line that says how it stands
  const line = (text, tone = '', link = null) => {
    const place = $('#draft-line');
    if (!place) return;
    if (place.dataset.text !== text) { place.textContent = text; place.dataset.text = text; if (link) place.append(' ', link); }
    tone ? (place.dataset.s = tone) : delete place.dataset.s;
  };
  const lost = (why, link) => line(`Not saved: ${why}`, 'warn', link);

  // ---- what this browser keeps: one copy for each draft and person
  const prefix = `draft:${user}:${workspace}:`;
  const key = () => prefix + (field('post_id').value || `new:${field('nonce').value}`);
  const store = (work) => { try { return work(localStorage); } catch { return null; } };  // full, or switched off
  const keep = (more = {}) => store((s) => s.setItem(key(), JSON.stringify({ at: Date.now(), fields: entries().filter(([n]) => n !== 'csrf_token'), ...more })));
  const drop = (name = key()) => store((s) => s.removeItem(name));
  const kept = (name) => store((s) => JSON.parse(s.getItem(name)));

  // ---- saving
  const ask = (address, options = {}) => fetch(address, { credentials: 'same-origin', ...options, headers: { Accept: 'application/json', 'HX-Request': 'true' } });
  const token = (value) => {
    document.querySelectorAll('input[name=csrf_token]').forEach((e) => { e.value = value; });
    document.body.setAttribute('hx-headers:inherited', JSON.stringify({ 'X-CSRFToken': value }));
  };
  const signInLink = () => Object.assign(document.createElement('a'), { href: signIn, target: '_blank', rel: 'noopener', textContent: 'Sign in in a new tab' });

  // Who is signed in now, with a token that works: after another sign-in the one in this page does not.
  const refresh = async () => {
    const answer = await ask(`${statusAt}?${new URLSearchParams({ post: field('post_id').value, nonce: field('nonce').value })}`);
    if (answer.status === 401) { signedOut = true; lost('you are signed out. Your text is kept in this browser.', signInLink()); return null; }
    if (!answer.ok) return null;
    const told = await answer.json();
    if (told.user !== user) { signedOut = true; lost('somebody else is signed in in this browser now. Sign in as yourself to save.', signInLink()); return null; }
    signedOut = false;
    token(told.token);
    return told;
  };

  const took = (told, sent) => {
    drop();
    saved = sent;
    field('post_id').value = told.post_id;
    field('version').value = told.version;
    $('#draft-conflict').replaceChildren();
    $('#draft-other').textContent = '';
    if (shape(entries()) === sent) { drop(); line(told.saved); }
    if (location.pathname + location.search !== told.address) history.replaceState(history.state, '', told.address);
  };

  const conflict = (html) => {
    stopped = true;
    const place = $('#draft-conflict');
    place.innerHTML = html;
    lost('somebody else changed this. Choose which version stays, above.');
    place.scrollIntoView({ block: 'nearest' });
    (place.querySelector('h2') || place).focus({ preventScroll: true });
  };

  const send = async (keepalive, fresh = true) => {
    const sent = shape(entries());
    if (sent === saved) return;
    keep();
    let answer;
    try { answer = await ask(saveAt, { method: 'POST', body: new URLSearchParams(entries()), keepalive }); }
    catch { lost(OFFLINE); later(AGAIN); return; }
    if (answer.ok) { took(await answer.json(), sent); return; }
    if (answer.status === 409) { conflict(await answer.text()); return; }
    if (answer.status === 401) { await refresh(); return; }
    // The token of this page is of an earlier sign-in: ask for one, and try once more.
    if (answer.status === 400 && fresh) { if (await refresh()) await send(keepalive, false); return; }
    if (answer.status === 422) {
      const { said } = await answer.json();
      if (field('post_id').value) lost(said); else { drop(); line(''); }
      return;
    }
    lost(answer.status < 500 ? 'you may not change this any more. Copy your text.' : OFFLINE);
    if (answer.status >= 500) later(AGAIN);
  };

  const save = async (keepalive = false) => {
    clearTimeout(timer);
    if (!saves) { if (shape(entries()) !== saved) keep(); return; }
    if (stopped || leaving) return;
    if (busy) { again = true; return; }
    busy = send(keepalive);
    try { await busy; } catch { lost(OFFLINE); later(AGAIN); } finally { busy = null; }
    if (again) { again = false; await save(); }
  };
  const later = (wait) => { clearTimeout(retry); retry = setTimeout(() => save(), wait); };
  const touched = () => { if (!stopped) { clearTimeout(timer); timer = setTimeout(() => save(), QUIET); } };

  form.addEventListener('input', touched);
  form.addEventListener('change', touched);
  form.addEventListener('click', (e) => { if (e.target.closest('[data-remove]')) setTimeout(touched); });
  document.addEventListener('htmx:after:swap', () => { if (shape(entries()) !== saved) touched(); });

  // ---- leaving, coming back, the line breaking and healing
  document.addEventListener('visibilitychange', async () => {
    if (document.visibilityState === 'hidden') { if (shape(entries()) !== saved && !leaving) { keep(); save(true); } return; }
    if (signedOut && await refresh()) { line(''); save(); }
  });
  addEventListener('focus', async () => { if (signedOut && await refresh().catch(() => null)) save(); });
  addEventListener('online', () => save());
  addEventListener('offline', () => { if (shape(entries()) !== saved) { keep(); if (saves) lost(OFFLINE); } });

  // The checks of this page would lead the whole browser to the door, and what stands in the form would be gone.
  document.addEventListener('htmx:before:response', (e) => {
    if (e.detail.ctx.response.status !== 401) return;
    e.preventDefault();
    keep();
    if (!signedOut) refresh().catch(() => {});
  });

  // A form that is sent waits for a save under way, or it would name a version that is old by then.
  form.addEventListener('submit', (e) => {
    clearTimeout(timer);
    if (busy) {
      e.preventDefault();
      const submitter = e.submitter;
      busy.finally(() => setTimeout(() => { delete form.dataset.sent; form.requestSubmit(submitter); }));
      return;
    }
    leaving = true;
    if (shape(entries()) !== saved) keep({ sent: true });
  });
  addEventListener('pageshow', (e) => { if (e.persisted) leaving = false; });
  document.addEventListener('submit', (e) => {
    if (/\/sign-out$/.test(new URL(e.target.action, location).pathname)) store((s) => Object.keys(s).filter((k) => k.startsWith(`draft:${user}:`)).forEach((k) => s.removeItem(k)));
  });
  box.addEventListener('click', (e) => { if (e.target.closest('[data-take-theirs]')) { leaving = true; drop(); } });

  // ---- what was kept and never saved
  const offer = (name, copy) => {
    const place = $('#draft-restore'), clock = new Date(copy.at);
    const today = clock.toDateString() === new Date().toDateString();
    const at = clock.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
    $('[data-said]', place).textContent = `You wrote this ${today ? '' : `on ${clock.toLocaleDateString()} `}at ${at} and it was not saved.`;
    place.hidden = false;
    $('[data-drop]', place).onclick = () => { drop(name); place.hidden = true; ($('#text') || form).focus(); };
    // The server fills the form: it knows all its parts, and some of them are not in this page.
    $('[data-restore]', place).onclick = () => {
      const made = document.createElement('form');
      Object.assign(made, { method: 'post', action: checkAt, hidden: true });
      [['csrf_token', field('csrf_token').value], ...copy.fields].forEach(([n, value]) => {
        made.append(Object.assign(document.createElement('textarea'), { name: n, value }));
      });
      leaving = true;
      drop(name);
      document.body.append(made);
      made.submit();
    };
  };
  const look = async () => {
    const names = store((s) => Object.keys(s)) || [];
    const mine = field('post_id').value ? [key()] : names.filter((n) => n.startsWith(`${prefix}new:`));
    for (const name of mine) {
      const copy = kept(name);
      if (!copy) continue;
      const nonce = name.startsWith(`${prefix}new:`) ? name.slice(`${prefix}new:`.length) : '';
      if (shape(copy.fields) === saved) { drop(name); continue; }
      const asked = copy.sent || nonce ? await ask(`${statusAt}?${new URLSearchParams(nonce ? { nonce } : { post: field('post_id').value })}`).then((a) => (a.ok ? a.json() : null)).catch(() => null) : null;
      // What arrived all the same, as the last words of a page do, is in the list of drafts or on its way.
      if (asked && asked.post_id && (nonce || asked.is_sent)) { drop(name); continue; }
      offer(name, copy);
      return;
    }
  };

  // ---- somebody else in the same draft
  const others = async () => {
    if (document.visibilityState !== 'visible' || !field('post_id').value || !saves || stopped || busy || signedOut) return;
    const told = await refresh().catch(() => null);
    if (!told || busy || told.version <= Number(field('version').value)) return;
    $('#draft-other').textContent = `${told.said || 'You changed this draft in another tab.'} When you go on writing here, you are asked which version stays.`;
  };
  setInterval(others, LOOK);

  if ('dirty' in box.dataset) { saved = ''; if (saves) touched(); } else look();
})();

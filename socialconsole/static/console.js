/* Progressive enhancement only: every page works without this file. */
(() => {
  const root = document.documentElement, $ = (s, e = document) => e.querySelector(s);
  const $$ = (s, e = document) => e.querySelectorAll(s);
  const say = (t) => { const l = $('dialog[open] [data-live]') || $('#live'); if (l) l.textContent = t; };

  const copy = async (button) => {
    const src = document.getElementById(button.dataset.copy), label = $('span', button) || button, was = label.textContent;
    const done = (w) => {
      label.textContent = w; button.dataset.done = ''; say(w);
      setTimeout(() => { label.textContent = was; delete button.dataset.done; }, 2000);
    };
    try { await navigator.clipboard.writeText(src.textContent.trim()); done('Copied'); }
    catch {
      const s = getSelection(), r = document.createRange();
      s.removeAllRanges(); r.selectNodeContents(src); s.addRange(r); done('Selected');
    }
  };

  document.addEventListener('click', (e) => {
    // the theme changes at once; the form beside it tells the server
    const t = e.target.closest('[data-theme-set]');
    if (t) { t.value === 'auto' ? delete root.dataset.theme : (root.dataset.theme = t.value); say('Theme: ' + t.textContent.trim()); }
    const c = e.target.closest('[data-copy]');
    if (c && !('done' in c.dataset)) copy(c);
    const x = e.target.closest('[data-close]');
    if (x) x.closest('.toast').remove();
    // menus close when something else is clicked
    $$('details:is(.menu, .nav-more)[open]').forEach((d) => { if (!d.contains(e.target)) d.open = false; });
  });

  document.addEventListener('keydown', (e) => {
    if (e.key !== 'Escape') return;
    const d = $('details:is(.menu, .nav-more)[open]');
    if (d) { d.open = false; $('summary', d).focus(); }
  });

  // a second press within moments is the same press
  document.addEventListener('submit', (e) => {
    const f = e.target, now = Date.now();
    if (!e.defaultPrevented && now - (f.dataset.sent || 0) < 2000) e.preventDefault();
    f.dataset.sent = now;
  });

  // typing a time chooses the time
  document.addEventListener('input', (e) => {
    const r = e.target.dataset && document.getElementById(e.target.dataset.picks);
    if (r) r.checked = true;
  });

  // a file taken out of a post goes at once; without script the form asks the server
  document.addEventListener('click', (e) => {
    const b = e.target.closest('[data-remove]'), where = $('#where');
    if (!b || !where) return;
    e.preventDefault();
    document.getElementById(b.dataset.remove).remove();
    ($('#files-input') || where).focus();
    where.dispatchEvent(new Event('change', { bubbles: true }));
  });
  // a file that was received is in the list: it must not travel with the form once more
  document.addEventListener('htmx:after:request', (e) => {
    const input = e.target.closest && e.target.closest('[data-clear]');
    if (!input) return;
    input.value = '';
    const where = $('#where');
    if (where) setTimeout(() => where.dispatchEvent(new Event('change', { bubbles: true })), 50);
  });

  // what a swap brought is announced; a toast can be closed and goes by itself
  const settle = () => {
    $$('.toast').forEach((t) => {
      if (t.dataset.seen) return;
      t.dataset.seen = '1';
      const x = $('[data-close]', t);
      if (x) x.hidden = false;
      setTimeout(() => { if (!t.matches(':hover, :focus-within')) t.remove(); }, 10000);
    });
  };
  document.addEventListener('htmx:after:swap', () => {
    const t = $('.toast:not([data-seen]) p');
    if (t) say(t.textContent);
    settle();
  });
  settle();

  // the first set-up proposes the zone of this device
  const zone = $('select[data-own-zone]');
  if (zone) {
    const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if ([...zone.options].some((o) => o.value === own)) zone.value = own;
  }

  // A dialog that came with the page becomes modal: focus moves in, Escape and Close lead back to its page.
  const dlg = $('dialog[open][data-back]');
  if (dlg && dlg.showModal) {
    dlg.removeAttribute('open');
    $$('.app[inert], .door[inert], .skip[inert]').forEach((e) => { e.inert = false; });
    dlg.showModal();
    let typed = false;
    dlg.addEventListener('input', () => { typed = true; });
    dlg.addEventListener('submit', () => { typed = false; });
    dlg.addEventListener('cancel', (e) => { if (typed && !confirm('Leave without saving what you typed?')) e.preventDefault(); });
    dlg.addEventListener('close', () => { location.href = dlg.dataset.back; });
    addEventListener('pagehide', () => { try { sessionStorage.dialog = location.pathname; } catch { /* not kept */ } });
  } else {
    // Back from a dialog, the focus is at what opened it.
    let from = '';
    try { from = sessionStorage.dialog; delete sessionStorage.dialog; } catch { /* not kept */ }
    const leads = (e) => new URL(e.getAttribute('href') || e.getAttribute('action') || '', location).pathname === from;
    const opener = from && from !== location.pathname && [...$$('main a[href], main form[action]')].find(leads);
    const place = opener && ($('[type=submit]', opener) || opener);
    if (place && document.activeElement === document.body) place.focus();
  }
})();

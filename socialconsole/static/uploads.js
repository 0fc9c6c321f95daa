/* Files arrive in pieces, with progress, and go on where they stopped. Without this file the forms send them whole. */
(() => {
  const AT_ONCE = 3, TRIES = 8, LONGEST_PAUSE = 30000, LOOKS_FOR = 15 * 60 * 1000;
  const $ = (s, e = document) => e.querySelector(s), $$ = (s, e = document) => [...e.querySelectorAll(s)];
  const jobs = new Set();
  const sleep = (ms, job) => new Promise((done) => { const t = setTimeout(done, ms); if (job) job.wake = () => { clearTimeout(t); done(); }; });
  const size = (n) => n >= 1073741824 ? (n / 1073741824).toPrecision(3) + ' GB' : n >= 1048576 ? (n / 1048576).toPrecision(3) + ' MB' : Math.max(1, Math.round(n / 1024)) + ' KB';
  const files = (n) => n === 1 ? '1 file' : n + ' files';

  // ------------------------------------------------------------ what is remembered over a reload: where a file goes on
  const key = (job) => ['upload', job.zone.dataset.uploads, job.file.name, job.file.size, job.file.lastModified].join(':');
  const remember = (job) => { try { localStorage.setItem(key(job), job.address); } catch { /* private windows keep nothing */ } };
  const forget = (job) => { try { localStorage.removeItem(key(job)); } catch { /* nothing kept */ } };
  const remembered = (job) => { try { return localStorage.getItem(key(job)); } catch { return null; } };

  // ------------------------------------------------------------ one request; what it says, or why it failed
  const ask = (job, method, address, { body, headers = {}, progress } = {}) => new Promise((done, failed) => {
    const x = job.request = new XMLHttpRequest();
    x.open(method, address);
    x.setRequestHeader('Accept', 'application/json');
    x.setRequestHeader('X-CSRFToken', $('[name=csrf_token]', job.zone.closest('form')).value);
    Object.entries(headers).forEach(([name, value]) => x.setRequestHeader(name, value));
    if (progress) x.upload.onprogress = (e) => progress(e.loaded);
    x.timeout = 5 * 60 * 1000;
    x.onerror = x.ontimeout = () => failed({ passing: true, why: 'The connection is lost.' });
    x.onabort = () => failed({ stopped: true });
    x.onload = () => {
      let said = null;
      try { said = JSON.parse(x.responseText); } catch { /* a page instead of an answer */ }
      if (x.status >= 500 || x.status === 429) failed({ passing: true, why: (said && (said.problem || said.message)) || 'The console does not answer.' });
      else if (x.status === 404) failed({ gone: true, why: 'What had arrived is not there any more.' });
      else if (x.status === 413) failed({ why: 'A server in front of this console refuses pieces of 4 MB. Tell the person who runs it.' });
      else if (x.status === 401 || !said) failed({ why: 'You are signed out, or this page is too old. Sign in in another tab, then go on here.' });
      else done({ status: x.status, ...said });
    };
    x.send(body);
  });

  // ------------------------------------------------------------ one file on its way
  const begin = async (job) => {
    const known = remembered(job);
    if (known && !job.address) {
      try {
        const said = await ask(job, 'GET', known);
        if (said.state === 'receiving' || said.state === 'looking') { job.address = known; return said; }
      } catch (e) { if (!e.gone) throw e; }
      forget(job);
    }
    if (job.address) return ask(job, 'GET', job.address);
    const body = new URLSearchParams({ name: job.file.name, size: job.file.size, keep: job.zone.dataset.keep || '' });
    job.opens = true;  // its answer is waited for even where the file is cancelled: else nobody could end it there
    const said = await ask(job, 'POST', job.zone.dataset.uploads, { body }).finally(() => { job.opens = false; });
    if (said.status !== 201) throw { final: true, why: said.problem, item: said.item };
    job.address = `${job.zone.dataset.uploads}/${said.id}`;
    if (job.state === 'cancelled') end(job); else remember(job);
    return said;
  };

  // said even where the page is left in the same moment
  const end = (job) => fetch(job.address, { method: 'DELETE', keepalive: true, headers: { 'X-CSRFToken': $('[name=csrf_token]', job.zone.closest('form')).value } }).catch(() => {});

  const send = async (job, goes) => {
    let said = await begin(job);
    job.began = performance.now(); job.first = said.offset;
    while (said.state === 'receiving') {
      if (!goes()) throw { stopped: true };
      const first = said.offset, piece = job.file.slice(first, first + said.piece);
      show(job, first);
      const answer = await ask(job, 'PATCH', job.address, {
        body: piece, headers: { 'Upload-Offset': String(first), 'Content-Type': 'application/octet-stream' },
        progress: (sent) => show(job, first + sent),
      });
      if (answer.status !== 200 && answer.status !== 409) throw { passing: true, why: answer.problem };
      said = answer; job.tries = 0;
    }
    const until = Date.now() + LOOKS_FOR;
    for (let pause = 700; said.state === 'looking'; pause = Math.min(pause * 1.5, 8000)) {
      progress(job, 100); job.how.textContent = 'Arrived, being looked at';
      if (Date.now() > until) throw { final: true, why: 'It has arrived, and looking at it takes long. It appears under Media once that is done.' };
      await sleep(pause, job);
      if (!goes()) throw { stopped: true };
      said = await ask(job, 'GET', job.address);
    }
    if (said.state === 'refused') throw { final: true, why: said.problem, item: said.item };
    return said;
  };

  const run = async (job) => {
    const turn = job.turn = (job.turn || 0) + 1, goes = () => job.state === 'sending' && job.turn === turn;
    job.state = 'sending';
    while (goes()) {
      try {
        const said = await send(job, goes);
        if (goes()) done(job, said);
        return;
      } catch (e) {
        if (!goes() || e.stopped) return;
        if (e.gone && !job.again) { job.again = true; job.address = ''; forget(job); continue; }
        if (e.final) { refused(job, e); return; }
        if (!e.passing || ++job.tries > TRIES) { hold(job, e.why || 'Something failed here.'); say(job.zone, `${job.file.name} waits. ${e.why || ''}`); return; }
        const pause = Math.min(500 * 2 ** job.tries, LONGEST_PAUSE) * (0.75 + Math.random() / 2);
        why(job, `${e.why || ''} Trying again ${pause < 1500 ? 'at once' : `in ${Math.round(pause / 1000)} s`}.`);
        await sleep(pause, job);
        if (goes()) why(job, '');
      }
    }
  };

  const pump = () => {
    const sending = [...jobs].filter((job) => job.state === 'sending').length;
    [...jobs].filter((job) => job.state === 'waiting').slice(0, Math.max(0, AT_ONCE - sending)).forEach((job) => {
      job.how.textContent = 'Beginning';
      run(job).finally(pump);
    });
  };

  // ------------------------------------------------------------ what people see of it
  const progress = (job, percent) => { job.bar.value = percent; };
  const show = (job, sent) => {
    progress(job, job.file.size ? sent / job.file.size * 100 : 100);
    const now = performance.now();
    if (now - (job.shown || 0) < 250 && sent < job.file.size) return;
    job.shown = now;
    const pace = (sent - job.first) / (now - job.began) * 1000, left = pace > 0 && now - job.began > 2000 ? (job.file.size - sent) / pace : 0;
    job.how.textContent = `${sent ? size(sent) : '0 KB'} of ${size(job.file.size)}` + (left > 90 ? `, about ${Math.round(left / 60)} min left` : left > 5 ? `, about ${Math.round(left)} s left` : '');
  };
  const why = (job, words, tone = '') => {
    const place = $('[data-why]', job.item);
    place.textContent = words; place.hidden = !words;
    if (tone) job.item.dataset.s = tone; else delete job.item.dataset.s;
  };
  const say = (zone, words) => { const place = $('[data-said]', zone); if (place) place.textContent = words; };
  const hold = (job, words) => {
    job.state = 'paused';
    if (words) why(job, words, 'bad');
    job.how.textContent = 'Paused';
    const button = $('[data-pause]', job.item);
    button.setAttribute('aria-pressed', 'true'); $('.sr', button).textContent = `Paused, go on: ${job.file.name}`;
  };
  const goOn = (job) => {
    why(job, ''); job.tries = 0; job.state = 'waiting'; job.how.textContent = 'Waits for its turn';
    const button = $('[data-pause]', job.item);
    button.setAttribute('aria-pressed', 'false'); $('.sr', button).textContent = `Pause ${job.file.name}`;
    pump();
  };
  const leave = (job) => {
    const had = job.item.contains(document.activeElement), list = $('[data-under-way]', job.zone);
    jobs.delete(job); job.item.remove();
    if (list && !list.children.length) list.hidden = true;
    if (had) $('input[type=file]', job.zone).focus();
  };
  const changed = (zone) => ($('#where') || $('input[type=file]', zone)).dispatchEvent(new Event('change', { bubbles: true }));
  const into = (zone, html) => {
    const list = document.getElementById(zone.dataset.list);
    if (list) list.insertAdjacentHTML('beforeend', html);
    if (list && window.htmx) window.htmx.process(list);
    changed(zone);
  };

  const done = (job, said) => {
    job.state = 'done'; forget(job); leave(job);
    if (job.zone.dataset.list) into(job.zone, said.item);
    tell(job.zone, job);
  };
  const refused = (job, e) => {
    forget(job);
    if (job.zone.dataset.list && e.item) { leave(job); into(job.zone, e.item); return; }
    job.state = 'refused';
    why(job, e.why, 'bad'); job.how.textContent = 'Not added';
    job.bar.hidden = true; $('[data-pause]', job.item).hidden = true;
    say(job.zone, e.why);
    tell(job.zone);
  };
  const tell = (zone, job) => {
    if (job) zone.added = (zone.added || 0) + 1;
    if ([...jobs].some((one) => one.zone === zone && one.state !== 'refused')) return;
    if (zone.added) say(zone, `${files(zone.added)} added.`);
    zone.added = 0;
    if (!zone.dataset.list) readShelf();
  };
  const readShelf = async () => {
    const shelf = $('[data-shelf]');
    if (!shelf) return;
    const answer = await fetch(shelf.dataset.shelf, { headers: { 'HX-Request': 'true' } });
    if (!answer.ok) return;
    shelf.outerHTML = await answer.text();
    if (window.htmx) window.htmx.process($('[data-shelf]'));
    $$('[data-unfinished]').forEach((row) => { const list = row.parentElement; row.remove(); if (!list.children.length) list.parentElement.remove(); });
  };

  const add = (zone, chosen) => {
    const list = $('[data-under-way]', zone), most = Number(zone.dataset.most || 0);
    let taken = [...chosen];
    if (!taken.length) return;
    if (most) {
      const there = $$('[name=media]', document.getElementById(zone.dataset.list)).length + [...jobs].filter((job) => job.zone === zone).length;
      const room = Math.max(0, most - there);
      if (taken.length > room) {
        note(zone, `${files(taken.length)} were chosen, and a post takes ${most} at most. ${room ? `The last ${taken.length - room} were` : 'They were'} left out.`);
        taken = taken.slice(0, room);
      }
    }
    taken.forEach((file) => {
      const item = $('template', zone).content.firstElementChild.cloneNode(true);
      $('[data-name]', item).textContent = file.name;
      const bar = $('progress', item), how = $('[data-how]', item), job = { zone, file, item, bar, how, state: 'waiting', tries: 0, address: '' };
      bar.setAttribute('aria-label', file.name); how.textContent = 'Waits for its turn';
      $('[data-pause] .sr', item).textContent = `Pause ${file.name}`; $('[data-cancel] .sr', item).textContent = `Cancel ${file.name}`;
      list.append(item); item.job = job; jobs.add(job);
    });
    list.hidden = false;
    if (taken.length) say(zone, `${files(taken.length)} on the way.`);
    pump();
  };
  // a line that is no upload: said once, taken away by its cross
  const note = (zone, words) => {
    const item = $('template', zone).content.firstElementChild.cloneNode(true), list = $('[data-under-way]', zone);
    $('[data-name]', item).textContent = words; $('[data-name]', item).classList.remove('clip');
    $('progress', item).remove(); $('[data-pause]', item).remove(); $('[data-cancel] .sr', item).textContent = 'Close';
    item.dataset.s = 'bad'; list.append(item); list.hidden = false; say(zone, words);
  };

  // ------------------------------------------------------------ choosing, dragging, pasting, pressing
  const zoneOf = (e) => e.target.closest && e.target.closest('[data-uploads]');
  document.addEventListener('change', (e) => {
    const zone = e.target.matches && e.target.matches('input[type=file]') && zoneOf(e);
    if (!zone || !e.target.files.length) return;
    const chosen = [...e.target.files];
    e.target.value = '';
    add(zone, chosen);
  }, true);

  document.addEventListener('click', (e) => {
    const pause = e.target.closest('[data-pause]'), cancel = e.target.closest('[data-cancel]');
    const item = (pause || cancel) && (pause || cancel).closest('.upload');
    if (!item) return;
    const job = item.job;
    if (!job) { item.remove(); return; }
    if (pause && job.state === 'paused') { goOn(job); return; }
    const was = job.state;
    if (pause) { hold(job, ''); }
    else {
      job.state = 'cancelled'; forget(job); leave(job); say(job.zone, `${job.file.name} cancelled.`);
    }
    if (job.request && !job.opens) job.request.abort();
    if (job.wake) job.wake();
    if (cancel && job.address && was !== 'refused') end(job);
    pump();
  });

  addEventListener('online', () => jobs.forEach((job) => job.wake && job.wake()));

  const theZone = () => $('[data-uploads]');
  const carries = (e) => e.dataTransfer && [...e.dataTransfer.types].includes('Files');
  const over = (on) => { const zone = theZone(); if (zone) zone.classList.toggle('over', on); };
  document.addEventListener('dragover', (e) => { if (carries(e) && theZone()) { e.preventDefault(); over(true); } });
  document.addEventListener('dragleave', (e) => { if (!e.relatedTarget) over(false); });
  document.addEventListener('drop', (e) => {
    const zone = theZone();
    if (!carries(e) || !zone) return;
    e.preventDefault(); over(false);
    const folders = [...(e.dataTransfer.items || [])].filter((one) => { const entry = one.webkitGetAsEntry && one.webkitGetAsEntry(); return entry && entry.isDirectory; }).length;
    if (folders) note(zone, 'A folder cannot be added as a whole. Open it and drag its files.');
    else add(zone, e.dataTransfer.files);
  });
  document.addEventListener('paste', (e) => {
    const zone = theZone(), found = e.clipboardData ? e.clipboardData.files : [];
    if (!zone || !found.length) return;
    // a table or a text that brings its own picture along is meant as text where there is a field for it
    if (e.target.closest && e.target.closest('input, textarea') && e.clipboardData.types.includes('text/plain')) return;
    e.preventDefault();
    add(zone, found);
  });

  // a post must not go out without the files that are still on their way
  document.addEventListener('submit', (e) => {
    const zone = $('[data-uploads][data-list]', e.target);
    const coming = zone ? [...jobs].filter((job) => job.zone === zone && job.state !== 'refused').length : 0;
    if (!coming) return;
    e.preventDefault(); e.stopImmediatePropagation();
    const words = `${files(coming)} still on the way. Wait until ${coming === 1 ? 'it has' : 'they have'} arrived, or cancel ${coming === 1 ? 'it' : 'them'}.`;
    note(zone, words); $('[data-under-way]', zone).scrollIntoView({ block: 'center' });
  }, true);

  const ready = () => $$('[data-drop-hint]').forEach((hint) => { hint.hidden = false; });
  document.addEventListener('htmx:after:swap', ready);
  ready();

  // ------------------------------------------------------------ the library as a dialog over the form of a post
  const fetched = async (address) => {
    const answer = await fetch(address, { headers: { 'HX-Request': 'true' } });
    return answer.ok ? answer.text() : null;
  };
  const openPicker = async (button) => {
    const html = await fetched(button.dataset.pick);
    if (html === null) { location.href = button.dataset.pick; return; }
    const box = document.createElement('dialog'), picked = new Set();
    box.className = 'picker'; box.setAttribute('aria-labelledby', 'picker-title');
    box.innerHTML = html;
    document.body.append(box);
    const form = () => $('form', box), own = button.dataset.pick;
    const list = async (before) => {
      const words = new URLSearchParams({ pick_words: $('[name=pick_words]', box).value, pick_before: before });
      const text = await fetched(`${own}?${words}`);
      if (text === null) return;
      const page = new DOMParser().parseFromString(text, 'text/html');
      $('#picker-list', box).replaceWith($('#picker-list', page));
      $$('[name=media]', box).forEach((tick) => { tick.checked = picked.has(tick.value); });
    };
    let typing = 0;
    box.addEventListener('input', (e) => { if (e.target.name === 'pick_words') { clearTimeout(typing); typing = setTimeout(() => list(''), 250); } });
    box.addEventListener('change', (e) => { if (e.target.name === 'media') picked[e.target.checked ? 'add' : 'delete'](e.target.value); });
    box.addEventListener('click', (e) => { if (e.target.closest('[data-leave]')) { e.preventDefault(); box.close(); } });
    box.addEventListener('submit', async (e) => {
      e.preventDefault(); e.stopPropagation();
      const by = e.submitter;
      if (by && by.name === 'pick_before') { await list(by.value); $('#picker-list input', box)?.focus(); return; }
      if (by && 'search' in by.dataset) { await list(''); return; }
      const zone = theZone(), wanted = [...picked].filter((id) => !document.getElementById(`file-${id}`));
      box.close();
      if (!wanted.length) return;
      const items = await fetched(`${form().dataset.picked}?${new URLSearchParams(wanted.map((id) => ['media', id]))}`);
      if (items !== null) { into(zone, items); say(zone, `${files(wanted.length)} added.`); }
    });
    box.addEventListener('close', () => { box.remove(); button.focus(); });
    box.showModal();
    $('[name=pick_words]', box).focus();
  };
  document.addEventListener('click', (e) => {
    const button = e.target.closest('[data-pick]');
    if (!button || !window.HTMLDialogElement) return;
    e.preventDefault();
    openPicker(button);
  });
})();

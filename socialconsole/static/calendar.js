/* Moving posts with the mouse and the keyboard. Each move sends the hidden form #mover; without this file the Move
   links and the Earlier and Later buttons do the same. */
(() => {
  const $ = (s, e = document) => e.querySelector(s);
  let dragged = null, focusOn = '';

  const send = (post, fields) => {
    const form = $('#mover');
    if (!form) return;
    const values = { post_id: post.dataset.drag, version: post.dataset.version, ...fields };
    for (const [name, value] of Object.entries(values)) if (form.elements[name]) form.elements[name].value = value;
    focusOn = post.id;
    form.requestSubmit();
  };
  const days = (wall, number) => {
    const at = new Date(wall + ':00Z');
    at.setUTCDate(at.getUTCDate() + number);
    return at.toISOString().slice(0, 16);
  };
  const over = (target) => {
    document.querySelectorAll('.over').forEach((e) => { if (e !== target) e.classList.remove('over'); });
    if (target) target.classList.add('over');
  };
  const place = (e) => (dragged && $('#mover') ? e.target.closest('[data-day], [data-slot]') : null);

  document.addEventListener('dragstart', (e) => {
    const post = e.target.closest && e.target.closest('[data-drag]');
    if (!post) return;
    dragged = post;
    post.classList.add('dragging');
    e.dataTransfer.effectAllowed = 'move';
    e.dataTransfer.setData('text/plain', post.textContent.trim());
  });
  document.addEventListener('dragover', (e) => {
    const target = place(e);
    if (target) { e.preventDefault(); e.dataTransfer.dropEffect = 'move'; }
    over(target);
  });
  document.addEventListener('dragend', () => {
    if (dragged) dragged.classList.remove('dragging');
    dragged = null;
    over(null);
  });
  document.addEventListener('drop', (e) => {
    const target = place(e), post = dragged;
    if (!target) return;
    e.preventDefault();
    const { day, slot } = target.dataset, { wall } = post.dataset;
    if (slot ? slot === wall : day === wall.slice(0, 10)) return;
    send(post, slot ? { slot } : { wall_time: day + wall.slice(10) });
  });

  const STEPS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -7, ArrowDown: 7 };
  document.addEventListener('keydown', (e) => {
    const post = e.target.closest && e.target.closest('[data-drag]');
    const move = post && document.getElementById('move-' + post.dataset.drag);
    if (!move || e.ctrlKey || e.metaKey) return;
    if (!e.altKey && e.key.toLowerCase() === 'm') {
      e.preventDefault();
      location.assign(move.href);
    } else if (e.altKey && STEPS[e.key]) {
      e.preventDefault();  // the browser would go back in its history
      send(post, { wall_time: days(post.dataset.wall, STEPS[e.key]) });
    }
  });

  // after a move the focus stays with the post, wherever it lies now; with what is wrong where it was refused
  const settle = () => {
    document.querySelectorAll('.keys[hidden]').forEach((e) => { e.hidden = false; });
    if (!focusOn) return;
    const target = $('#problem') || document.getElementById(focusOn) || $('#undo');
    focusOn = '';
    if (target) target.focus();
  };
  document.addEventListener('htmx:after:swap', settle);
  settle();
})();
